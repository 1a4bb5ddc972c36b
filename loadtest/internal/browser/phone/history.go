package phone

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// Entry is a line of what happened to the call.
type Entry struct {
	// Kind of what happened, such as called or migrated; between which pods, and why.
	Kind, From, To, Why, Text string
	// Took and Gap are numbers, in milliseconds; empty where nothing was measured.
	Took, Gap string
	// At is when, in milliseconds of the page's clock.
	At float64
}

// Ms is a number of an entry.
func (e Entry) Ms(t testing.TB, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%v: %+v", err, e)
	}
	return v
}

// LinesOf is the expression of the elements of a kind, newest first.
func LinesOf(kind string) string {
	return fmt.Sprintf(`document.querySelectorAll('.phone-history [data-kind="%s"]')`, kind)
}

// Entries are the lines of a kind so far, oldest first.
func (p *Phone) Entries(t testing.TB, kind string) []Entry {
	t.Helper()
	return browser.Eval[[]Entry](t, p.Browser, fmt.Sprintf(`[...%s].reverse().map(({ dataset: d, textContent: Text, firstChild: { dateTime } }) =>
		({ At: Date.parse(dateTime), Kind: d.kind, From: d.from, To: d.to, Why: d.why, Took: d.took, Gap: d.gap, Text }))`, LinesOf(kind)))
}

// Times is how often something has happened to the call so far.
func (p *Phone) Times(t testing.TB, kind string) int {
	t.Helper()
	return len(p.Entries(t, kind))
}

// Happened waits until something has happened to the call so often, and gives the last time.
func (p *Phone) Happened(t testing.TB, kind string, times int) Entry {
	t.Helper()
	p.Await(t, fmt.Sprintf(`%s.length >= %d`, LinesOf(kind), times), said, p.Patience)
	all := p.Entries(t, kind)
	return all[len(all)-1]
}
