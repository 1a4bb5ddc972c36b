package istio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/wire"
)

// Claim 12: sessions that ask every two seconds while three pods become five, each way at the same time as the others.
const (
	movedOld, movedAll = 3, 5
	movedSessions      = 60
	movedTime          = 80 * time.Second
	movedEvery         = 2 * time.Second
	movedSettles       = 3 * movedEvery
	movedWatched       = 4 * movedEvery
	movedPredicted     = 20_000 // sessions over the same addresses: 60 are few
	claimedMoved       = 0.40
	realHeaderLabel    = "istio.io/persistent-session-header"
	hashCookie         = "jarvis-hash"
)

// Services of claim 12, one a way; the last hashes a header that nobody sends.
const (
	hashHeader     = "hash-header"
	hashByCookie   = "hash-cookie"
	statefulHeader = "stateful-header"
	statefulCookie = "stateful-cookie"
	hashNothing    = "hash-nothing"
)

// affine is a way to keep sessions, and the same without what it goes by.
type affine struct {
	name          string
	with, control probe.Batch
}

func affines() []affine {
	at := func(service string, change func(*probe.Batch)) probe.Batch {
		b := probe.Batch{
			URL: url(service, "/"), Sessions: sessions("moved", movedSessions), Lasting: movedTime, Concurrency: movedSessions, Every: movedEvery,
		}
		change(&b)
		return b
	}
	plain, cookies := func(*probe.Batch) {}, func(b *probe.Batch) { b.Cookies = true }
	return []affine{
		{"hash by header", at(hashHeader, plain), at(hashNothing, plain)},
		{"hash by cookie", at(hashByCookie, cookies), at(hashByCookie, plain)},
		{"stateful by header", at(statefulHeader, func(b *probe.Batch) { b.Return = wire.HeaderStateful }), at(statefulHeader, plain)},
		{"stateful by cookie", at(statefulCookie, cookies), at(statefulCookie, plain)},
	}
}

// kept is what a batch's sessions did: those at one pod until the scale-out, and those that were still there afterwards.
type kept struct {
	steady, scaled shared
	failed         int
	// last is where each session is in the end.
	first, last map[string]string
}

// moves is one way with what was found.
type moves struct {
	name          string
	with, control kept
}

// scaleOut is claim 12.
func scaleOut(ctx context.Context, n *namespace) (claims.Finding, error) {
	servers := probes{name: jarvis, replicas: movedOld}
	if err := n.deploy(ctx, probes{name: inside}, servers); err != nil {
		return claims.Finding{}, err
	}
	if err := n.affine(ctx); err != nil {
		return claims.Finding{}, err
	}
	before, err := n.known(ctx, inside, hashHeader)
	if err != nil {
		return claims.Finding{}, err
	}
	ways := affines()
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	answers, failures := make([][2][]probe.Answer, len(ways)), make([]error, 2*len(ways))
	begin := time.Now()
	for i, w := range ways {
		for j, b := range []probe.Batch{w.with, w.control} {
			wait.Go(func() { answers[i][j], failures[2*i+j] = n.ask(asking, inside, b) })
		}
	}
	err = pause(ctx, 2*movedSettles) // each session has its pod
	changes := time.Since(begin)
	servers.replicas = movedAll
	if err == nil {
		err = n.deploy(ctx, servers)
	}
	for _, name := range []string{hashHeader, hashByCookie, statefulHeader, statefulCookie, hashNothing} {
		if err == nil {
			err = n.knows(ctx, inside, name, movedAll)
		}
	}
	scaled := time.Since(begin)
	if err == nil && scaled+movedSettles+movedWatched > movedTime {
		err = errSlow
	}
	if err != nil {
		cancel()
	}
	wait.Wait()
	if err := errors.Join(append(failures, err)...); err != nil {
		return claims.Finding{}, err
	}
	after, err := n.known(ctx, inside, hashHeader)
	if err != nil {
		return claims.Finding{}, err
	}
	var found []moves
	for i, w := range ways {
		found = append(found, moves{w.name, keptIn(answers[i][0], changes, scaled+movedSettles), keptIn(answers[i][1], changes, scaled+movedSettles)})
	}
	p, err := affinity.Predict(affinity.PolicyRing, affinity.Options{}, hostsAt(before), hostsAt(after), sessions("moved", movedSessions))
	if err != nil {
		return claims.Finding{}, err
	}
	many, err := affinity.Predict(affinity.PolicyRing, affinity.Options{}, hostsAt(before), hostsAt(after), sessions("many", movedPredicted))
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeMoved(found, p.Moved, many.MovedShare()), nil
}

