package signals_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/testreal"
)

// places are where targets are found, each by a file that Prometheus has beside its configuration as scrape.yml.
var places = map[string]string{"compose": "compose.yml", "cluster": "cluster.yml", "local": "local/scrape.yml"}

// configured is a directory with what a place's Prometheus is configured by.
func configured(t *testing.T, scrape string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for from, to := range map[string]string{"prometheus.yml": "prometheus.yml", "alerts.yml": "alerts.yml", "alerts_test.yml": "alerts_test.yml", scrape: "scrape.yml"} {
		text, err := os.ReadFile(filepath.Join(observability, "prometheus", from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, to), text, 0o644))
	}
	return dir
}

func TestPromtoolTakesTheConfiguration(t *testing.T) {
	for place, scrape := range places {
		t.Run(place, func(t *testing.T) {
			said := testreal.Promtool(t, "check", "config", filepath.Join(configured(t, scrape), "prometheus.yml"))
			require.Contains(t, said, "is valid prometheus config file syntax")
			require.NotContains(t, said, "FAILED")
		})
	}
}

func TestAlertsFireAndDoNot(t *testing.T) {
	dir := configured(t, places["local"])
	said := testreal.Promtool(t, "test", "rules", filepath.Join(dir, "alerts_test.yml"))
	require.Contains(t, said, "SUCCESS")
	require.NotContains(t, said, "FAILED")
	// A rule that never fires is noticed.
	for _, a := range read(t).Alerts {
		rules, err := os.ReadFile(filepath.Join(observability, "prometheus", "alerts.yml"))
		require.NoError(t, err)
		head, tail, found := strings.Cut(string(rules), "- alert: "+a.Panel+"\n")
		require.True(t, found)
		doctored := head + "- alert: " + a.Panel + "\n        expr: vector(0) > 1\n" + strings.Replace(tail, "        expr:", "        was:", 1)
		doctored = dropKey(doctored, "        was:")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(doctored), 0o644))
		require.Contains(t, testreal.Promtool(t, "test", "rules", filepath.Join(dir, "alerts_test.yml")), "alertname: "+a.Panel, "nothing noticed that it does not fire")
	}
}

// dropKey leaves out a key of YAML, and what stands below it.
func dropKey(text, key string) string {
	var kept strings.Builder
	below := false
	indent := len(key) - len(strings.TrimLeft(key, " "))
	for line := range strings.Lines(text) {
		deeper := len(line)-len(strings.TrimLeft(line, " ")) > indent
		below = strings.HasPrefix(line, key) || below && deeper
		if !below {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// TestPrometheusTakesEachQuery: its parser is newer than the library that reads the queries here, and it has the last word.
func TestPrometheusTakesEachQuery(t *testing.T) {
	addr := testreal.StartPrometheus(t, configured(t, places["local"]))
	ask := func(path string, values url.Values) (status int, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path+"?"+values.Encode(), nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		var answer json.RawMessage
		require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
		return res.StatusCode, answer
	}
	for _, q := range read(t).Queries() {
		status, body := ask("/api/v1/query", url.Values{"query": {q.Expr}})
		require.Equal(t, http.StatusOK, status, "%s: %s", q, body)
	}
	status, _ := ask("/api/v1/query", url.Values{"query": {"sum by (pod) rate("}})
	require.Equal(t, http.StatusBadRequest, status)

	var loaded struct {
		Data struct {
			Groups []struct{ Rules []struct{ Name string } }
		}
	}
	_, body := ask("/api/v1/rules", nil)
	require.NoError(t, json.Unmarshal(body, &loaded))
	require.Len(t, loaded.Data.Groups, 1)
	require.Len(t, loaded.Data.Groups[0].Rules, len(read(t).Alerts))
}
