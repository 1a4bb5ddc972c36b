package signals_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

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
	for _, q := range read(t).Queries() {
		status, body := ask(t, addr, "/api/v1/query", url.Values{"query": {q.Expr}})
		require.Equal(t, http.StatusOK, status, "%s: %s", q, body)
	}
	status, _ := ask(t, addr, "/api/v1/query", url.Values{"query": {"sum by (pod) rate("}})
	require.Equal(t, http.StatusBadRequest, status)

	var loaded struct {
		Data struct {
			Groups []struct{ Rules []struct{ Name string } }
		}
	}
	_, body := ask(t, addr, "/api/v1/rules", nil)
	require.NoError(t, json.Unmarshal(body, &loaded))
	require.Len(t, loaded.Data.Groups, 1)
	require.Len(t, loaded.Data.Groups[0].Rules, len(read(t).Alerts))
}

// ask Prometheus.
func ask(t require.TestingT, addr, path string, values url.Values) (status int, body json.RawMessage) {
	res, err := http.Get("http://" + addr + path + "?" + values.Encode())
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
	return res.StatusCode, body
}

// found are the labels of the series that a query returns.
func found(t require.TestingT, addr, query string) (series []map[string]string) {
	_, body := ask(t, addr, "/api/v1/query", url.Values{"query": {query}})
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	require.NoError(t, json.Unmarshal(body, &answer))
	for _, r := range answer.Data.Result {
		delete(r.Metric, "instance")
		series = append(series, r.Metric)
	}
	return series
}

// TestTheClusterLooksLikeTheOthers: with what Kubernetes would say of pods, and what Istio's Envoys name theirs, job, pod and Envoy's own labels
// are those of docker compose.
func TestTheClusterLooksLikeTheOthers(t *testing.T) {
	const istio = "outbound|80||jarvis-service.dev.svc.cluster.local"
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, `# TYPE envoy_cluster_membership_healthy gauge
envoy_cluster_membership_healthy{cluster_name="`+istio+`"} 3
envoy_cluster_membership_healthy{cluster_name="xds-grpc"} 1
# TYPE envoy_cluster_upstream_rq_200 counter
envoy_cluster_upstream_rq_200{cluster_name="`+istio+`"} 5
# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{response_code="503",cluster_name="`+istio+`"} 1
envoy_cluster_upstream_rq{response_code_class="5xx",cluster_name="`+istio+`"} 1
# TYPE envoy_server_uptime gauge
envoy_server_uptime{} 1
# TYPE istio_requests_total counter
istio_requests_total{reporter="source",response_code="200"} 5
`)
	}))
	defer metrics.Close()
	const meta = "__meta_kubernetes_pod_"
	target := func(labels map[string]string) map[string]any {
		labels[meta+"phase"] = "Running"
		return map[string]any{"targets": []string{metrics.Listener.Addr().String()}, "labels": labels}
	}
	said := map[string][]map[string]any{
		"pods": {
			target(map[string]string{meta + "annotation_prometheus_io_scrape": "true", meta + "annotation_prometheus_io_port": "9090",
				meta + "container_port_number": "9090", meta + "label_app": "smaran-v2", meta + "name": "smaran-v2-7d"}),
			target(map[string]string{meta + "annotation_prometheus_io_scrape": "true", meta + "annotation_prometheus_io_port": "9090",
				meta + "container_port_number": "9090", meta + "label_app": "jarvis", meta + "name": "jarvis-5f"}),
			target(map[string]string{meta + "annotation_prometheus_io_scrape": "true", meta + "annotation_prometheus_io_port": "9090",
				meta + "container_port_number": "8080", meta + "label_app": "jarvis", meta + "name": "another port"}),
			target(map[string]string{meta + "container_port_number": "6379", meta + "label_app": "redis", meta + "name": "not annotated"}),
		},
		"envoy": {
			target(map[string]string{meta + "container_port_name": "http-envoy-prom", meta + "name": "smaran-v2-7d"}),
			target(map[string]string{meta + "container_port_name": "http", meta + "name": "another port"}),
		},
	}
	dir := configured(t, places["cluster"])
	edit(t, filepath.Join(dir, "prometheus.yml"), func(config map[string]any) {
		config["global"].(map[string]any)["scrape_interval"] = "1s"
	})
	edit(t, filepath.Join(dir, "scrape.yml"), func(config map[string]any) {
		for _, job := range config["scrape_configs"].([]any) {
			job := job.(map[string]any)
			require.Contains(t, job, "kubernetes_sd_configs")
			delete(job, "kubernetes_sd_configs")
			job["static_configs"] = said[job["job_name"].(string)]
		}
	})
	addr := testreal.StartPrometheus(t, dir)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.ElementsMatch(c, []map[string]string{
			{"__name__": "up", "job": "smaran", "pod": "smaran-v2-7d"}, {"__name__": "up", "job": "jarvis", "pod": "jarvis-5f"},
			{"__name__": "up", "job": "envoy", "pod": "smaran-v2-7d"},
		}, found(c, addr, "up"))
		require.Equal(c, []map[string]string{{"pod": "smaran-v2-7d"}},
			found(c, addr, `max by (pod) (envoy_cluster_membership_healthy{job="envoy",envoy_cluster_name="jarvis"})`))
		require.ElementsMatch(c, []map[string]string{{"envoy_response_code": "200"}, {"envoy_response_code": "503"}},
			found(c, addr, `sum by (envoy_response_code) (envoy_cluster_upstream_rq{job="envoy",envoy_cluster_name="jarvis"})`))
		require.Equal(c, []map[string]string{{"response_code": "200"}}, found(c, addr, `sum by (response_code) (istio_requests_total{job="envoy"})`))
		require.Empty(c, found(c, addr, `envoy_server_uptime{job="envoy"}`))
	}, 20*time.Second, 100*time.Millisecond)
}

