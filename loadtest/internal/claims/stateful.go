package claims

import (
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Shares of the sessions at new pods up to which a fleet that grew from three to ten is uneven, and from which it is even. Even
// would be 70%: half of that is halfway to balance, and six sevenths of it is as near as a few dozen sessions can tell. The load of
// the most loaded pod would say less: with 24 sessions spread at random over ten pods, one of them has twice the mean.
const (
	unevenShare = 0.35
	evenShare   = 0.60
)

// unevenAfterScaling is claim 27. A session that did not move is at an old pod, so no more can be at new ones than moved.
func unevenAfterScaling(e evidence) (Finding, bool) {
	m, ok := e.of(statefulBackends...).moved(scaled(3, 10))
	if !ok || m.Observed < minSessions {
		return Finding{}, false
	}
	share, _ := m.Share()
	f := Finding{
		Measured: fmt.Sprintf("once the fleet had settled after 3->10, at most %s of %d sessions were at the seven new pods (even: 70%%)",
			percent(share), m.Observed),
		Figures: map[string]float64{"at_new_pods_at_most": share, "observed": float64(m.Observed)},
		Note:    "over the seconds of one run; see claim 33 for a day",
	}
	if ring, ok := e.of(ringBackends...).moved(scaled(3, 10)); ok && ring.Observed >= minSessions {
		moved, _ := ring.Share()
		f.Measured += fmt.Sprintf("; with the ring %s moved", percent(moved))
		f.Figures["ring_moved_share"] = moved
	}
	switch {
	case share <= unevenShare:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case share >= evenShare:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on how many sessions are new: " + f.Note
	}
	return f, true
}

// statefulLosesNone is claim 29.
func statefulLosesNone(e evidence) (Finding, bool) {
	e = e.of(statefulBackends...)
	grow := func(event *reportv1.Event) bool { return scaled(3, 5)(event) || scaled(3, 10)(event) }
	out, okOut := e.moved(grow)
	outLost, okOutLost := e.eventCount(grow, figures.StateLost)
	in, okIn := e.moved(scaled(10, 3))
	inLost, okInLost := e.eventCount(scaled(10, 3), figures.StateLost)
	okOut = okOut && okOutLost && out.Observed >= minSessions
	okIn = okIn && okInLost && in.Observed >= minSessions
	if !okOut && !okIn {
		return Finding{}, false
	}
	f := Finding{Figures: map[string]float64{}}
	if okOut {
		f.Measured = fmt.Sprintf("scaling out: %d of %d sessions moved, %d lost state", out.Moved, out.Observed, outLost)
		f.Figures["out_moved"], f.Figures["out_observed"], f.Figures["out_state_lost"] = float64(out.Moved), float64(out.Observed), float64(outLost)
	}
	if okIn {
		if okOut {
			f.Measured += "; "
		}
		f.Measured += fmt.Sprintf("scaling in 10->3: %d of %d moved, %d lost state", in.Moved, in.Observed, inLost)
		f.Figures["in_moved"], f.Figures["in_observed"], f.Figures["in_state_lost"] = float64(in.Moved), float64(in.Observed), float64(inLost)
	}
	lostOut := okOut && out.Moved+outLost > 0
	lostIn := okIn && in.Moved+inLost > 0
	switch {
	case lostOut:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case lostIn && okOut:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on the direction: true when scaling out, not when pods go"
	case lostIn:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case okOut && okIn:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the direction: the other one is not in this report (bin/loadtest compare)"
	}
	return f, true
}

// statefulRestart is claim 30.
func statefulRestart(e evidence) (Finding, bool) {
	e = e.of(statefulBackends...)
	m, ok := e.moved(named("rollout"))
	lost, okLost := e.eventCount(named("rollout"), figures.StateLost)
	if !ok || !okLost || m.Observed < minSessions {
		return Finding{}, false
	}
	f := Finding{
		Measured: fmt.Sprintf("in a rollout %d of %d sessions moved, %d lost their state", m.Moved, m.Observed, lost),
		Figures:  map[string]float64{"moved": float64(m.Moved), "observed": float64(m.Observed), "state_lost": float64(lost)},
		Verdict:  reportv1.Verdict_VERDICT_REPRODUCED,
	}
	if m.Moved+lost > 0 {
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "the token names an address, and the pod behind it is gone, or is another process without the state"
	}
	return f, true
}
