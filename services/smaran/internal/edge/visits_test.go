package edge_test

import (
	"fmt"
	"net/http"
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

func TestExpectedMovesAreThoseThatAreSeen(t *testing.T) {
	for _, name := range []backend.Name{backend.AppHash, backend.IstioHash} {
		s := start(t, podtest.NewFleet(t, 3), func(set *settings) { set.backend = name })
		expected := func() float64 { return s.value(t, "smaran_expected_moves_total", "backend", string(name)) }
		moved := func() float64 { return s.value(t, "smaran_session_requests_total", "result", "moved") }
		s.askAs(t, sessions)
		s.askAs(t, sessions)
		require.Zero(t, expected(), "%s: nothing changes, and nobody moves", name)

		s.Add("pod-9")
		require.Zero(t, expected(), "%s: nobody has asked yet", name)
		s.askAs(t, sessions)
		first := moved()
		require.Positive(t, first, name)
		require.Less(t, first, float64(sessions), name)
		require.Equal(t, first, expected(), name)
		s.askAs(t, sessions)
		require.Equal(t, first, expected(), "%s: each once", name)

		s.Add("pod-10")
		s.Unlist("pod-10")
		s.askAs(t, sessions)
		require.Equal(t, first, expected(), "%s: who is back before they ask moves nobody", name)
		require.Equal(t, first, moved(), name)
	}
}

func TestSessionsOfAPodThatLeftHaveNoOwner(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3), func(set *settings) { set.backend = backend.RoundRobin })
	s.askAs(t, sessions)
	require.Zero(t, s.value(t, "smaran_sessions_without_owner"))
	require.EqualValues(t, 3, s.value(t, "smaran_endpoints", "health", "HEALTHY"))
	s.Unlist(s.Current().Endpoints[0].Pod)
	require.EqualValues(t, sessions/3, s.value(t, "smaran_sessions_without_owner"))
	require.EqualValues(t, 2, s.value(t, "smaran_endpoints", "health", "HEALTHY"))
	s.askAs(t, sessions)
	require.EqualValues(t, sessions/3, s.value(t, "smaran_expected_moves_total"), "without a rule, those whose pod left")
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
