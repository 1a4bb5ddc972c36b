package state_test

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

const (
	cold   = jarvisv1.CacheState_CACHE_STATE_COLD
	warm   = jarvisv1.CacheState_CACHE_STATE_WARM
	cached = jarvisv1.CacheState_CACHE_STATE_CACHED
)

const (
	loadTime      = 800 * time.Millisecond
	inferenceTime = 100 * time.Millisecond
	idleTime      = time.Minute
)

// exact has no spread, so that waits can be compared to the nanosecond.
var exact = model.Timings{SliceLoad: 500 * time.Millisecond, CacheRebuildMin: 300 * time.Millisecond,
	CacheRebuildMax: 300 * time.Millisecond, InferenceMean: inferenceTime}

type fixture struct {
	*state.Store
	clock   *clockwork.FakeClock
	dropped map[state.Dropped]int
}

// newStore makes a store of at most limit sessions with two results each.
func newStore(t require.TestingT, limit int) *fixture {
	f := &fixture{clock: clockwork.NewFakeClock(), dropped: map[state.Dropped]int{}}
	var err error
	f.Store, err = state.New(state.Options{Max: limit, Idle: idleTime, Results: 2, Clock: f.clock,
		Model: model.New(exact, 1), OnDropped: func(_ session.ID, why state.Dropped) { f.dropped[why]++ }})
	require.NoError(t, err)
	return f
}

// hold holds a session until the test ends or release is called.
func (f *fixture) hold(t *testing.T, id session.ID) (*state.Session, func()) {
	t.Helper()
	held, release, err := f.Hold(id, 0)
	require.NoError(t, err)
	return held, release
}

// ask goes through one whole request, wait included.
func (f *fixture) ask(t *testing.T, id session.ID, r state.Request) (state.Inference, state.Answered) {
	t.Helper()
	held, release := f.hold(t, id)
	defer release()
	inference := held.Begin(r)
	f.clock.Advance(inference.Wait)
	return inference, inference.Finish()
}

func (f *fixture) ids() []session.ID {
	ids := []session.ID{}
	for _, kept := range f.List() {
		ids = append(ids, kept.ID)
	}
	return ids
}
