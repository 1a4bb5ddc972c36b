package claims

import (
	"fmt"
	"strings"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// withoutMocks is claim 20.
func withoutMocks(e evidence) (Finding, bool) {
	if e.empty() {
		return Finding{}, false
	}
	embedded := 0
	for _, r := range e.results {
		if strings.HasPrefix(r.GetSettings()[settingRedis], embeddedRedis) {
			embedded++
		}
	}
	f := Finding{
		Measured: fmt.Sprintf("%d valid runs of real processes, sockets and calls; %d of them with an embedded Redis", len(e.results), embedded),
		Figures:  map[string]float64{"runs": float64(len(e.results)), "embedded_redis_runs": float64(embedded)},
		Verdict:  reportv1.Verdict_VERDICT_DEPENDS,
		Note:     "on what counts: routing, media and Redis are real here, the model's inference is simulated",
	}
	if embedded > 0 {
		f.Note = "on what counts: the model's inference is simulated, and some runs stood in for Redis as well (with redis-server installed none does)"
	}
	return f, true
}
