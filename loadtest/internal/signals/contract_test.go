package signals_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/signals"
)

const contract = `
| name | type | unit | labels | emitted by | says |
|---|---|---|---|---|---|
| a_total | counter | | result=kept\|moved, backend | smaran | |
| b_seconds | histogram | seconds | | smaran | |

| span | kind | attributes | emitted by | says |
|---|---|---|---|---|
| ` + "`one`, `two`" + ` | client | session.id | smaran | |
`

const emitted = `
# TYPE a_total counter
a_total{result="kept",backend="x"} 1
a_total{result="moved",backend="y"} 1
# TYPE b_seconds histogram
b_seconds_bucket{le="+Inf"} 1
b_seconds_sum 1
b_seconds_count 1
# TYPE go_goroutines gauge
go_goroutines 7
`

// differences between the contract and what smaran would show.
func differences(t *testing.T, shown string) []string {
	t.Helper()
	table, err := signals.Table(contract)
	require.NoError(t, err)
	seen := signals.Seen{}
	require.NoError(t, seen.Scraped("smaran", strings.NewReader(shown)))
	return signals.Differences(table, seen)
}

func TestWhatIsEmittedAndWhatIsListedMustAgree(t *testing.T) {
	require.Empty(t, differences(t, emitted))
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"a metric is renamed":      {"a_total", "c_total", []string{"a_total is listed, and nobody emits it", "c_total is emitted by smaran, and not listed"}},
		"a type changes":           {"# TYPE a_total counter", "# TYPE a_total gauge", []string{"a_total is a gauge, and listed as a counter"}},
		"a label is renamed":       {"backend=", "policy=", []string{"a_total has the label policy, which is not listed", "a_total is listed with the label backend, and has none"}},
		"a value that is not told": {`"moved"`, `"lost"`, []string{`a_total has result="lost", which is not listed`}},
	} {
		require.Equal(t, c.want, differences(t, strings.ReplaceAll(emitted, c.old, c.new)), name)
	}
	table, err := signals.Table(contract)
	require.NoError(t, err)
	seen := signals.Seen{}
	require.NoError(t, seen.Scraped("jarvis", strings.NewReader(emitted)))
	require.Equal(t, []string{"a_total is emitted by jarvis, and listed under smaran", "b_seconds is emitted by jarvis, and listed under smaran"},
		signals.Differences(table, seen))
	table[1].EmittedBy = "all"
	require.Contains(t, signals.Differences(table, seen), "b_seconds is listed under all, and mesh does not emit it")
	require.Error(t, seen.Scraped("jarvis", strings.NewReader("no metrics {")))
}

func TestSpansMustAgreeToo(t *testing.T) {
	table, err := signals.Spans(contract)
	require.NoError(t, err)
	seen := signals.Seen{}
	for _, name := range []string{"one", "two"} {
		seen.Add(name, "client", "smaran", map[string]string{"session.id": "s", "http.request.method": "GET"})
	}
	require.Empty(t, signals.SpanDifferences(table, seen))
	seen.Add("three", "client", "smaran", nil)
	seen.Add("one", "server", "jarvis", map[string]string{"pod": "x"})
	delete(seen, "two")
	require.Equal(t, []string{
		"span one has pod, which is not listed",
		"span one is emitted by jarvis, which is not listed",
		"span one is of kind server, which is not listed",
		"span three is emitted by smaran, and not listed",
		"span two is listed, and nobody emits it",
	}, signals.SpanDifferences(table, seen))
	_, err = signals.Spans("| span | kind |\n")
	require.ErrorIs(t, err, signals.ErrTable)
}
