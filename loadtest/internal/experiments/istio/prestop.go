package istio

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// What claim 35 says, in seconds.
const (
	claimedSleep = 15
	claimedGrace = 30
)

// Claim 35's load around a rollout restart of three pods: requests of sessions that keep their cookie, streams that are shorter than the
// sleep and begin all the time, and streams, begun before, that outlast the grace.
const (
	stopPods       = 3
	stopSessions   = 24
	stopEvery      = 200 * time.Millisecond
	stopTime       = 50 * time.Second
	stopAfter      = 3 * time.Second
	stopConcurrent = 4

	shortStream  = 10 * time.Second
	longStream   = 60 * time.Second
	shortStreams = 6
	longStreams  = 12
)

// losses of one rollout restart.
type losses struct {
	asked, failed int
	// why requests failed.
	why string
	// sessions, and those whose turn went back.
	sessions, lostState int
	// streams begun and cut.
	short, shortCut, long, longCut int
}

// preStop is claim 35.
func preStop(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.deploy(ctx, probes{name: inside}); err != nil {
		return claims.Finding{}, err
	}
	if err := n.tell(ctx, "stateful-cookie", nil, "Service "+kube.JarvisService, "DestinationRule "+jarvisRule, "VirtualService "+jarvisRouting); err != nil {
		return claims.Finding{}, err
	}
	var found [2]losses
	for i, p := range []probes{{grace: claimedGrace}, {grace: claimedGrace, preStop: claimedSleep}} {
		p.name, p.replicas = jarvis, stopPods
		if err := n.deploy(ctx, p); err != nil {
			return claims.Finding{}, err
		}
		if err := n.knows(ctx, inside, kube.JarvisService, stopPods); err != nil {
			return claims.Finding{}, err
		}
		var err error
		if found[i], err = n.restarted(ctx, fmt.Sprintf("stop-%d", i)); err != nil {
			return claims.Finding{}, err
		}
	}
	return judgePreStop(found[0], found[1]), nil
}

// restarted is what a rollout restart under load loses.
func (n *namespace) restarted(ctx context.Context, prefix string) (losses, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	target := url(kube.JarvisService, "")
	stream := func(d time.Duration) string { return target + probe.PathHold + "?for=" + d.String() }
	batches := []probe.Batch{
		{URL: target + "/", Sessions: sessions(prefix, stopSessions), Cookies: true, Keep: []string{wire.HeaderTurn},
			Lasting: stopTime, Every: stopEvery, Concurrency: stopConcurrent},
		{URL: stream(shortStream), Sessions: sessions(prefix+"-short", 1), Lasting: stopTime - shortStream, Concurrency: shortStreams,
			Timeout: 2 * shortStream},
		{URL: stream(longStream), Sessions: sessions(prefix+"-long", longStreams), Requests: longStreams, Concurrency: longStreams,
			Timeout: 2 * longStream},
	}
	answers, errs := make([][]probe.Answer, len(batches)), make([]error, len(batches))
	var all sync.WaitGroup
	for i, b := range batches {
		all.Go(func() { answers[i], errs[i] = n.ask(ctx, inside, b) })
	}
	err := pause(ctx, stopAfter)
	if err == nil {
		err = n.rolloutRestart(ctx)
	}
	if err != nil {
		cancel()
	}
	all.Wait()
	for _, failed := range append([]error{err}, errs...) {
		if failed != nil {
			return losses{}, failed
		}
	}
	return lossesIn(answers[0], answers[1], answers[2]), nil
}

// rolloutRestart is what `kubectl rollout restart deployment/jarvis` does.
func (n *namespace) rolloutRestart(ctx context.Context) error {
	at := map[string]any{"kubectl.kubernetes.io/restartedAt": time.Now().Format(time.RFC3339)}
	patch := map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": at}}}}
	if err := cluster.Deployments().Merge(ctx, n.Cluster, n.name, jarvis, patch); err != nil {
		return err
	}
	return n.rolledOut(ctx, jarvis)
}

func lossesIn(requests, short, long []probe.Answer) (l losses) {
	l.asked, l.short, l.long, l.why = len(requests), len(short), len(long), reasons(requests)
	turns, lost := map[string]int{}, map[string]bool{}
	for _, a := range requests {
		if !a.OK() {
			l.failed++
			continue
		}
		turn, _ := strconv.Atoi(a.Header[wire.HeaderTurn]) // 0 where there is none
		lost[a.Session] = lost[a.Session] || turn <= turns[a.Session]
		turns[a.Session] = turn
	}
	l.sessions = len(turns)
	for _, gone := range lost {
		if gone {
			l.lostState++
		}
	}
	l.shortCut, l.longCut = cut(short), cut(long)
	return l
}

func cut(streams []probe.Answer) (n int) {
	for _, a := range streams {
		if !a.OK() {
			n++
		}
	}
	return n
}

func (l losses) String() string {
	return fmt.Sprintf("%d of %d requests failed%s, %d of %d streams of %.0f s and %d of %d of %.0f s cut, %d of %d sessions lost their state",
		l.failed, l.asked, inBrackets(l.why), l.shortCut, l.short, shortStream.Seconds(), l.longCut, l.long, longStream.Seconds(), l.lostState, l.sessions)
}

func judgePreStop(without, with losses) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("a rollout restart of %d pods that end at SIGTERM, without preStop: %s; with a sleep of %d s and a grace of %d s: %s",
			stopPods, without, claimedSleep, claimedGrace, with),
		Figures: map[string]float64{},
	}
	for name, l := range map[string]losses{"without": without, "with": with} {
		f.Figures[name+"_asked"], f.Figures[name+"_failed"] = float64(l.asked), float64(l.failed)
		f.Figures[name+"_short_streams"], f.Figures[name+"_short_cut"] = float64(l.short), float64(l.shortCut)
		f.Figures[name+"_long_streams"], f.Figures[name+"_long_cut"] = float64(l.long), float64(l.longCut)
		f.Figures[name+"_sessions"], f.Figures[name+"_state_lost"] = float64(l.sessions), float64(l.lostState)
	}
	brief := with.failed + with.shortCut
	switch {
	case without.failed+without.shortCut+without.longCut == 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "without it nothing was lost either"
	case brief+with.longCut+with.lostState == 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case brief == 0:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on how long a call lasts: what ends within the sleep is saved, a longer call is cut, and what a pod had in memory is gone"
	case brief < without.failed+without.shortCut:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on what counts as prevented: fewer requests and short streams are lost, but not none; a longer call is cut, and what a pod had in memory is gone"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
