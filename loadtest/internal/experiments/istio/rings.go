package istio

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
)

// Claim 32's fleet and load: 4,000 sessions a pod. What a ring costs is looked at as often as ringRounds, in turn; when it is in effect is
// as exact as ringPoll.
const (
	ringPods        = 10
	ringSessions    = 40_000
	ringConcurrency = 16
	ringRounds      = 5
	ringBuilds      = 21
	ringPoll        = 10 * time.Millisecond
	claimedRing     = 10_240
	rings           = "rings"
)

var ringSizes = []int64{64, affinity.DefaultMinRingSize, claimedRing, 65_536}

// ring is what one size does, over the same pods.
type ring struct {
	size int64
	// peakByMean is measured, and predicted is what our ring says of the same sessions and addresses; elsewhere are sessions whose pod is
	// another than it says.
	peakByMean, predicted float64
	elsewhere             int
	asked                 int
	// build is the median time of building our ring. inEffect is the median from applying the rule to Envoy having it, and memory the
	// median of what Envoy has allocated then, in bytes.
	build, inEffect time.Duration
	memory          float64
}

// ringed is claim 32.
func ringed(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.deploy(ctx, probes{name: inside}, probes{name: jarvis, replicas: ringPods}); err != nil {
		return claims.Finding{}, err
	}
	s, err := service(rings, jarvis, nil)
	if err != nil {
		return claims.Finding{}, err
	}
	if err := n.apply(ctx, s); err != nil {
		return claims.Finding{}, err
	}
	if err := n.knows(ctx, inside, rings, ringPods); err != nil {
		return claims.Finding{}, err
	}
	addresses, err := n.known(ctx, inside, rings)
	if err != nil {
		return claims.Finding{}, err
	}
	var found []ring
	took, memory := make([][]time.Duration, len(ringSizes)), make([][]float64, len(ringSizes))
	for round := range ringRounds {
		for i, size := range ringSizes {
			begin := time.Now()
			if err := n.resize(ctx, size); err != nil {
				return claims.Finding{}, err
			}
			took[i] = append(took[i], time.Since(begin))
			if round == 0 {
				r, err := n.load(ctx, size, addresses)
				if err != nil {
					return claims.Finding{}, err
				}
				found = append(found, r)
			}
			allocated, err := n.allocated(ctx, inside)
			if err != nil {
				return claims.Finding{}, err
			}
			memory[i] = append(memory[i], allocated)
		}
	}
	for i := range found {
		found[i].inEffect, found[i].memory = percentile(took[i], 0.5), estimate(memory[i]).Estimate
		if found[i].build, err = buildTime(found[i].size, addresses); err != nil {
			return claims.Finding{}, err
		}
	}
	return judgeRings(found), nil
}

// resize waits until the client's sidecar has the ring.
func (n *namespace) resize(ctx context.Context, size int64) error {
	if err := n.apply(ctx, balanced(rings, byHeader(size))); err != nil {
		return err
	}
	return n.chooses(ctx, ringPoll, inside, rings, envoyadmin.Balancing{Policy: mesh.Ring, RingSize: uint64(size)})
}

// load has every session ask once.
func (n *namespace) load(ctx context.Context, size int64, addresses []string) (ring, error) {
	ids := sessions("ring", ringSessions)
	answers, err := n.ask(ctx, inside, probe.Batch{URL: url(rings, "/"), Sessions: ids, Requests: ringSessions, Concurrency: ringConcurrency})
	if err != nil {
		return ring{}, err
	}
	hosts := hostsAt(addresses)
	p, err := affinity.NewRing(hosts, affinity.Options{MinRingSize: uint64(size)})
	if err != nil {
		return ring{}, err
	}
	byName := n.addresses()
	measured, predicted := map[string]int{}, map[string]int{}
	r := ring{size: size}
	for _, a := range answers {
		if !a.OK() {
			return ring{}, fmt.Errorf("%w: %s: %s", ErrProbe, rings, reason(a))
		}
		r.asked++
		pick := hosts[p.Pick(affinity.HashValue(a.Session), 0)].Address
		measured[byName[a.Pod]]++
		predicted[pick]++
		if byName[a.Pod] != pick {
			r.elsewhere++
		}
	}
	r.peakByMean, r.predicted = peakOf(measured), peakOf(predicted)
	return r, nil
}

