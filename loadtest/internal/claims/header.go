package claims

import (
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/report/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// silently is how many of a hundred requests may fail for an error to go unnoticed.
const silently = 0.01

// withoutHeader is claim 17.
func withoutHeader(e evidence) (Finding, bool) {
	e = e.under("no-header")
	lenient := e.where(func(r *reportv1.Result) bool { return r.GetSettings()[settingSessionMode] == "lenient" })
	strict := e.where(func(r *reportv1.Result) bool { return r.GetSettings()[settingSessionMode] == "strict" })
	misroutes, ok := lenient.count(figures.Misroutes)
	failed, okFailed := lenient.count(figures.RequestsFailed)
	requests := lenient.requests()
	if !ok || !okFailed || requests < minSessions {
		return Finding{}, false
	}
	lost := float64(misroutes) / float64(requests)
	f := Finding{
		Measured: fmt.Sprintf("lenient: %s of %d requests reached another pod and %d failed", percent(lost), requests, failed),
		Figures:  map[string]float64{"lenient_misroute_share": lost, "lenient_failed": float64(failed)},
	}
	var refused uint64
	for _, r := range strict.results {
		refused += r.GetErrors()[codeSessionMissing()]
	}
	if n := strict.requests(); n > 0 {
		f.Measured += fmt.Sprintf("; strict: %d of %d refused with session_missing", refused, n)
		f.Figures["strict_refused"], f.Figures["strict_requests"] = float64(refused), float64(n)
	}
	switch {
	case lost < spreadShare || float64(failed) > silently*float64(requests):
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case refused == 0:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on what better means: affinity is lost without a word, but no strict run in this report shows the refusal"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	}
	return f, true
}
