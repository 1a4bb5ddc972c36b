package claims

import (
	"fmt"
	"math"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// MovedTolerance is how far, in points of share, a share may be from a claimed "about": half of what lies between the
// neighbouring claims (30% and 40%).
const MovedTolerance = 0.05

// wideInterval is the half width of a share's interval beyond which it cannot tell "about 40%" from "about 50%". Then a
// measurement decides only against a claim, and the prediction over many sessions (package experiments) decides for it.
const wideInterval = 0.10

// movedOn3To10 is claim 11.
func movedOn3To10(e evidence) (Finding, bool) { return movedAbout(e, 3, 10, 0.30) }

// movedOn3To5 is claim 12.
func movedOn3To5(e evidence) (Finding, bool) { return movedAbout(e, 3, 5, 0.40) }

// about is what a measured share says of a claimed one.
type about int

const (
	tooFew about = iota // the interval holds the claimed share, and much else
	near
	off
)

func aboutShare(m figures.Moved, ok bool, claimed float64) about {
	if !ok || m.Observed < minSessions {
		return tooFew
	}
	low, high := Interval(m.Moved, m.Observed)
	share, _ := m.Share()
	switch {
	case low > claimed+MovedTolerance || high < claimed-MovedTolerance:
		return off
	case (high-low)/2 > wideInterval:
		return tooFew
	case math.Abs(share-claimed) <= MovedTolerance:
		return near
	default:
		return off
	}
}

// movedAbout sets what the ring and Maglev moved against a claimed share. Without a decision about the ring, which is Istio's
// default, there is none.
func movedAbout(e evidence, from, to uint, claimed float64) (Finding, bool) {
	ring, okRing := e.of(ringBackends...).moved(scaled(from, to))
	maglev, okMaglev := e.of(maglevBackends...).moved(scaled(from, to))
	byRing, byMaglev := aboutShare(ring, okRing, claimed), aboutShare(maglev, okMaglev, claimed)
	if byRing == tooFew {
		return Finding{}, false
	}
	f := Finding{
		Figures: map[string]float64{"claimed_share": claimed, "least_share": 1 - float64(from)/float64(to)},
		Note: fmt.Sprintf("the fewest that must move on %d->%d are %s; what in theory stays is %s",
			from, to, percent(1-float64(from)/float64(to)), percent(float64(from)/float64(to))),
	}
	f.Measured = f.share("ring", ring)
	if byMaglev != tooFew {
		f.Measured += "; " + f.share("maglev", maglev)
	}
	switch {
	case byRing == near:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case byMaglev == near:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the algorithm: true of Maglev, not of Istio's default ring; " + f.Note
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f, true
}

// share adds an algorithm's figures, and says them.
func (f Finding) share(name string, m figures.Moved) string {
	measured, _ := m.Share()
	low, high := Interval(m.Moved, m.Observed)
	f.Figures[name+"_share"], f.Figures[name+"_observed"] = measured, float64(m.Observed)
	f.Figures[name+"_low"], f.Figures[name+"_high"] = low, high
	line := fmt.Sprintf("%s moved %d of %d sessions (%s; 95%%: %s to %s)", name, m.Moved, m.Observed, percent(measured), percent(low), percent(high))
	if predicted, ok := m.PredictedShare(); ok {
		f.Figures[name+"_predicted_share"] = predicted
		line += fmt.Sprintf(", predicted %d", m.Predicted)
	}
	return line
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