// hostsAt are hosts in the order of their addresses, as Envoy has them.
func hostsAt(addresses []string) (out []affinity.Host) {
	for _, a := range addresses {
		out = append(out, affinity.Host{Address: a})
	}
	return out
}

// peakOf is the load of the busiest of ringPods by the mean.
func peakOf(load map[string]int) float64 {
	most, sum := 0, 0
	for _, n := range load {
		most, sum = max(most, n), sum+n
	}
	if sum == 0 {
		return 0
	}
	return float64(most) * ringPods / float64(sum)
}

// allocated is what a client's Envoy has of the heap, in bytes.
func (n *namespace) allocated(ctx context.Context, client string) (float64, error) {
	pod, err := n.pod(client)
	if err != nil {
		return 0, err
	}
	var memory struct {
		Allocated float64 `json:"allocated,string"`
	}
	err = n.http(ctx, pod.Name, proxies.AdminPort, http.MethodGet, "/memory", nil, &memory)
	return memory.Allocated, err
}

// buildTime is the median time of building our ring.
func buildTime(size int64, addresses []string) (time.Duration, error) {
	hosts := hostsAt(addresses)
	var took []time.Duration
	for range ringBuilds {
		begin := time.Now()
		if _, err := affinity.NewRing(hosts, affinity.Options{MinRingSize: uint64(size)}); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	return percentile(took, 0.5), nil
}

// peakByChance is about what a choice has that is perfectly even: the busiest of ten is 1.54 standard errors above its share on average.
func peakByChance() float64 { return 1 + 1.54*math.Sqrt(ringPods/float64(ringSessions)) }

// mended is the peak by mean load up to which a fleet is even: its busiest pod has a tenth more than its share.
const mended = 1.10

// judgeRings takes the sizes in rising order, Envoy's own and the claim's among them.
func judgeRings(found []ring) claims.Finding {
	f := claims.Finding{Figures: map[string]float64{}}
	var words []string
	elsewhere, asked := 0, 0
	peaks := map[int64]float64{}
	for _, r := range found {
		words = append(words, fmt.Sprintf("%d: peak/mean %.3f (predicted %.3f), our ring is built in %s, in effect after %.3f s, Envoy's heap then %.2f MiB",
			r.size, r.peakByMean, r.predicted, r.build.Round(time.Microsecond), r.inEffect.Seconds(), r.memory/(1<<20)))
		f.Figures[fmt.Sprintf("peak_by_mean_%d", r.size)] = r.peakByMean
		f.Figures[fmt.Sprintf("build_us_%d", r.size)] = float64(r.build.Microseconds())
		f.Figures[fmt.Sprintf("in_effect_s_%d", r.size)] = r.inEffect.Seconds()
		f.Figures[fmt.Sprintf("heap_mib_%d", r.size)] = r.memory / (1 << 20)
		peaks[r.size] = r.peakByMean
		elsewhere, asked = elsewhere+r.elsewhere, asked+r.asked
	}
	f.Figures["elsewhere"] = float64(elsewhere)
	f.Measured = fmt.Sprintf("Istio, %d sessions over %d pods, by ring size: %s; %d of %d picks were other than predicted; an even choice has about %.2f by chance",
		ringSessions, ringPods, strings.Join(words, "; "), elsewhere, asked, peakByChance())
	byDefault, claimed := peaks[affinity.DefaultMinRingSize], peaks[claimedRing]
	switch {
	case slices.ContainsFunc(found, func(r ring) bool { return r.asked == 0 }):
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "nobody answered"
	case claimed >= byDefault:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case claimed <= mended:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "of the ring's own unevenness, with these addresses; it does not touch what stateful sessions leave behind (claim 27)"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on what counts as even: better, but its busiest pod has more than a tenth above its share"
	}
	return f
}
