package experiments

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
)

const (
	pickHosts   = 10
	pickSamples = 200_000
	// claimedPick is what claim 8 says a pick takes less than.
	claimedPick = time.Millisecond
)

// pickTime is claim 8: the time of hashing a session and looking it up, each timed by itself.
func pickTime(ctx context.Context, env Env) (claims.Finding, error) {
	r := env.rand(8)
	ring, err := affinity.NewRing(hosts(r, pickHosts), affinity.Options{})
	if err != nil {
		return claims.Finding{}, err
	}
	ids := sessions(r, pickSamples)
	times := make([]time.Duration, len(ids))
	for i, id := range ids {
		start := time.Now()
		sink(ring.Pick(affinity.HashValue(id), 0))
		times[i] = time.Since(start)
	}
	if err := ctx.Err(); err != nil {
		return claims.Finding{}, err
	}
	return judgePick(percentileOf(times, 0.50), percentileOf(times, 0.99), percentileOf(times, 1)), nil
}

// sink keeps the compiler from leaving out a pick whose result nobody reads.
//
//go:noinline
func sink(int) {}

func judgePick(p50, p99, longest time.Duration) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("hash and pick on a ring of %d hosts: p50 %s, p99 %s, longest %s", pickHosts, p50, p99, longest),
		Figures: map[string]float64{
			"p50_ns": float64(p50.Nanoseconds()), "p99_ns": float64(p99.Nanoseconds()), "max_ns": float64(longest.Nanoseconds()),
		},
		Note:    "the pick alone, clock reading included; the way through a proxy is on top",
		Verdict: reportv1.Verdict_VERDICT_REPRODUCED,
	}
	if p99 >= claimedPick {
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_REPRODUCED, ""
	}
	return f
}

const (
	controlSessions = 100_000
	// sameScheme is the share of equal picks from which two schemes are the same: a modulo equals itself on all.
	sameScheme = 0.99
	// unrelated is how far above chance, 1/N, the agreement of two unrelated schemes may be.
	unrelated = 0.05
)

// moduloControl is claim 9: how often Envoy's ring picks what hash % N would.
func moduloControl(_ context.Context, env Env) (claims.Finding, error) {
	r := env.rand(9)
	after := hosts(r, 10)
	before := after[:3]
	ids := sessions(r, controlSessions)
	ring, err := affinity.Predict(affinity.PolicyRing, affinity.Options{}, before, after, ids)
	if err != nil {
		return claims.Finding{}, err
	}
	modulo, err := affinity.Predict(affinity.PolicyModulo, affinity.Options{}, before, after, ids)
	if err != nil {
		return claims.Finding{}, err
	}
	equal := 0
	for i := range ids {
		if ring.Picks[i].From == modulo.Picks[i].From {
			equal++
		}
	}
	return judgeModulo(len(before), float64(equal)/float64(len(ids)), ring.MovedShare(), modulo.MovedShare()), nil
}

func judgeModulo(hosts int, agreement, ringMoved, moduloMoved float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("ring and modulo pick the same of %d hosts for %s of sessions (chance: %s); 3->10 moves %s and %s",
			hosts, share(agreement), share(1/float64(hosts)), share(ringMoved), share(moduloMoved)),
		Figures: map[string]float64{
			"agreement": agreement, "ring_moved_share": ringMoved, "modulo_moved_share": moduloMoved,
		},
	}
	switch {
	case agreement >= sameScheme:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case agreement <= 1/float64(hosts)+unrelated:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "Envoy looks the hash up on a ring; the conformance tests compare that with a running Envoy"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the hosts: the two agree more often than by chance"
	}
	return f
}

func share(v float64) string { return fmt.Sprintf("%.1f%%", 100*v) }

// scalingSizes are the numbers of pods of claim 38.
var scalingSizes = [...]int{3, 10, 30, 100}

// scaling is what a ring of some number of hosts costs and how even it is.
type scaling struct {
	hosts      int
	pick       time.Duration
	peakByMean float64
}

// capacity is how many of the hosts' worth of load the ring can carry before its most loaded host is full.
func (s scaling) capacity() float64 { return float64(s.hosts) / s.peakByMean }

