package admission

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/peers"
)

const (
	// MaxGathering is how long a pod that is ready waits for those that come with it, since each change of the ring moves sessions.
	MaxGathering = 10 * time.Second
	// MaxPreparing is how long a change of the endpoints waits for the pods to prepare for it, frozen ones or not. What is missing then
	// is fetched at its first request.
	MaxPreparing = 10 * time.Second
)

// ErrLate is why a context of Within ended, and a pod failed that had not answered by then.
var ErrLate = errors.New("no answer in time")

// Within is ctx for the given time of the clock's, after which it ends with ErrLate as its cause.
func Within(ctx context.Context, clock clockwork.Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := clock.AfterFunc(d, func() { cancel(ErrLate) })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// Preparer has pods prepare for other endpoints. It is safe for concurrent use.
type Preparer struct {
	// Peers is the way to one pod; HTTP carries what goes there, with the options for clients, of which there may be none.
	Peers   peers.Way
	HTTP    connect.HTTPClient
	Clients []connect.ClientOption
	Clock   clockwork.Clock
}

// Prepared is what came of a preparation.
type Prepared struct {
	// Pods is how many will be in rotation.
	Pods int
	// Moving are the sessions that will be at other pods, as far as those in rotation said, and Sent those of them that are there.
	Moving, Sent uint32
	// Failed are the pods that did not answer, or refused, by name.
	Failed []Failed
	Took   time.Duration
}

// Failed is a pod that did not prepare. What it has is fetched from it later.
type Failed struct {
	Pod string
	Err error
}

// String is one line for a log.
func (p Prepared) String() string {
	return fmt.Sprintf("prepared for %d pods in %s: %d of %d sessions that move are there",
		p.Pods, p.Took.Round(time.Millisecond), p.Sent, p.Moving)
}

// Prepare has every pod of the rotation now send what the rotation next gives to others, all at the same time. It returns once each has
// answered or failed, after MaxPreparing, or when ctx ends.
func (p Preparer) Prepare(ctx context.Context, now, next []endpoints.Endpoint) Prepared {
	ctx, cancel := Within(ctx, p.Clock, MaxPreparing)
	defer cancel()
	start := p.Clock.Now()
	req := &jarvisv1.PrepareRequest{Hosts: handoff.Hosts(next)}
	out := Prepared{Pods: len(next)}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, e := range now {
		asked.Go(func() {
			pod := handoff.Reach(e, p.Peers, p.HTTP, p.Clients...)
			res, err := handoff.Send(ctx, pod, req, http.Header{}, jarvisv1connect.JarvisServiceClient.Prepare)
			if err != nil && errors.Is(context.Cause(ctx), ErrLate) {
				err = fmt.Errorf("%w: %w", ErrLate, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.Failed = append(out.Failed, Failed{Pod: e.Pod, Err: err})
				return
			}
			out.Moving, out.Sent = out.Moving+res.GetMoving(), out.Sent+res.GetSent()
		})
	}
	asked.Wait()
	slices.SortFunc(out.Failed, func(a, b Failed) int { return cmp.Compare(a.Pod, b.Pod) })
	out.Took = p.Clock.Since(start)
	return out
}
