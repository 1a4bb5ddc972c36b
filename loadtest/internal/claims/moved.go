package claims

import (
	"fmt"
	"math"

	"github.com/smaran-v2/smaran/loadtest/internal/report/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// MovedTolerance is how far, in points of share, a measured share may be from a claimed "about": half of what lies between
// the neighbouring claims (30% and 40%).
const MovedTolerance = 0.05

// movedOn3To10 is claim 11.
func movedOn3To10(e evidence) (Finding, bool) { return movedAbout(e, 3, 10, 0.30) }

// movedOn3To5 is claim 12.
func movedOn3To5(e evidence) (Finding, bool) { return movedAbout(e, 3, 5, 0.40) }

func movedAbout(e evidence, from, to uint, claimed float64) (Finding, bool) {
	ring, okRing := e.of(ringBackends...).moved(scaled(from, to))
	maglev, okMaglev := e.of(maglevBackends...).moved(scaled(from, to))
	okRing = okRing && ring.Observed >= minSessions
	okMaglev = okMaglev && maglev.Observed >= minSessions
	if !okRing && !okMaglev {
		return Finding{}, false
	}
	f := Finding{
		Figures: map[string]float64{"claimed_share": claimed, "least_share": 1 - float64(from)/float64(to)},
		Note: fmt.Sprintf("the fewest that must move on %d->%d are %s; what in theory stays is %s",
			from, to, percent(1-float64(from)/float64(to)), percent(float64(from)/float64(to))),
	}
	var near []string
	add := func(name string, m figures.Moved) {
		share, _ := m.Share()
		f.Figures[name+"_share"], f.Figures[name+"_observed"] = share, float64(m.Observed)
		line := fmt.Sprintf("%s moved %s of %d sessions", name, percent(share), m.Observed)
		if predicted, ok := m.PredictedShare(); ok {
			f.Figures[name+"_predicted_share"] = predicted
			line += fmt.Sprintf(" (predicted %s)", percent(predicted))
		}
		if f.Measured != "" {
			f.Measured += "; "
		}
		f.Measured += line
		if math.Abs(share-claimed) <= MovedTolerance {
			near = append(near, name)
		}
	}
	if okRing {
		add("ring", ring)
	}
	if okMaglev {
		add("maglev", maglev)
	}
	switch {
	case len(near) == 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case okRing && near[0] == "ring" || !okRing:
		// The ring is Istio's default; without it only Maglev was asked.
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the algorithm: true of Maglev, not of Istio's default ring; " + f.Note
	}
	return f, true
}

// Shares at which "all traffic rebalances" counts as true and as false: allow for a tenth that stays, or moves, by chance.
const (
	nearlyAll  = 0.90
	nearlyNone = 0.10
)

// redisRebalances is claim 7.
func redisRebalances(e evidence) (Finding, bool) {
	m, ok := e.of(redisBackends...).moved(scaled(3, 10))
	if !ok || m.Observed < minSessions {
		return Finding{}, false
	}
	share, _ := m.Share()
	f := Finding{
		Measured: fmt.Sprintf("%s of %d sessions moved on 3->10 with a live mapping in Redis", percent(share), m.Observed),
		Figures:  map[string]float64{"moved_share": share, "observed": float64(m.Observed)},
		Note:     "a mapping that is alive names its pod, whatever joins",
	}
	switch {
	case share >= nearlyAll:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_REPRODUCED, ""
	case share <= nearlyNone:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	default:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on how many mappings had expired by then"
	}
	return f, true
}
