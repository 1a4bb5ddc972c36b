package claims

import (
	"fmt"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

const (
	// scatteredShare is the share of sessions served by more than one pod, while nothing changed, from which affinity is lost.
	// With affinity it is none; a session that asks at random among three pods just ten times stays at one with a chance of
	// 1 in 20,000.
	scatteredShare = 0.5
	// silently is how many of a hundred requests may fail for the loss to go unnoticed.
	silently = 0.01
)

// withoutHeader is claim 17. The scenario runs on lenient fleets; every run also asks its fleet once without the header, so
// the strict ones say how they refuse.
func withoutHeader(e evidence) (Finding, bool) {
	mode := func(want string) func(*reportv1.Result) bool {
		return func(r *reportv1.Result) bool { return r.GetSettings()[settingSessionMode] == want }
	}
	lenient := e.under("no-header").of(ringBackends...).where(mode("lenient"))
	scattered, ok := lenient.count(figures.ScatteredSessions)
	failed, okFailed := lenient.count(figures.RequestsFailed)
	cold, okCold := lenient.count(figures.ColdStarts)
	sessions, requests := lenient.sessions(), lenient.requests()
	if !ok || !okFailed || !okCold || sessions < minSessions {
		return Finding{}, false
	}
	lost := float64(scattered) / float64(sessions)
	f := Finding{
		Measured: fmt.Sprintf("lenient, through the ring: %d of %d sessions served by several pods, %d cold starts and %d failures in %d requests",
			scattered, sessions, cold, failed, requests),
		Figures: map[string]float64{
			"lenient_scattered_share": lost, "lenient_failed": float64(failed), "lenient_cold_starts": float64(cold),
			"lenient_requests": float64(requests),
		},
	}
	strict := e.where(mode("strict"))
	refused := strict.where(func(r *reportv1.Result) bool {
		return strings.HasSuffix(r.GetSettings()[settingNoHeaderAnswer], CodeSessionMissing())
	})
	if !strict.empty() {
		f.Measured += fmt.Sprintf("; strict: %d of %d fleets answered with %s", len(refused.results), len(strict.results), CodeSessionMissing())
		f.Figures["strict_fleets"], f.Figures["strict_refused"] = float64(len(strict.results)), float64(len(refused.results))
	}
	switch {
	case lost < scatteredShare || float64(failed) > silently*float64(requests):
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case strict.empty() || len(refused.results) < len(strict.results):
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on what better means: affinity is lost without a word, but this report does not show every strict fleet refusing"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	}
	return f, true
}
