package fleet

import (
	"encoding/json"
	"net/http"

	"connectrpc.com/connect"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	"github.com/smaran-v2/smaran/services/wire"
)

// pathTargets is where Prometheus finds what there is to scrape (http_sd_configs): smaran and the mesh, also while they are down, and every
// pod that is not, a frozen one included: what does not answer is worth an alert. A dead pod may be one that was scaled away.
const pathTargets = "/targets"

// scrapeTarget is a group of targets as Prometheus reads it.
type scrapeTarget struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// envoyMetrics is where Envoy has its metrics, and metricsPath the label by which Prometheus is told.
const (
	envoyMetrics = "/stats/prometheus"
	metricsPath  = "__metrics_path__"
)

// targets are the admin ports of a fleet, each with its job, by which dashboards ask, and its pod's or process' name.
func targets(s *fleetv1.StatusResponse) []scrapeTarget {
	out := []scrapeTarget{}
	for _, p := range s.GetProcesses() {
		if p.GetAdmin() == "" {
			continue
		}
		labels := map[string]string{"job": smaranName, "pod": p.GetName()}
		switch p.GetName() {
		case meshName, meshName + secondSuffix:
			labels["job"] = meshName
		}
		if p.GetKind() == kindEnvoy {
			labels["job"], labels[metricsPath] = kindEnvoy, envoyMetrics
		}
		out = append(out, scrapeTarget{[]string{p.GetAdmin()}, labels})
	}
	for _, p := range s.GetPods() {
		if p.GetPhase() != fleetv1.PodPhase_POD_PHASE_DEAD {
			out = append(out, scrapeTarget{[]string{p.GetAdmin()}, map[string]string{"job": "jarvis", "pod": p.GetName()}})
		}
	}
	return out
}

func serveTargets(s fleetv1connect.FleetServiceHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		res, err := s.Status(r.Context(), connect.NewRequest(&fleetv1.StatusRequest{}))
		if err != nil { // Prometheus keeps the targets that it has
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", wire.ContentTypeJSON)
		_ = json.NewEncoder(w).Encode(targets(res.Msg)) // whoever asked is gone otherwise
	}
}