// manyPods is claim 38.
func manyPods(ctx context.Context, env Env) (claims.Finding, error) {
	const (
		perSize = 100_000
		sets    = 20
	)
	r := env.rand(38)
	var found []scaling
	for _, n := range scalingSizes {
		var peaks []float64
		var picks []time.Duration
		for range sets {
			if err := ctx.Err(); err != nil {
				return claims.Finding{}, err
			}
			ring, err := affinity.NewRing(hosts(r, n), affinity.Options{})
			if err != nil {
				return claims.Finding{}, err
			}
			ids := sessions(r, perSize)
			load := make([]int, n)
			start := time.Now()
			for _, id := range ids {
				load[ring.Pick(affinity.HashValue(id), 0)]++
			}
			picks = append(picks, time.Since(start)/perSize)
			peaks = append(peaks, peakByMean(load))
		}
		found = append(found, scaling{hosts: n, pick: percentileOf(picks, 0.5), peakByMean: mean(peaks)})
	}
	return judgeScaling(found), nil
}

const (
	// linearCapacity is how much of linear growth the capacity must keep to count as linear; of less than halfCapacity, a
	// pod that is added brings less than half of what it should.
	linearCapacity = 0.90
	halfCapacity   = 0.50
	// A pick from a sorted ring costs by the logarithm of its points. From 3 to 100 pods its size hardly grows (1024 points at the
	// least), so that a pick that costs this much more is no longer one that scales.
	dearerPick = 3
)

// judgeScaling takes the sizes in rising order.
func judgeScaling(found []scaling) claims.Finding {
	f := claims.Finding{Figures: map[string]float64{}}
	for i, s := range found {
		if i > 0 {
			f.Measured += "; "
		}
		f.Measured += fmt.Sprintf("%d pods: pick %d ns, peak/mean %.2f", s.hosts, s.pick.Nanoseconds(), s.peakByMean)
		f.Figures[fmt.Sprintf("pick_ns_%d", s.hosts)] = float64(s.pick.Nanoseconds())
		f.Figures[fmt.Sprintf("peak_by_mean_%d", s.hosts)] = s.peakByMean
	}
	first, last := found[0], found[len(found)-1]
	growth := float64(last.hosts) / float64(first.hosts)
	kept := last.capacity() / first.capacity() / growth
	f.Figures["capacity_of_linear"] = kept
	switch {
	case last.pick > dearerPick*first.pick:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = fmt.Sprintf("a pick at %d pods costs more than %d times that at %d", last.hosts, dearerPick, first.hosts)
	case kept < halfCapacity:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = fmt.Sprintf("uneven load leaves %s of linear capacity at %d pods (ring of 1024)", share(kept), last.hosts)
	case kept >= linearCapacity:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = fmt.Sprintf("on what scales: the pick does, but uneven load leaves %s of linear capacity at %d pods (ring of 1024)",
			share(kept), last.hosts)
	}
	return f
}

// sourceIP is claim 37.
func sourceIP(_ context.Context, env Env) (claims.Finding, error) {
	const users = 10_000
	r := env.rand(37)
	pods := hosts(r, pickHosts)
	ring, err := affinity.NewRing(pods, affinity.Options{})
	if err != nil {
		return claims.Finding{}, err
	}
	vpn := vpnAddress(r)
	byAddress, bySession := make([]int, len(pods)), make([]int, len(pods))
	for _, id := range sessions(r, users) {
		byAddress[ring.Pick(affinity.HashSourceIP(vpn), 0)]++
		bySession[ring.Pick(affinity.HashValue(id), 0)]++
	}
	return judgeSourceIP(users, len(pods), float64(slices.Max(byAddress))/users, float64(slices.Max(bySession))/users), nil
}

// onePod is the share of sessions on the most loaded pod from which hashing has stopped to spread.
const onePod = 0.99

func judgeSourceIP(users, pods int, byAddress, bySession float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("%d sessions from one address over %d pods: the most loaded pod has %s by source IP, %s by session",
			users, pods, share(byAddress), share(bySession)),
		Figures: map[string]float64{"peak_share_source_ip": byAddress, "peak_share_session": bySession},
	}
	switch {
	case byAddress >= onePod && bySession < onePod:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "calculated with Envoy's source-IP hash"
	case byAddress > 2*bySession:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the number of addresses"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
