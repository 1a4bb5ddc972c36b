// Package notes asks a Prometheus every query of the dashboards and alerts, again and again while a fleet is at work, and keeps what came.
// It is for tests that have a real Prometheus: what is gone a moment later, such as a pod that drains, is still known at the end. It judges
// nothing.
package notes

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/api"
	prometheusv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/smaran-v2/smaran/loadtest/internal/signals"
)

// interval is between two rounds; Prometheus scrapes every 5 seconds.
const interval = 2 * time.Second

// Seen is what a query has returned, values that are no numbers left out: a panel draws nothing for them.
type Seen struct {
	// Series is how many there were at most at a time.
	Series int
	// Low and High are the least and the greatest value of any at any time.
	Low, High float64
}

// Notes are safe for concurrent use.
type Notes struct {
	signals *signals.Signals
	api     prometheusv1.API
	clock   clockwork.Clock

	mu     sync.Mutex
	seen   map[string]Seen
	blank  []string
	rounds int
}

// New asks nothing yet. The address is the Prometheus' URL.
func New(s *signals.Signals, client *http.Client, address string, clock clockwork.Clock) (*Notes, error) {
	asking, err := api.NewClient(api.Config{Address: address, Client: client})
	if err != nil {
		return nil, fmt.Errorf("reach Prometheus: %w", err)
	}
	return &Notes{signals: s, api: prometheusv1.NewAPI(asking), clock: clock, seen: map[string]Seen{}}, nil
}

// Take makes rounds until ctx ends, and returns why the last one that failed did.
func (n *Notes) Take(ctx context.Context) (failed error) {
	ticker := n.clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := n.Round(ctx); err != nil && ctx.Err() == nil {
			failed = err
		}
		select {
		case <-ticker.Chan():
		case <-ctx.Done():
			return failed
		}
	}
}

// Round asks every query once. What a round that fails was told is not kept.
func (n *Notes) Round(ctx context.Context) error {
	found, blank := map[string]Seen{}, []string{}
	for _, q := range n.signals.Queries() {
		value, _, _, err := n.api.Query(ctx, q.Expr, n.clock.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
		seen := read(value)
		found[q.String()] = seen
		if seen.Series == 0 && q.Until == "" {
			blank = append(blank, q.String())
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for q, seen := range found {
		n.seen[q] = n.seen[q].and(seen)
	}
	if n.rounds == 0 || len(blank) < len(n.blank) {
		n.blank = blank
	}
	n.rounds++
	return nil
}

func read(v model.Value) (seen Seen) {
	vector, _ := v.(model.Vector)
	for _, sample := range vector {
		if value := float64(sample.Value); !math.IsNaN(value) {
			one := seen.and(Seen{1, value, value})
			seen = Seen{seen.Series + 1, one.Low, one.High}
		}
	}
	return seen
}

// and is both taken together.
func (s Seen) and(other Seen) Seen {
	switch {
	case s.Series == 0:
		return other
	case other.Series == 0:
		return s
	}
	return Seen{max(s.Series, other.Series), min(s.Low, other.Low), max(s.High, other.High)}
}

// Of is what a query has returned so far; no series, if it never did.
func (n *Notes) Of(q signals.Query) Seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen[q.String()]
}

// Blank are the queries that returned nothing, though no event has to fill them, in the best round so far; all of them before the first.
func (n *Notes) Blank() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rounds > 0 {
		return slices.Clone(n.blank)
	}
	var all []string
	for _, q := range n.signals.Queries() {
		if q.Until == "" {
			all = append(all, q.String())
		}
	}
	return all
}

// Shown is whether each query of a panel or an alert has returned something so far.
func (n *Notes) Shown(panel string) bool {
	for _, q := range n.signals.Queries() {
		if q.Panel == panel && n.Of(q).Series == 0 {
			return false
		}
	}
	return true
}

// Unexplained are the queries that have returned nothing so far, with the event that fills them, but for those events that a key of reasons is
// part of: a test says there why it can't bring them about.
func (n *Notes) Unexplained(reasons map[string]string) (queries []string) {
	for _, q := range n.signals.Queries() {
		explained := false
		for event := range reasons {
			explained = explained || strings.Contains(q.Until, event)
		}
		if n.Of(q).Series == 0 && !explained {
			queries = append(queries, q.String()+": until "+q.Until)
		}
	}
	return queries
}

// Rows are a Markdown table of what each query returned, panels first.
func (n *Notes) Rows() (rows []string) {
	row := func(q signals.Query, unit string) {
		where := q.Panel
		if q.RefID != "" {
			where += " " + q.RefID
		}
		if seen := n.Of(q); seen.Series > 0 {
			rows = append(rows, fmt.Sprintf("| %s | %s | %d | %.3g to %.3g |", where, unit, seen.Series, seen.Low, seen.High))
		} else {
			rows = append(rows, fmt.Sprintf("| %s | %s | 0 | |", where, unit))
		}
	}
	for _, p := range n.signals.Panels {
		for _, q := range p.Queries {
			row(q, p.Unit)
		}
	}
	for _, a := range n.signals.Alerts {
		row(a.Query, "")
	}
	return rows
}
