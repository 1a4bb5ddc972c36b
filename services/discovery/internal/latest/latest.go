// Package latest holds the newest list of pods for whoever wants it, and counts the versions of lists that have none of their
// own. It finds no pods: packages dns and kubernetes do.
package latest

import (
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// Sets hands out one list after the other. One goroutine puts them, any number reads.
type Sets struct {
	state atomic.Pointer[state]
}

type state struct {
	set     endpoints.Set
	version uint64
	changed chan struct{}
}

// New holds version 0, which has no pods.
func New() *Sets {
	s := &Sets{}
	s.state.Store(&state{set: endpoints.Set{Version: "0"}, changed: make(chan struct{})})
	return s
}

// Put makes list the current one and reports whether it differs from the last one; else nothing happens. The list must not be
// changed afterwards.
func (s *Sets) Put(list []endpoints.Endpoint) bool {
	old := s.state.Load()
	if slices.Equal(old.set.Endpoints, list) {
		return false
	}
	next := &state{version: old.version + 1, changed: make(chan struct{})}
	next.set = endpoints.Set{Version: strconv.FormatUint(next.version, 10), Endpoints: list}
	s.state.Store(next)
	close(old.changed)
	return true
}

// Current is the last list.
func (s *Sets) Current() endpoints.Set { return s.state.Load().set }

// Changed is closed when Current changes. Call it before Current, so that no change is missed.
func (s *Sets) Changed() <-chan struct{} { return s.state.Load().changed }
