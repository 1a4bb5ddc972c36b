package backend

import (
	"context"
)

// appHash hashes in the application: rendezvous over the watched endpoints, so that only sessions of a pod that left, and those
// that a new pod takes, move.
type appHash struct {
	pods podSource
	directly
	rand *lockedRand
}

func newAppHash(d Deps) (Backend, error) {
	return &appHash{pods: podSource{endpoints: d.Endpoints, build: rendezvous}, directly: directly{d.Peers}, rand: d.random()}, nil
}

func (b *appHash) Route(ctx context.Context, r Request) (Target, error) {
	if err := ctx.Err(); err != nil {
		return Target{}, err
	}
	pods, err := b.pods.get()
	if err != nil {
		return Target{}, err
	}
	if r.Session == "" {
		return b.to(pods.rotation[b.rand.intN(len(pods.rotation))]), nil
	}
	return b.to(pods.rendezvous(r.Session, r.LostPod)), nil
}

func (*appHash) Learn(context.Context, Request, Target, Outcome) Lesson { return Lesson{} }
