package compose

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
)

const (
	// pollEvery is how often Envoy is asked for its hosts, and so how late a change may be seen.
	pollEvery = 100 * time.Millisecond
	// maxSilence is how long Envoy may leave that unanswered.
	maxSilence = 3 * time.Second
)

// history is what Envoy had in rotation, and when.
type history struct {
	envoy envoy
	pods  []pod
	clock clockwork.Clock
	board *board

	mu       sync.Mutex
	hosts    map[string]endpoints.Health
	answers  uint64
	versions []*fleetv1.Endpoints
	// late is the longest time between two answers of which the second told of a change: so late a change may have been seen.
	late time.Duration
}

// run asks until ctx ends. It fails where Envoy stays silent.
func (h *history) run(ctx context.Context) error {
	ticker := h.clock.NewTicker(pollEvery)
	defer ticker.Stop()
	answered := h.clock.Now()
	for {
		hosts, err := h.envoy.hosts(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			now := h.clock.Now()
			h.note(hosts, answered, now)
			answered = now
		case h.clock.Since(answered) > maxSilence:
			return fmt.Errorf("%w: no answer for %v: %w", ErrEnvoy, maxSilence, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.Chan():
		}
	}
}

// note keeps what Envoy said, and makes a version of it if a pod entered or left the rotation, or began to drain. It had answered before
// at the time since.
func (h *history) note(hosts map[string]endpoints.Health, since, at time.Time) {
	h.mu.Lock()
	h.hosts = hosts
	h.answers++
	next := h.listed()
	if n := len(h.versions); n == 0 || !equal(h.versions[n-1], next) {
		next.Version, next.Written = uint64(n+1), timestamppb.New(at)
		h.versions = append(h.versions, next)
		h.late = max(h.late, at.Sub(since))
	}
	h.mu.Unlock()
	h.board.announce()
}

// listed are the pods that get requests, in the order of their numbers: Envoy's own follows DNS' answers, and neither its rings nor
// its tables depend on it.
func (h *history) listed() *fleetv1.Endpoints {
	out := &fleetv1.Endpoints{}
	for _, p := range h.pods {
		health, ok := h.hosts[p.address]
		if ok && (health.InRotation() || health == endpoints.Draining) {
			out.Endpoints = append(out.Endpoints, &fleetv1.Endpoint{Pod: p.name, Address: p.address, Health: health.String()})
		}
	}
	return out
}

func equal(a, b *fleetv1.Endpoints) bool {
	return proto.Equal(&fleetv1.Endpoints{Endpoints: a.GetEndpoints()}, &fleetv1.Endpoints{Endpoints: b.GetEndpoints()})
}

// fresh makes a condition that holds once Envoy has answered a question that was put after this call. One may be under way now.
func (h *history) fresh() func() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	enough := h.answers + 2
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.answers >= enough
	}
}

// health is what Envoy last said of a pod; ok is false for one that it does not know.
func (h *history) health(p pod) (health endpoints.Health, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	health, ok = h.hosts[p.address]
	return health, ok
}

// begin has lateness count from here on: the fleet is ready.
func (h *history) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = 0
}

// lateness is how late a change may have been seen since begin.
func (h *history) lateness() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.late, pollEvery)
}

// all are the versions so far.
func (h *history) all() []*fleetv1.Endpoints {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.versions[:len(h.versions):len(h.versions)]
}
