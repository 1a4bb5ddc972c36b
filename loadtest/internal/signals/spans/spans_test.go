package spans_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/signals/spans"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// said is an answer of Jaeger 2.13, shortened.
const said = `{"data":[{"traceID":"aa","processes":{"p1":{"serviceName":"loadtest"},"p2":{"serviceName":"jarvis"}},"spans":[
	{"traceID":"aa","spanID":"1","processID":"p1","operationName":"call","references":[]},
	{"traceID":"aa","spanID":"2","processID":"p1","operationName":"POST","references":[{"refType":"CHILD_OF","traceID":"aa","spanID":"1"}]},
	{"traceID":"aa","spanID":"3","processID":"p1","operationName":"POST","references":[{"refType":"CHILD_OF","traceID":"aa","spanID":"1"}]},
	{"traceID":"aa","spanID":"4","processID":"p2","operationName":"handoff.copy","references":[
		{"refType":"CHILD_OF","traceID":"aa","spanID":"2"},{"refType":"FOLLOWS_FROM","traceID":"bb","spanID":"9"}]},
	{"traceID":"aa","spanID":"5","processID":"p2","operationName":"lost","references":[{"refType":"CHILD_OF","traceID":"aa","spanID":"7"}]}]}]}`

func TestCallsAreReadAsJaegerTellsThem(t *testing.T) {
	answer, status := said, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/api/traces", r.URL.Path)
		require.Equal(t, "call", r.FormValue("operation"))
		require.Equal(t, "loadtest", r.FormValue("service"))
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	traces, err := spans.Calls(t.Context(), client, server.URL)
	require.NoError(t, err)
	require.Len(t, traces, 1)
	require.Equal(t, []string{"jarvis lost", "loadtest call", "loadtest call > loadtest POST", "loadtest call > loadtest POST > jarvis handoff.copy"},
		traces[0].Paths())
	require.Equal(t, []string{"handoff.copy"}, traces[0].Linked())

	require.Equal(t, []string{"POST", "handoff.copy"}, traces[0].Below())
	require.Len(t, traces[0].Missing(), 4, "nobody routed, and no pod answered")

	status = http.StatusBadRequest
	_, err = spans.Calls(t.Context(), client, server.URL)
	require.ErrorIs(t, err, spans.ErrJaeger)
	answer, status = "x", http.StatusOK
	_, err = spans.Calls(t.Context(), client, server.URL)
	require.ErrorIs(t, err, spans.ErrJaeger)
	server.Close()
	_, err = spans.Calls(t.Context(), client, server.URL)
	require.ErrorIs(t, err, spans.ErrJaeger)
}
