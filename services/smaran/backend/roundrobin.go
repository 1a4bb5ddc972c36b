package backend

import (
	"context"
	"sync/atomic"
)

// roundRobin gives each request to the next pod, whatever its session: the negative control.
type roundRobin struct {
	pods podSource
	directly
	next atomic.Uint64
}

func newRoundRobin(d Deps) (Backend, error) {
	return &roundRobin{pods: podSource{endpoints: d.Endpoints}, directly: directly{d.Peers}}, nil
}

func (b *roundRobin) Route(ctx context.Context, r Request) (Target, error) {
	if err := ctx.Err(); err != nil {
		return Target{}, err
	}
	pods, err := b.pods.get()
	if err != nil {
		return Target{}, err
	}
	list := pods.others(r.LostPod)
	return b.to(list[(b.next.Add(1)-1)%uint64(len(list))]), nil
}

func (*roundRobin) Learn(context.Context, Request, Target, Outcome) Lesson { return Lesson{} }
