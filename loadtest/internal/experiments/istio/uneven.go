package istio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
)

// Claim 27: sessions that ask every two seconds while three pods become ten. Ten that start at once on two CPUs take most of a minute.
const (
	unevenOld, unevenAll = 3, 10
	unevenSessions       = 60
	unevenNew            = 140
	unevenTime           = 150 * time.Second
	unevenEvery          = 2 * time.Second
	// unevenSettles is when every session has asked once more, and unevenWatched for how long the load is then counted at the least.
	unevenSettles = 3 * unevenEvery
	unevenWatched = 5 * unevenEvery
	stateful      = "stateful"
	hashing       = "hashing"
)

// errSlow is returned where the pods took so long to start that nothing was left to watch.
var errSlow = errors.New("the pods started too late to watch the load afterwards: try again with less to do for this machine")

// loaded is where sessions are after a scale-out.
type loaded struct {
	// moved are sessions that changed their pod, atNew those that are at a new one.
	moved, atNew shared
	// peakByMean is the load of the busiest pod by the mean, in sessions.
	peakByMean float64
	failed     int
}

// unevens are stateful sessions and the ring beside it. later is with as many new stateful sessions as unevenNew.
type unevens struct {
	stateful, ring, later loaded
}

// uneven is claim 27.
func uneven(ctx context.Context, n *namespace) (claims.Finding, error) {
	servers := probes{name: jarvis, replicas: unevenOld}
	if err := n.deploy(ctx, probes{name: inside}, servers); err != nil {
		return claims.Finding{}, err
	}
	ring, err := service(hashing, jarvis, nil)
	if err != nil {
		return claims.Finding{}, err
	}
	pinned, err := service(stateful, jarvis, map[string]string{realLabel: cookieName})
	if err != nil {
		return claims.Finding{}, err
	}
	if err := n.apply(ctx, ring, pinned, balanced(hashing, byHeader(0)), balanced(stateful, byLeastRequest())); err != nil {
		return claims.Finding{}, err
	}
	for _, name := range []string{hashing, stateful} {
		if err := n.knows(ctx, inside, name, unevenOld); err != nil {
			return claims.Finding{}, err
		}
	}
	if err := n.chooses(ctx, pollEvery, inside, hashing, envoyadmin.Balancing{Policy: mesh.Ring, RingSize: affinity.DefaultMinRingSize}); err != nil {
		return claims.Finding{}, err
	}
	if err := n.pins(ctx, stateful); err != nil {
		return claims.Finding{}, err
	}
	before := n.names()

	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	answers, failures, services := make([][]probe.Answer, 2), make([]error, 2), []string{stateful, hashing}
	begin := time.Now()
	for i, name := range services {
		wait.Go(func() {
			answers[i], failures[i] = n.ask(asking, inside, probe.Batch{
				URL: url(name, "/"), Sessions: sessions("uneven", unevenSessions), Cookies: true,
				Lasting: unevenTime, Concurrency: unevenSessions, Every: unevenEvery,
			})
		})
	}
	err = pause(ctx, unevenSettles) // each session has its pod
	servers.replicas = unevenAll
	if err == nil {
		err = n.deploy(ctx, servers)
	}
	for _, name := range services {
		if err == nil {
			err = n.knows(ctx, inside, name, unevenAll)
		}
	}
	scaled := time.Since(begin)
	if err == nil && scaled+unevenSettles+unevenWatched > unevenTime {
		err = errSlow
	}
	if err != nil {
		cancel()
	}
	wait.Wait()
	if err := errors.Join(append(failures, err)...); err != nil {
		return claims.Finding{}, err
	}
	after := n.names()
	u := unevens{
		stateful: loadedIn(answers[0], scaled+unevenSettles, before, after), ring: loadedIn(answers[1], scaled+unevenSettles, before, after),
	}
	fresh, err := n.ask(ctx, inside, probe.Batch{
		URL: url(stateful, "/"), Sessions: sessions("later", unevenNew), Cookies: true, Requests: unevenNew, Concurrency: 4,
	})
	if err != nil {
		return claims.Finding{}, err
	}
	for i := range fresh { // they begin after all others
		fresh[i].At += unevenTime
	}
	u.later = loadedIn(append(answers[0], fresh...), scaled+unevenSettles, before, after)
	return judgeUneven(u), nil
}

// names of jarvis' pods that are ready.
func (n *namespace) names() (out []string) {
	for _, p := range n.pods(jarvis) {
		out = append(out, p.Name)
	}
	return out
}

// loadedIn looks at where each session is from a time on, and whether it was elsewhere before.
func loadedIn(answers []probe.Answer, from time.Duration, before, after []string) (l loaded) {
	first, last := map[string]string{}, map[string]string{}
	for _, a := range answers {
		switch {
		case !a.OK():
			l.failed++
		case a.At >= from:
			last[a.Session] = a.Pod
			fallthrough
		default:
			if first[a.Session] == "" {
				first[a.Session] = a.Pod
			}
		}
	}
	load := map[string]int{}
	for id, pod := range last {
		load[pod]++
		l.moved.all++
		l.atNew.all++
		if first[id] != pod {
			l.moved.part++
		}
		if !slices.Contains(before, pod) {
			l.atNew.part++
		}
	}
	most := 0
	for _, sessions := range load {
		most = max(most, sessions)
	}
	if l.moved.all > 0 {
		l.peakByMean = float64(most) * float64(len(after)) / float64(l.moved.all)
	}
	return l
}

// unevenPeak is the peak by mean load from which it is uneven: the busiest pod has twice its share.
const unevenPeak = 2

func judgeUneven(u unevens) claims.Finding {
	even := 1 - float64(unevenOld)/unevenAll
	f := claims.Finding{
		Measured: fmt.Sprintf("Istio: after %d->%d, sessions at the new pods (even: %s): stateful %s, with %s moved and a peak/mean load of %.2f over the pods; ring %s, with %s moved and %.2f; stateful with %d new sessions more %.2f; %d requests failed",
			unevenOld, unevenAll, percent(even), u.stateful.atNew, percent(u.stateful.moved.share()), u.stateful.peakByMean,
			u.ring.atNew, percent(u.ring.moved.share()), u.ring.peakByMean, unevenNew, u.later.peakByMean, u.later.failed+u.ring.failed),
		Figures: map[string]float64{
			"stateful_at_new": u.stateful.atNew.share(), "stateful_moved": u.stateful.moved.share(), "stateful_peak_by_mean": u.stateful.peakByMean,
			"ring_at_new": u.ring.atNew.share(), "ring_moved": u.ring.moved.share(), "ring_peak_by_mean": u.ring.peakByMean,
			"later_peak_by_mean": u.later.peakByMean, "failed": float64(u.later.failed + u.ring.failed),
		},
	}
	switch {
	case u.later.failed+u.ring.failed > 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, noteFailed
	case u.ring.atNew.part == 0 || u.stateful.atNew.all == 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "the ring, too, sends nothing to the new pods"
	case u.stateful.peakByMean >= unevenPeak && u.stateful.atNew.share() < u.ring.atNew.share():
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_REPRODUCED, "until sessions end and others begin; see claim 33 for a day"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
