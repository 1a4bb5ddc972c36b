package signals_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/signals"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// traces is a collector of OTLP over HTTP.
type traces struct {
	// environ names it to programs.
	environ []string

	mu   sync.Mutex
	seen signals.Seen
	// by are the spans by trace.
	by map[string][]*tracev1.Span
}

func receive(t *testing.T) *traces {
	t.Helper()
	r := &traces{seen: signals.Seen{}, by: map[string][]*tracev1.Span{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.take)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for key, value := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_METRICS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "200"} {
		t.Setenv(key, value) // fleets inherit it
		r.environ = append(r.environ, key+"="+value)
	}
	return r
}

func (r *traces) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var sent collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &sent) != nil {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range sent.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				attributes := map[string]string{}
				for _, a := range span.GetAttributes() {
					attributes[a.GetKey()] = ""
				}
				kind := strings.ToLower(strings.TrimPrefix(span.GetKind().String(), "SPAN_KIND_"))
				r.seen.Add(span.GetName(), kind, service, attributes)
				r.by[string(span.GetTraceId())] = append(r.by[string(span.GetTraceId())], span)
			}
		}
	}
}

// callsAreTraces: everything of a call hangs together below its span, and handoffs are among it, linked to what made them.
func (r *traces) callsAreTraces(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls, whole, steps := 0, 0, map[string]int{}
	for _, spans := range r.by {
		names := map[string]bool{}
		ids := map[string]bool{}
		sessions := map[string]bool{}
		for _, s := range spans {
			names[s.GetName()], ids[string(s.GetSpanId())] = true, true
			for _, a := range s.GetAttributes() {
				if a.GetKey() == string(session.SpanKey) {
					sessions[a.GetValue().GetStringValue()] = true
				}
			}
		}
		if !names[wire.SpanCall] {
			continue
		}
		calls++
		require.Len(t, sessions, 1, "one call, one trace")
		hangs := ""
		for _, s := range spans {
			if s.GetName() != wire.SpanCall && !ids[string(s.GetParentSpanId())] {
				hangs = s.GetName()
			}
			if slices.Contains([]string{wire.SpanCopy, wire.SpanMigrate}, s.GetName()) && len(s.GetLinks()) > 0 {
				steps[s.GetName()]++
			}
		}
		if hangs == "" && names[wire.SpanInfer] {
			whole++
			require.Subset(t, slices.Collect(maps.Keys(names)),
				[]string{"POST", "POST " + wire.PathCalls, wire.SpanRoute, "jarvis.v1.JarvisService/Offer", wire.SpanInfer})
		}
	}
	require.Greater(t, whole, calls/2, "of %d calls; spans of a pod that was killed are lost, and what was below them hangs in the air", calls)
	require.Greater(t, calls, 20)
	require.NotZero(t, steps[wire.SpanCopy], "copies that are linked to what made them")
	require.NotZero(t, steps[wire.SpanMigrate], "words to move that are linked to what made them")
}
