package signals_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/smaran-v2/smaran/loadtest/internal/signals"
)

const (
	root          = "../../../"
	observability = root + "deploy/observability"
)

func read(t *testing.T) *signals.Signals {
	t.Helper()
	s, err := signals.Read(observability)
	require.NoError(t, err)
	return s
}

func TestEachQueryIsFound(t *testing.T) {
	s := read(t)
	seen := map[string]bool{}
	for _, q := range s.Queries() {
		require.False(t, seen[q.String()], "two are %s", q)
		seen[q.String()] = true
		require.NotEmpty(t, q.Expr, q)
		require.NotContains(t, q.Expr, "$__", q)
		require.NotEmpty(t, q.Metrics, q)
	}
	require.Equal(t, strings.Count(everything(t, "grafana/dashboards/*.json"), `"expr":`)+strings.Count(everything(t, "prometheus/alerts.yml"), "- alert:"), len(seen))
	for _, a := range s.Alerts {
		require.NotEmpty(t, a.Until, "%s: an alert returns nothing until it fires", a.Panel)
	}
}

// everything is the text of the files that match.
func everything(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(observability, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

func TestPanelsSayWhatTheyShow(t *testing.T) {
	for _, p := range read(t).Panels {
		require.NotEmpty(t, p.Queries, "%s: %s", p.File, p.Title)
		require.NotEmpty(t, p.Unit, "%s: %s has no unit", p.File, p.Title)
		require.Contains(t, p.Description, "Good:", "%s: %s does not say what good looks like", p.File, p.Title)
	}
}

func TestDashboardsShowWhatAffinityIsJudgedBy(t *testing.T) {
	want := map[string][]string{
		"grafana/dashboards/affinity.json": {"Request rate by pod", "Distribution over pods", "Pod count", "Stickiness", "Outlier ejections",
			"Active connections by pod", "Inference latency", "Disconnects by class", "Moved sessions, expected and observed", "Cold starts",
			"Handoffs", "Drain countdown"},
		"grafana/dashboards/mesh.json": {"Pods in the cluster", "Outlier ejections", "Connections", "Retries", "Requests by code", "Picks by pod"},
	}
	got := map[string][]string{}
	for _, p := range read(t).Panels {
		got[p.File] = append(got[p.File], p.Title)
	}
	for file, titles := range want {
		require.Subset(t, got[file], titles, file)
	}
}

//lint:ignore SA1019 a file that Grafana provisions is one, whatever its API prefers
type classic = dashboard.Dashboard

// Grafana's own types, which refuse a field that they do not know.
func TestDashboardsAreGrafanas(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	var provisioned struct {
		Datasources []struct{ UID, Type string }
	}
	text, err := os.ReadFile(filepath.Join(observability, "grafana/provisioning/datasources/datasources.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &provisioned))
	uids := map[string]string{}
	for _, source := range provisioned.Datasources {
		uids[source.UID] = source.Type
	}
	paths, err := filepath.Glob(observability + "/grafana/dashboards/*.json")
	require.NoError(t, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var board classic
		require.Empty(t, misfits(t, board.UnmarshalJSONStrict(text)), path)
		require.NoError(t, board.Validate(), path)
		require.NotNil(t, board.Uid, path)
		for _, panel := range board.Panels {
			if panel.Panel == nil {
				continue
			}
			require.NotNil(t, panel.Panel.Datasource, *panel.Panel.Title)
			require.Equal(t, uids[*panel.Panel.Datasource.Uid], *panel.Panel.Datasource.Type, *panel.Panel.Title)
		}

		var doctored map[string]any
		require.NoError(t, json.Unmarshal(text, &doctored))
		doctored["panles"] = []any{}
		text, err = json.Marshal(doctored)
		require.NoError(t, err)
		require.NotEmpty(t, misfits(t, new(classic).UnmarshalJSONStrict(text)), "the check can fail")
	}
}

// misfits are what an error of Grafana's types holds: without any it is no nil, either.
func misfits(t *testing.T, err error) cog.BuildErrors {
	t.Helper()
	var all cog.BuildErrors
	if !errors.As(err, &all) {
		require.NoError(t, err)
	}
	return all
}

// Okabe and Ito's palette: its colours differ for those who see fewer, too. Grey is for what is beside the point.
func TestColoursAreToldApartByAll(t *testing.T) {
	palette := []string{"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999"}
	found := regexp.MustCompile(`"(?:fixedColor|color)": "([^"]+)"`).FindAllStringSubmatch(everything(t, "grafana/dashboards/*.json"), -1)
	require.NotEmpty(t, found)
	for _, colour := range found {
		require.Contains(t, palette, colour[1])
	}
	require.NotContains(t, everything(t, "grafana/dashboards/*.json"), "palette-classic", "Grafana's own colours for what is not named")
}

func TestEachAlertHasARunbook(t *testing.T) {
	const runbooks = "docs/runbooks.md"
	text, err := os.ReadFile(root + runbooks)
	require.NoError(t, err)
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(text), "\n## ") {
		title, body, _ := strings.Cut(section, "\n")
		sections[title] = body
	}
	alerts := read(t).Alerts
	require.NotEmpty(t, alerts)
	for _, a := range alerts {
		require.Equal(t, "https://github.com/smaran-v2/smaran/blob/main/"+runbooks+"#"+strings.ToLower(a.Panel), a.Runbook)
		require.Contains(t, sections, a.Panel)
		for _, part := range []string{"Means", "Callers feel", "Look at", "Causes", "Fix", "Make it fire"} {
			require.Contains(t, sections[a.Panel], "**"+part+".**", "%s of %s", part, a.Panel)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const board, alerts, empty = "grafana/dashboards/affinity.json", "prometheus/alerts.yml", "empty.yaml"
	for name, c := range map[string]struct{ file, old, new, want string }{
		"a variable without a value":     {board, `[$__rate_interval]`, `[$__rate]`, "no value for the variable $__rate"},
		"a query that does not parse":    {board, `sum by (pod) (rate(`, `sum by (pod) rate(`, "parse error"},
		"a query that names no metric":   {board, `max by (health) (smaran_endpoints)`, `max by (health) ({__name__=~\"smaran_.+\"})`, "without naming"},
		"an alert that does not parse":   {alerts, `up{job!="loadtest"} == 0`, `up{job!="loadtest"} === 0`, "TargetDown"},
		"an entry that is about nothing": {empty, "panel: TargetDown", "panel: TargetUp", "there is no query"},
		"an entry without its event":     {empty, `until: "a pod is frozen"`, `until: ""`, "until is missing"},
		"an entry with a field too many": {empty, "panel: TargetDown", "panel: TargetDown, ref: A", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(observability)))
			text, err := os.ReadFile(filepath.Join(dir, c.file))
			require.NoError(t, err)
			doctored := strings.Replace(string(text), c.old, c.new, 1)
			require.NotEqual(t, string(text), doctored)
			require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), []byte(doctored), 0o644))
			_, err = signals.Read(dir)
			require.ErrorIs(t, err, signals.ErrSignals)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := signals.Read(t.TempDir())
	require.ErrorIs(t, err, signals.ErrSignals)
}

func TestTable(t *testing.T) {
	const text = `
| job | what |
|---|---|
| smaran | the coordinator |

| name | type | unit | labels | emitted by | says |
|---|---|---|---|---|---|
| ` + "`a_total`" + ` | counter | | ` + "`result=kept\\|moved`" + ` | smaran | counts |
| ` + "`a_seconds`" + ` | histogram | seconds | | jarvis | times |

After it: | no | row |
`
	metrics, err := signals.Table(text)
	require.NoError(t, err)
	require.Equal(t, []signals.Metric{
		{Name: "a_total", Type: "counter", Labels: "result=kept|moved", EmittedBy: "smaran", Says: "counts"},
		{Name: "a_seconds", Type: "histogram", Unit: "seconds", EmittedBy: "jarvis", Says: "times"},
	}, metrics)
	for series, want := range map[string]bool{"a_total": true, "a_total_bucket": false, "a": false} {
		require.Equal(t, want, metrics[0].Has(series), series)
	}
	for series, want := range map[string]bool{"a_seconds": true, "a_seconds_bucket": true, "a_seconds_count": true, "a_seconds_max": false} {
		require.Equal(t, want, metrics[1].Has(series), series)
	}
	for _, wrong := range []string{"", "| a | b |", text + "\n| name | type | unit | labels | emitted by | says |\n| b | meter | | | | |",
		"| name | type | unit | labels | emitted by | says |\n| b | gauge |"} {
		_, err := signals.Table(wrong)
		require.ErrorIs(t, err, signals.ErrTable)
	}
}

// others are series that no program of ours emits; a dashboard may ask for these and for no more.
var others = []string{
	// Prometheus' own.
	"ALERTS", "up",
	// Envoy's: "Statistics" of its cluster manager.
	"envoy_cluster_membership_healthy", "envoy_cluster_outlier_detection_ejections_active", "envoy_cluster_upstream_cx_active",
	"envoy_cluster_upstream_rq", "envoy_cluster_upstream_rq_active", "envoy_cluster_upstream_rq_retry",
	// Istio's: "Standard Metrics".
	"istio_request_duration_milliseconds_bucket", "istio_requests_total", "istio_tcp_connections_opened_total",
}

func TestOthersAreAskedFor(t *testing.T) {
	require.Subset(t, read(t).Metrics(), others, "one that nobody asks for is no exception")
}
