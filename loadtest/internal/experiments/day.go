package experiments

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// What claim 33 says: the share of the way to balance, so many hours after 3->10, with the half width within which a
// simulated share counts as that. At 4 to 8 h the claim is a range of hours by itself.
const (
	claimedHour, hourTolerance = 0.20, 0.05
	claimedHalf, halfTolerance = 0.50, 0.10
	claimedDay                 = 0.90 // "near balanced"
)

// lengths is a distribution of the sessions' length in hours.
type lengths struct {
	name string
	mean float64
	draw func(*rand.Rand) float64
}

func exponential(name string, mean float64) lengths {
	return lengths{name, mean, func(r *rand.Rand) float64 { return mean * r.ExpFloat64() }}
}

// logNormal has a long tail: most sessions are short, and some last a day.
func logNormal(name string, median, sigma float64) lengths {
	return lengths{name, median * math.Exp(sigma*sigma/2), func(r *rand.Rand) float64 {
		return median * math.Exp(sigma*r.NormFloat64())
	}}
}

// balance is how far the load has come to balance after some hours, 0 to 1, for one distribution.
type balance struct {
	name                           string
	hour, four, eight, twentyFours float64
}

// dayAfter is claim 33.
func dayAfter(ctx context.Context, env Env) (claims.Finding, error) {
	r := env.rand(33)
	var found []balance
	for _, l := range []lengths{
		exponential("exponential, mean 10 min", 1.0/6),
		exponential("exponential, mean 1 h", 1),
		exponential("exponential, mean 5 h", 5),
		exponential("exponential, mean 12 h", 12),
		logNormal("lognormal, median 10 min, sigma 1.5", 1.0/6, 1.5),
		{"constant 8 h", 8, func(*rand.Rand) float64 { return 8 }},
	} {
		if err := ctx.Err(); err != nil {
			return claims.Finding{}, err
		}
		found = append(found, simulateBalance(r, l))
	}
	return judgeBalance(found), nil
}

// simulateBalance lets sessions arrive at random at a constant rate. At hour 0 the fleet grows; sessions from before stay
// where they are, as the token says, and later ones are spread evenly over all pods. The load is then as far on its way to
// balance as the share of live sessions that arrived after hour 0.
func simulateBalance(r *rand.Rand, l lengths) balance {
	const alive = 20_000 // sessions at once: a third of a point of noise
	rate := alive / l.mean
	// Long enough before hour 0 that nearly all sessions alive by then are there, the tail included.
	warmup := 30 * l.mean
	checks := []float64{1, 4, 8, 24}
	before, after := make([]float64, len(checks)), make([]float64, len(checks))
	for at := -warmup; at < checks[len(checks)-1]; at += r.ExpFloat64() / rate {
		end := at + l.draw(r)
		for i, t := range checks {
			switch {
			case at > t || end <= t:
			case at < 0:
				before[i]++
			default:
				after[i]++
			}
		}
	}
	progress := func(i int) float64 { return after[i] / (before[i] + after[i]) }
	return balance{l.name, progress(0), progress(1), progress(2), progress(3)}
}

func (b balance) asClaimed() bool {
	halfway := slices.ContainsFunc([]float64{b.four, b.eight}, func(v float64) bool { return math.Abs(v-claimedHalf) <= halfTolerance })
	return math.Abs(b.hour-claimedHour) <= hourTolerance && halfway && b.twentyFours >= claimedDay
}

func judgeBalance(found []balance) claims.Finding {
	f := claims.Finding{Figures: map[string]float64{}, Note: "simulated, no pods involved"}
	var matching []string
	for i, b := range found {
		if i > 0 {
			f.Measured += "; "
		}
		f.Measured += fmt.Sprintf("%s: %.0f%% at 1 h, %.0f–%.0f%% at 4–8 h, %.0f%% at 24 h",
			b.name, 100*b.hour, 100*b.four, 100*b.eight, 100*b.twentyFours)
		f.Figures[b.name+" 1h"], f.Figures[b.name+" 4h"] = b.hour, b.four
		f.Figures[b.name+" 8h"], f.Figures[b.name+" 24h"] = b.eight, b.twentyFours
		if b.asClaimed() {
			matching = append(matching, b.name)
		}
	}
	switch len(matching) {
	case 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case len(found):
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = fmt.Sprintf("on how long sessions last: as claimed only for %s; %s", strings.Join(matching, ", "), f.Note)
	}
	return f
}
