package signals

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"
)

// ErrSignals is returned for files below deploy/observability that do not say what they have to, wrapped with where and what.
var ErrSignals = errors.New("signals: cannot read")

// Where things stand below deploy/observability.
const (
	dashboardsDir = "grafana/dashboards"
	alertsFile    = "prometheus/alerts.yml"
	emptyFile     = "empty.yaml"
)

// Query is one PromQL expression.
type Query struct {
	// File is its path below deploy/observability; Panel is the title of the panel, or the name of the alert, and RefID the query's letter in
	// its panel, empty for an alert.
	File, Panel, RefID string
	// Expr has values in place of Grafana's variables, so that Prometheus takes it.
	Expr string
	// Metrics are the names of the series it selects, sorted.
	Metrics []string
	// Until is the event before which it returns nothing, as empty.yaml has it; empty: it returns data wherever requests are served.
	Until string
}

func (q Query) String() string {
	return fmt.Sprintf("%s: %s %s", q.File, q.Panel, q.RefID)
}

// Panel is one of a dashboard, rows left out.
type Panel struct {
	File, Title, Kind, Description, Unit string
	Queries                              []Query
}

// Alert is a rule of Prometheus.
type Alert struct {
	Query
	// Runbook is the URL at which it is explained, with the anchor.
	Runbook string
}

// Signals is all that is asked.
type Signals struct {
	Panels []Panel
	Alerts []Alert
}

// Read reads the directory deploy/observability. It fails with ErrSignals for a query that does not parse, for a variable of Grafana that it
// has no value for, for a query that selects series without naming their metric, and for an entry of empty.yaml that is about no query.
func Read(dir string) (*Signals, error) {
	read := &Signals{}
	boards, err := filepath.Glob(filepath.Join(dir, dashboardsDir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignals, err)
	}
	if len(boards) == 0 {
		return nil, fmt.Errorf("%w: no dashboards in %s", ErrSignals, filepath.Join(dir, dashboardsDir))
	}
	for _, board := range boards {
		panels, err := readDashboard(dir, dashboardsDir+"/"+filepath.Base(board))
		if err != nil {
			return nil, err
		}
		read.Panels = append(read.Panels, panels...)
	}
	if read.Alerts, err = readAlerts(dir); err != nil {
		return nil, err
	}
	return read, read.markEmpty(dir)
}

// Queries are those of all panels, then those of all alerts.
func (s *Signals) Queries() (all []Query) {
	for _, p := range s.Panels {
		all = append(all, p.Queries...)
	}
	for _, a := range s.Alerts {
		all = append(all, a.Query)
	}
	return all
}

// Metrics are the names that any query selects, sorted.
func (s *Signals) Metrics() (names []string) {
	for _, q := range s.Queries() {
		names = append(names, q.Metrics...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// empty is one entry of empty.yaml.
type empty struct {
	File  string `json:"file"`
	Panel string `json:"panel"`
	// RefID is left out where it is about all queries of the panel.
	RefID string `json:"refId"`
	Until string `json:"until"`
}

func (e empty) about(q Query) bool {
	return e.File == q.File && e.Panel == q.Panel && (e.RefID == "" || e.RefID == q.RefID)
}

func (s *Signals) markEmpty(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, emptyFile))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignals, err)
	}
	var entries []empty
	if err := yaml.UnmarshalStrict(text, &entries); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSignals, emptyFile, err)
	}
	for _, e := range entries {
		if e.Until == "" {
			return fmt.Errorf("%w: %s: %s %q: until is missing", ErrSignals, emptyFile, e.File, e.Panel)
		}
		found := false
		mark := func(q *Query) {
			if e.about(*q) {
				q.Until, found = e.Until, true
			}
		}
		for i := range s.Panels {
			for j := range s.Panels[i].Queries {
				mark(&s.Panels[i].Queries[j])
			}
		}
		for i := range s.Alerts {
			mark(&s.Alerts[i].Query)
		}
		if !found {
			return fmt.Errorf("%w: %s: there is no query %s %q %s", ErrSignals, emptyFile, e.File, e.Panel, e.RefID)
		}
	}
	return nil
}
