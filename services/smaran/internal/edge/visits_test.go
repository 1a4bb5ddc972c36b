package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

// value is the sum of a metric's series that have all of the labels, given as name, value, name, value.
func (s *server) value(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			has := prometheus.Labels{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if has[labels[i]] != labels[i+1] {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// askAs asks once for each of n sessions.
func (s *server) askAs(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		res, body := s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: http.Header{
			http.CanonicalHeaderKey(session.Header): {fmt.Sprintf("room-%d", i)}}})
		require.Equal(t, http.StatusOK, res.StatusCode, body)
	}
}

// follow runs Follow; the returned function tells it of a change and returns once it has looked.
func (s *server) follow(t testing.TB) (change func()) {
	t.Helper()
	var mu sync.Mutex
	next, asked := make(chan struct{}), make(chan struct{}, 1)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.service.Follow(ctx, func() <-chan struct{} {
			mu.Lock()
			defer mu.Unlock()
			asked <- struct{}{}
			return next
		})
	}()
	t.Cleanup(func() { stop(); <-done })
	once := func() {
		mu.Lock()
		defer mu.Unlock()
		close(next)
		next = make(chan struct{})
	}
	<-asked
	// It asks for the next change before it looks: two changes later it has looked at the first.
	return func() { once(); <-asked; once(); <-asked }
}

const sessions = 30

func TestAnswersAreCountedByWhetherTheSessionStayed(t *testing.T) {
	for name, stays := range map[backend.Name]bool{backend.AppHash: true, backend.IstioHash: true, backend.RoundRobin: false} {
		s := start(t, podtest.NewFleet(t, 3), func(set *settings) { set.backend = name })
		s.askAs(t, sessions)
		require.EqualValues(t, sessions, s.value(t, "smaran_session_requests_total", "backend", string(name), "result", "first"), name)
		s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: http.Header{
			http.CanonicalHeaderKey(session.Header): {"one-more"}}}) // else each would come to its pod again in turn
		s.askAs(t, sessions)
		kept, moved := s.value(t, "smaran_session_requests_total", "result", "kept"), s.value(t, "smaran_session_requests_total", "result", "moved")
		require.EqualValues(t, sessions, kept+moved, name)
		if stays {
			require.Zero(t, moved, name)
		} else {
			require.Zero(t, kept, "%s: the control: every answer comes from the next pod", name)
		}
		require.EqualValues(t, sessions+1, s.value(t, "smaran_sessions"), name)
	}
}

func TestExpectedMovesAreThoseThatAreSeenAfterwards(t *testing.T) {
	for _, name := range []backend.Name{backend.AppHash, backend.IstioHash} {
		s := start(t, podtest.NewFleet(t, 3), func(set *settings) { set.backend = name })
		change := s.follow(t)
		s.askAs(t, sessions)
		change()
		require.Zero(t, s.value(t, "smaran_expected_moves_total"), "%s: a change of nothing moves nobody", name)

		s.Add("pod-9")
		change()
		expected := s.value(t, "smaran_expected_moves_total", "backend", string(name))
		require.Positive(t, expected, name)
		require.Less(t, expected, float64(sessions), name)
		change()
		require.Equal(t, expected, s.value(t, "smaran_expected_moves_total"), "%s: each session once, until it asks again", name)
		s.askAs(t, sessions)
		require.Equal(t, expected, s.value(t, "smaran_session_requests_total", "result", "moved"), name)
	}
}

func TestSessionsOfAPodThatLeftHaveNoOwner(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3), func(set *settings) { set.backend = backend.RoundRobin })
	change := s.follow(t)
	s.askAs(t, sessions)
	require.Zero(t, s.value(t, "smaran_sessions_without_owner"))
	require.EqualValues(t, 3, s.value(t, "smaran_endpoints", "health", "HEALTHY"))
	s.Unlist(s.Current().Endpoints[0].Pod)
	change()
	require.EqualValues(t, sessions/3, s.value(t, "smaran_sessions_without_owner"))
	require.EqualValues(t, sessions/3, s.value(t, "smaran_expected_moves_total"), "without a rule, those whose pod left")
	require.EqualValues(t, 2, s.value(t, "smaran_endpoints", "health", "HEALTHY"))
	s.askAs(t, sessions)
	require.Zero(t, s.value(t, "smaran_sessions_without_owner"), "their next answer gives them one")
}

func TestSessionsAreForgottenWhenTheyHangUpAndAfterAWhile(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := start(t, podtest.NewFleet(t, 2), func(set *settings) { set.clock = clock })
	s.place(t, "caller")
	require.EqualValues(t, 1, s.value(t, "smaran_sessions"))
	s.do(t, request{method: http.MethodDelete, path: wire.PathCalls + "/caller"})
	require.Zero(t, s.value(t, "smaran_sessions"))

	s.askAs(t, 2)
	clock.Advance(9 * time.Minute)
	s.askAs(t, 1)
	clock.Advance(2 * time.Minute)
	require.EqualValues(t, 1, s.value(t, "smaran_sessions"), "the one that asked in between")
}
