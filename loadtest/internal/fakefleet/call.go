package fakefleet

import (
	"fmt"
	"path"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	agent "github.com/smaran-v2/smaran/services/jarvis/call"
)

// call is guarded by its fleet's mu.
type call struct {
	// ended is closed when it ends; reason is set before.
	ended  chan struct{}
	reason string
	// number orders the calls of a fleet: events are of the latest that a session has.
	number int
	// standby: the agent is silent, and the session is where the first call is.
	standby bool
	// migrate is the latest event for watchers, empty before the first; changed is closed and renewed with it.
	migrate string
	changed chan struct{}
}

func (c *call) etag() string { return fmt.Sprintf(`"%d"`, c.number) }

// place puts a call up in place of the one that the session has at this pod.
func (f *Fleet) place(p *pod, session string, standby bool) {
	p.end(session, agent.ReasonReplaced)
	f.placed++
	p.calls[session] = &call{ended: make(chan struct{}), number: f.placed, standby: standby, changed: make(chan struct{})}
}

func (p *pod) end(session, reason string) {
	if old := p.calls[session]; old != nil {
		old.reason = reason
		close(old.ended)
		delete(p.calls, session)
	}
}

// offered finds the call that was placed so; nil where it has ended.
func (f *Fleet) offered(o client.Offered) (*pod, *call) {
	for _, p := range f.pods {
		if p.name == o.Pod {
			return p, p.calls[path.Base(o.Location)]
		}
	}
	return nil, nil
}

// ender ends the call that was placed, unless another has taken its place.
func (f *Fleet) ender(o client.Offered) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, placed := f.offered(o)
	if placed == nil {
		return func() {}
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if p.calls[path.Base(o.Location)] == placed {
			p.end(path.Base(o.Location), agent.ReasonPeerClosed)
		}
	}
}

// over is closed when the call that was placed ends.
func (f *Fleet) over(o client.Offered) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, placed := f.offered(o); placed != nil {
		return placed.ended
	}
	ended := make(chan struct{})
	close(ended)
	return ended
}
