package notes_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/signals"
	"github.com/smaran-v2/smaran/loadtest/internal/signals/notes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// prometheus answers each query by the values that it is given.
type prometheus map[string][]string

func (p prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	values, ok := p[r.FormValue("query")]
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"what is that"}`)
		return
	}
	series := []string{}
	for i, v := range values {
		series = append(series, fmt.Sprintf(`{"metric":{"pod":"jarvis-%d"},"value":[1,"%s"]}`, i, v))
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(series, ","))
}

func TestWhatWasSeenOnceIsKept(t *testing.T) {
	calm := signals.Query{Panel: "Calm", RefID: "A", Expr: "calm"}
	event := signals.Query{Panel: "Event", Expr: "event", Until: "it happens"}
	read := &signals.Signals{Panels: []signals.Panel{{Title: "Calm", Unit: "s", Queries: []signals.Query{calm}}}, Alerts: []signals.Alert{{Query: event}}}
	source := prometheus{}
	server := httptest.NewServer(source)
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	n, err := notes.New(read, server.Client(), server.URL, clockwork.NewRealClock())
	require.NoError(t, err)
	require.Equal(t, []string{calm.String()}, n.Blank(), "before the first round")

	round := func(calm, event []string) {
		source["calm"], source["event"] = calm, event
		require.NoError(t, n.Round(t.Context()))
	}
	round([]string{"NaN"}, nil)
	require.Len(t, n.Blank(), 1, "what is not a number is nothing")
	round([]string{"1", "3", "NaN", "2"}, nil)
	require.True(t, n.Shown("Calm"))
	require.False(t, n.Shown("Event"))
	require.Len(t, n.Unexplained(map[string]string{"it rains": "not here"}), 1)
	require.Empty(t, n.Unexplained(map[string]string{"happens": "not here"}))
	round(nil, []string{"5"})
	require.Empty(t, n.Unexplained(nil))
	round([]string{"9"}, nil)
	require.Equal(t, notes.Seen{Series: 3, Low: 1, High: 9}, n.Of(calm))
	require.Equal(t, notes.Seen{Series: 1, Low: 5, High: 5}, n.Of(event))
	require.Empty(t, n.Blank(), "in the best round")
	require.Equal(t, []string{"| Calm A | s | 3 | 1 to 9 |", "| Event |  | 1 | 5 to 5 |"}, n.Rows())

	delete(source, "event")
	source["calm"] = []string{"1", "2", "3", "4"}
	require.ErrorContains(t, n.Round(t.Context()), "what is that")
	require.Equal(t, 3, n.Of(calm).Series, "a round that fails is none")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, n.Take(ctx), "it ends with its context")
}
