package edge_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/encoding/protojson"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestInferenceByGetAndPost(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	for turn, r := range []request{
		{method: http.MethodGet, path: wire.PathInference + "?prompt=hello&last_turn=0", header: as("s")},
		{method: http.MethodPost, path: wire.PathInference, header: as("s", "Content-Type", "application/json; charset=utf-8"), body: `{"prompt":"hello"}`},
		{method: http.MethodPost, path: wire.PathInference + "?prompt=hello", header: as("s")},
	} {
		res, body := s.do(t, r)
		require.Equal(t, http.StatusOK, res.StatusCode, body)
		require.Equal(t, wire.ContentTypeJSON, res.Header.Get("Content-Type"))
		got := new(smaranv1.InferResponse)
		require.NoError(t, protojson.Unmarshal([]byte(body), got))
		require.Equal(t, "heard hello", got.GetText())
		require.Equal(t, "app-hash", got.GetRouting().GetBackend())
		require.Positive(t, got.GetRouting().GetDecision().AsDuration())
		require.EqualValues(t, turn+1, got.GetServed().GetTurn())
		require.Contains(t, body, `"callHeld"`, "false says something, so it is written")

		pod := s.Pod("jarvis-0")
		state := map[bool]string{true: "cold", false: "warm"}[turn == 0]
		for name, want := range map[string]string{
			wire.HeaderPod: pod.Name, wire.HeaderIncarnation: pod.Incarnation, wire.HeaderEpoch: "0",
			wire.HeaderTurn: strconv.Itoa(turn + 1), wire.HeaderChecksum: got.GetServed().GetChecksum(),
			wire.HeaderCacheState: state, wire.HeaderBackend: "app-hash", wire.HeaderDegraded: "",
		} {
			require.Equal(t, want, res.Header.Get(name), name)
		}
	}
}

func TestSessionsAreMinted(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 0))
	res, body := s.do(t, request{method: http.MethodPost, path: wire.PathSessions})
	require.Equal(t, http.StatusCreated, res.StatusCode)
	var got struct{ Session string }
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	id, err := uuid.Parse(got.Session)
	require.NoError(t, err)
	require.EqualValues(t, 7, id.Version())
	require.Equal(t, got.Session, res.Header.Get(session.Header))
}

func TestLenientModeLetsOnlyMissingSessionsThrough(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 2), func(set *settings) { set.mode, set.backend = session.Lenient, backend.IstioHash })
	res, body := s.do(t, request{method: http.MethodGet, path: wire.PathInference})
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	res, _ = s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: as("a b")})
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	res = s.send(t, request{method: http.MethodPost, path: wire.PathCalls, header: as("", "Content-Type", wire.ContentTypeSDP), body: "offer"})
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	require.Equal(t, wire.Code("session_missing"), problem(t, res).Code, "a call without a session has no URL")
}

func TestBackendPerRequest(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3), func(set *settings) { set.override = true })
	used := map[string]bool{}
	for range 6 {
		res, _ := s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: as("s", wire.HeaderBackend, "roundrobin")})
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "roundrobin", res.Header.Get(wire.HeaderBackend))
		used[res.Header.Get(wire.HeaderPod)] = true
	}
	require.Len(t, used, 3)
	used = map[string]bool{}
	for range 6 {
		res, _ := s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: as("s")})
		used[res.Header.Get(wire.HeaderPod)] = true
	}
	require.Len(t, used, 1, "control: the others keep the configured one")
}

func TestFleetListsPodsAndWhoIsSilent(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3))
	s.place(t, "s")
	dead := s.Pod("jarvis-1")
	dead.Kill()
	list := func(query string) *smaranv1.GetFleetResponse {
		res, body := s.do(t, request{method: http.MethodGet, path: wire.PathFleet + query})
		require.Equal(t, http.StatusOK, res.StatusCode)
		got := new(smaranv1.GetFleetResponse)
		require.NoError(t, protojson.Unmarshal([]byte(body), got))
		return got
	}
	got := list("")
	require.Equal(t, "app-hash", got.GetBackend())
	require.Equal(t, []string{dead.Address}, got.GetUnreachable())
	require.Len(t, got.GetPods(), 2)
	require.Equal(t, "jarvis-0", got.GetPods()[0].GetPod())
	require.Equal(t, "jarvis-2", got.GetPods()[1].GetPod())
	for _, p := range got.GetPods() {
		require.Empty(t, p.GetSessionList())
	}
	sessions := 0
	for _, p := range list("?sessions=true").GetPods() {
		sessions += len(p.GetSessionList())
	}
	if dead.Holds("s") {
		require.Zero(t, sessions)
	} else {
		require.Equal(t, 1, sessions)
	}
}

