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

// Claim 30: sessions that ask once a second while a pod is deleted and replaced. It has 30 s to end in, and is reached by cookie meanwhile.
const (
	restartSessions = 12
	restartTime     = 55 * time.Second
	restartAfter    = 8 * time.Second // all sessions are warm by then
	restartEvery    = time.Second
)

// restarted is what became of the sessions of a pod that was replaced.
type restarted struct {
	// atPod are the sessions that it held; moved of those ended up at another pod, lostState had their turn not go on.
	atPod, moved, lostState int
	// othersMoved are sessions of the other pods that moved all the same.
	othersMoved int
	// addressGone is whether no pod has the old one's address any more.
	addressGone bool
	failed      int
	// why requests failed.
	why string
}

// restart is claim 30.
func restart(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.fleet(ctx, "stateful-cookie"); err != nil {
		return claims.Finding{}, err
	}
	victim := n.pods(jarvis)[0].Name
	old := n.addresses()[victim]
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	var answers []probe.Answer
	var asked error
	wait.Go(func() {
		answers, asked = n.ask(asking, inside, probe.Batch{
			URL: url(kube.JarvisService, wire.PathInference), Sessions: sessions("restart", restartSessions), Cookies: true,
			Keep: []string{wire.HeaderTurn}, Lasting: restartTime, Concurrency: restartSessions, Every: restartEvery,
		})
	})
	err := pause(ctx, restartAfter)
	if err == nil {
		err = cluster.Pods().Delete(ctx, n.Cluster, n.name, victim, -1)
	}
	if err != nil {
		cancel()
	}
	wait.Wait()
	if err != nil {
		return claims.Finding{}, err
	}
	if asked != nil {
		return claims.Finding{}, asked
	}
	r := restartedIn(answers, victim)
	r.addressGone = true
	for _, address := range n.addresses() {
		r.addressGone = r.addressGone && address != old
	}
	return judgeRestart(r), nil
}

// restartedIn follows each session: where it was first, where last, and whether its turn ever went back.
func restartedIn(answers []probe.Answer, victim string) (r restarted) {
	r.why = reasons(answers)
	first, last, turn, lost := map[string]string{}, map[string]string{}, map[string]int{}, map[string]bool{}
	for _, a := range answers {
		if !a.OK() {
			r.failed++
			continue
		}
		if first[a.Session] == "" {
			first[a.Session] = a.Pod
		}
		last[a.Session] = a.Pod
		now, _ := strconv.Atoi(a.Header[wire.HeaderTurn]) // 0 where there is none
		lost[a.Session] = lost[a.Session] || now <= turn[a.Session]
		turn[a.Session] = now
	}
	for id, pod := range first {
		switch {
		case pod != victim && last[id] != pod:
			r.othersMoved++
		case pod == victim:
			r.atPod++
			if last[id] != pod {
				r.moved++
			}
			if lost[id] {
				r.lostState++
			}
		}
	}
	return r
}

func judgeRestart(r restarted) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("a pod was replaced: %d of its %d sessions moved, %d lost their state, %d of the others moved, %d requests failed%s; its address is gone: %t",
			r.moved, r.atPod, r.lostState, r.othersMoved, r.failed, inBrackets(r.why), r.addressGone),
		Figures: map[string]float64{
			"at_pod": float64(r.atPod), "moved": float64(r.moved), "state_lost": float64(r.lostState), "others_moved": float64(r.othersMoved),
			"failed": float64(r.failed), "address_gone": number(r.addressGone),
		},
	}
	switch {
	case r.atPod == 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "the pod held no session: run it again"
	case r.moved+r.lostState == 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "the cookie names an address, and a new pod has another"
	}
	return f
}