// affine makes the Services and waits until each does what it is for.
func (n *namespace) affine(ctx context.Context) error {
	ring := envoyadmin.Balancing{Policy: mesh.Ring, RingSize: affinity.DefaultMinRingSize}
	least := envoyadmin.Balancing{Policy: mesh.LeastRequest}
	for _, s := range []struct {
		name   string
		labels map[string]string
		rule   map[string]any
		want   envoyadmin.Balancing
		gives  string
	}{
		{name: hashHeader, rule: byHeader(0), want: ring},
		{name: hashNothing, rule: hashOf("x-nobody-sends-this", 0), want: ring},
		{name: hashByCookie, rule: byCookie(hashCookie), want: ring, gives: setCookie},
		{name: statefulHeader, labels: map[string]string{realHeaderLabel: strings.ToLower(wire.HeaderStateful)}, rule: byLeastRequest(), want: least, gives: wire.HeaderStateful},
		{name: statefulCookie, labels: map[string]string{realLabel: cookieName}, rule: byLeastRequest(), want: least, gives: setCookie},
	} {
		made, err := service(s.name, jarvis, s.labels)
		if err != nil {
			return err
		}
		for _, o := range []*unstructured.Unstructured{made, balanced(s.name, s.rule)} {
			if err := n.apply(ctx, o); err != nil {
				return err
			}
		}
		if err := n.knows(ctx, inside, s.name, movedOld); err != nil {
			return err
		}
		if err := n.chooses(ctx, pollEvery, inside, s.name, s.want); err != nil {
			return err
		}
		if s.gives == "" {
			continue
		}
		if err := n.gives(ctx, s.name, s.gives); err != nil {
			return err
		}
	}
	return nil
}

// keptIn follows each session, in the time until the change begins, and from the time on when it is over.
func keptIn(answers []probe.Answer, changes, settled time.Duration) kept {
	k := kept{first: map[string]string{}, last: map[string]string{}}
	strayed, left := map[string]bool{}, map[string]bool{}
	for _, a := range answers {
		switch {
		case !a.OK():
			k.failed++
		case a.At < changes:
			if k.first[a.Session] == "" {
				k.first[a.Session] = a.Pod
			}
			strayed[a.Session] = strayed[a.Session] || a.Pod != k.first[a.Session]
		case a.At >= settled:
			k.last[a.Session] = a.Pod
			left[a.Session] = left[a.Session] || a.Pod != k.first[a.Session]
		}
	}
	for id := range k.first {
		k.steady.all++
		if !strayed[id] {
			k.steady.part++
		}
		if k.last[id] == "" {
			continue
		}
		k.scaled.all++
		if !strayed[id] && !left[id] {
			k.scaled.part++
		}
	}
	return k
}

// controlKept is the share of sessions up to which a control may seem to keep them: at random over three pods one in five keeps its pod over
// two requests, and one in 700 over six.
const controlKept = 0.10

// judgeMoved takes the hash by header first. What it moves of very many sessions is what is judged, once it moved just those predicted.
func judgeMoved(found []moves, predicted int, ofMany float64) claims.Finding {
	f := claims.Finding{Figures: map[string]float64{"predicted_moved": float64(predicted), "predicted_share": ofMany}}
	controls, failed := true, 0
	var words []string
	for _, m := range found {
		words = append(words, fmt.Sprintf("%s %s before, %s after (control %s)", m.name, percent(m.with.steady.share()), m.with.scaled, percent(m.control.scaled.share())))
		f.Figures[m.name+": kept before"], f.Figures[m.name+": kept after"] = m.with.steady.share(), m.with.scaled.share()
		f.Figures[m.name+": control"] = m.control.scaled.share()
		controls = controls && m.control.steady.share() <= controlKept && m.with.steady.part == m.with.steady.all
		failed += m.with.failed + m.control.failed
	}
	ring := found[0].with
	left := ring.scaled.all - ring.scaled.part
	f.Figures["moved"], f.Figures["moved_share"], f.Figures["failed"] = float64(left), 1-ring.scaled.share(), float64(failed)
	f.Measured = fmt.Sprintf("Istio, %d->%d: the hash moved %d of %d sessions, predicted %d, and %s predicted of %d; sessions that kept their pod: %s; %d requests failed",
		movedOld, movedAll, left, ring.scaled.all, predicted, percent(ofMany), movedPredicted, strings.Join(words, ", "), failed)
	switch {
	case !controls || failed > 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "requests failed, or a control kept its sessions, or a way did not while nothing changed: try again"
	case left != predicted:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "the hash did not do what it was predicted to, so the endpoints were others: try again"
	case math.Abs(ofMany-claimedMoved) <= claims.MovedTolerance:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on the way: the ring moves others than it has to, and a token moves none when pods are added"
	}
	return f
}