func TestTracesReachThePod(t *testing.T) {
	for _, name := range []backend.Name{backend.AppHash, backend.IstioHash} {
		t.Run(string(name), func(t *testing.T) {
			spans := tracetest.NewInMemoryExporter()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
			s := start(t, podtest.NewFleet(t, 1), func(set *settings) { set.tracer, set.backend = provider, name })
			const trace = "0af7651916cd43dd8448eb211c80319c"
			s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: as("s", "Traceparent", "00-"+trace+"-b7ad6b7169203331-01")})
			headers := s.Pod("jarvis-0").Headers()
			require.Len(t, headers, 1)
			require.Contains(t, headers[0].Get("Traceparent"), trace)

			kinds := map[string]bool{}
			for _, span := range spans.GetSpans() {
				require.Equal(t, trace, span.SpanContext.TraceID().String())
				kinds[span.SpanKind.String()+" "+span.Name] = true
				switch span.SpanKind.String() {
				case "server":
					require.Subset(t, span.Attributes, []attribute.KeyValue{attribute.String("session.id", "s"),
						wire.AttributeBackend.String(string(name)), wire.AttributePod.String("jarvis-0"), wire.AttributeDegraded.Bool(false)}, "who answered")
				case "internal":
					chosen := map[backend.Name]string{backend.AppHash: "jarvis-0", backend.IstioHash: ""}[name] // there the mesh chooses
					require.Subset(t, span.Attributes, []attribute.KeyValue{wire.AttributeBackend.String(string(name)),
						wire.AttributePod.String(chosen), wire.AttributeEpoch.Int64(0), wire.AttributeDegraded.Bool(false), wire.AttributeAgain.Bool(false)})
				}
			}
			require.Equal(t, map[string]bool{"server GET /inference": true, "internal smaran.route": true, "client jarvis.v1.JarvisService/Infer": true}, kinds)
		})
	}
}

func TestCrossOrigin(t *testing.T) {
	preflight := func(t *testing.T, s *server, origin string) *http.Response {
		res, _ := s.do(t, request{method: http.MethodOptions, path: wire.PathCalls, header: http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"x-call-session-id"},
		}})
		return res
	}
	t.Run("any", func(t *testing.T) {
		s := start(t, podtest.NewFleet(t, 1))
		res := preflight(t, s, "https://talk.example")
		require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
		require.Empty(t, res.Header.Get("Access-Control-Allow-Credentials"))
		exposed := s.place(t, "s", "Origin", "https://talk.example").Header.Get("Access-Control-Expose-Headers")
		for _, name := range []string{"Location", "Etag", wire.HeaderPod, wire.HeaderEpoch, wire.HeaderStateful, wire.HeaderForwarded} {
			require.Contains(t, exposed, name)
		}
	})
	t.Run("listed", func(t *testing.T) {
		s := start(t, podtest.NewFleet(t, 1), func(set *settings) { set.origins = []string{"https://talk.example"} })
		res := preflight(t, s, "https://talk.example")
		require.Equal(t, "https://talk.example", res.Header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "true", res.Header.Get("Access-Control-Allow-Credentials"))
		require.Empty(t, preflight(t, s, "https://other.example").Header.Get("Access-Control-Allow-Origin"))
	})
	t.Run("none", func(t *testing.T) {
		s := start(t, podtest.NewFleet(t, 1), func(set *settings) { set.origins = nil })
		require.Empty(t, preflight(t, s, "https://talk.example").Header.Get("Access-Control-Allow-Origin"))
	})
}

func TestMetricsAreAContract(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	s.place(t, "s")
	s.do(t, request{method: http.MethodGet, path: wire.PathInference})
	s.do(t, request{method: "BREW", path: "/coffee"})
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	got := map[string][]string{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += l.GetName() + "=" + l.GetValue() + " "
			}
			got[f.GetName()] = append(got[f.GetName()], labels)
		}
	}
	require.Equal(t, map[string][]string{
		"smaran_requests_total": {
			"backend= code=400 operation=GET /inference ",
			"backend= code=405 operation=none ",
			"backend=app-hash code=201 operation=POST /v1/calls ",
		},
		"smaran_request_duration_seconds": {
			"backend= operation=GET /inference ", "backend= operation=none ", "backend=app-hash operation=POST /v1/calls ",
		},
		"smaran_route_duration_seconds": {"backend=app-hash "},
		"smaran_degraded_total":         {"backend=app-hash "},
		"smaran_retries_total":          {"backend=app-hash "},
		"smaran_misaddressed_total":     {"backend=app-hash "},
		"smaran_expected_moves_total":   {"backend=app-hash "},
		"smaran_session_requests_total": {"backend=app-hash result=first ", "backend=app-hash result=kept ", "backend=app-hash result=moved "},
		"smaran_sessions":               {""},
		"smaran_sessions_without_owner": {""},
		"smaran_endpoints":              {"health=DRAINING ", "health=HEALTHY "},
		"smaran_redis_circuit_state":    {""},
	}, got, "no session in a label, and no name that a client chooses")
}