// edit changes a file of YAML.
func edit(t *testing.T, path string, change func(map[string]any)) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, yaml.Unmarshal(text, &config))
	change(config)
	text, err = yaml.Marshal(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o644))
}

// TestExemplarsAreFoundByTheClassicBuckets: services show a histogram in both forms, and dashboards ask for the classic one and its exemplars.
func TestExemplarsAreFoundByTheClassicBuckets(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	registry := prometheus.NewRegistry()
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "duration_seconds", Help: "Of one inference.",
		Buckets: []float64{.1, 1}, NativeHistogramBucketFactor: 1.1})
	registry.MustRegister(duration)
	duration.(prometheus.ExemplarObserver).ObserveWithExemplar(.85, prometheus.Labels{"trace_id": trace})
	metrics := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	defer metrics.Close()

	dir := configured(t, places["local"])
	edit(t, filepath.Join(dir, "prometheus.yml"), func(config map[string]any) {
		config["global"].(map[string]any)["scrape_interval"] = "1s"
	})
	edit(t, filepath.Join(dir, "scrape.yml"), func(config map[string]any) {
		config["scrape_configs"] = []any{map[string]any{"job_name": "jarvis", "static_configs": []any{
			map[string]any{"targets": []any{metrics.Listener.Addr().String()}}}}}
	})
	addr := testreal.StartPrometheus(t, dir)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Len(c, found(c, addr, "duration_seconds_bucket"), 3)
		require.Len(c, found(c, addr, "histogram_count(duration_seconds) > 0"), 1, "the native form")
		now := time.Now()
		_, body := ask(c, addr, "/api/v1/query_exemplars", url.Values{
			"query": {"histogram_quantile(0.99, sum by (le) (rate(duration_seconds_bucket[1m])))"},
			"start": {now.Add(-time.Hour).Format(time.RFC3339)}, "end": {now.Add(time.Minute).Format(time.RFC3339)}})
		require.Contains(c, string(body), trace)
	}, 20*time.Second, 100*time.Millisecond)
}
