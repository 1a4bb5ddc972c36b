package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
)

// Settings that a run in a cluster has besides the others.
const (
	SettingPropagation = "slowest_propagation"
	SettingProxies     = "proxies"
	SettingIdlePods    = "pods_without_requests"
)

// Observe implements conduct.Observer: it says how long changes took to reach the proxies, which pods got nothing, and where proxies
// disagree.
func (f *fleet) Observe(ctx context.Context, sessions []string, r *reportv1.Result) {
	f.propagation(r)
	f.idlePods(r)
	f.agreement(ctx, sessions, r)
}

func invalidate(r *reportv1.Result, format string, args ...any) {
	r.Valid = false
	r.InvalidReasons = append(r.InvalidReasons, fmt.Sprintf(format, args...))
}

func (f *fleet) propagation(r *reportv1.Result) {
	var said []string
	for _, p := range f.watch.proxies {
		slowest, arrived, waiting := p.arrivals.Summary()
		said = append(said, fmt.Sprintf("%v to %s (%d versions, asked every %v)", slowest.Round(time.Millisecond), p.proxy.Name, arrived, proxies.PollEvery))
		last, before := p.arrivals.Trouble()
		if slowest > settleMargin {
			why := fmt.Sprintf("a change of endpoints took %v to reach %s, longer than the margin of %v in which the fleet counts as settled",
				slowest.Round(time.Millisecond), p.proxy.Name, settleMargin)
			if before != nil {
				why += fmt.Sprintf("; it may have been there sooner: until then the proxy could not be asked: %v", before)
			}
			invalidate(r, "%s", why)
		}
		switch since := f.driver.Clock.Since(waiting); {
		case waiting.IsZero() || since <= settleMargin:
		case last != nil:
			invalidate(r, "whether %s learned of a change of endpoints within %v is not known: it could not be asked: %v",
				p.proxy.Name, since.Round(time.Millisecond), last)
		default:
			invalidate(r, "%s did not learn of a change of endpoints within %v", p.proxy.Name, since.Round(time.Millisecond))
		}
	}
	r.Settings[SettingPropagation] = strings.Join(said, "; ")
}

// idlePods lists the pods in rotation at the end that no request reached, and adds those that the result does not have yet. It has a pod
// at which calls were only placed, without its address.
func (f *fleet) idlePods(r *reportv1.Result) {
	var idle []string
	for _, e := range f.ledger.latest() {
		if !e.Health.InRotation() {
			continue
		}
		i := slices.IndexFunc(r.GetPods(), func(p *reportv1.PodLoad) bool { return p.GetAddress() == e.Address || p.GetPod() == e.Pod })
		if i < 0 {
			i = len(r.Pods)
			r.Pods = append(r.Pods, &reportv1.PodLoad{Pod: e.Pod})
		}
		if p := r.Pods[i]; p.GetRequests() == 0 {
			p.Address = e.Address
			idle = append(idle, e.Pod)
		}
	}
	r.Settings[SettingIdlePods] = "none"
	if len(idle) > 0 {
		r.Settings[SettingIdlePods] = strings.Join(idle, ", ")
	}
}

// agreement compares what the proxies have at the end.
func (f *fleet) agreement(ctx context.Context, sessions []string, r *reportv1.Result) {
	said := []string{}
	algorithm, hashes := mesh.Policy(f.policy).Algorithm()
	var first *followed
	want := f.ledger.latest()
	for _, p := range f.watch.proxies {
		hosts, err := p.proxy.Hosts(ctx, outbound())
		if err != nil {
			said = append(said, fmt.Sprintf("%s could not be asked at the end: %v", p.proxy.Name, err))
			continue
		}
		if first == nil {
			first = p
		}
		if p.ring != first.ring {
			invalidate(r, "%s has a ring of %d, %s one of %d", p.proxy.Name, p.ring, first.proxy.Name, first.ring)
		}
		if slices.Equal(proxies.InRotation(hosts), proxies.InRotation(want)) {
			said = append(said, p.proxy.Name+" agrees with the endpoints")
			continue
		}
		text := fmt.Sprintf("%s has %d hosts at the end, the endpoints are %d", p.proxy.Name, len(proxies.InRotation(hosts)), len(proxies.InRotation(want)))
		if hashes {
			n, err := proxies.Disagree(algorithm, affinity.Options{MinRingSize: p.ring}, want, hosts, sessions)
			text += elsewhere(n, len(sessions), err)
		}
		invalidate(r, "%s", text)
	}
	if f.watch.remark != "" {
		said = append(said, f.watch.remark)
	}
	r.Settings[SettingProxies] = strings.Join(said, "; ")
}

// elsewhere says how many sessions a proxy would send to another pod than the endpoints make it, or why that is not known.
func elsewhere(n, of int, err error) string {
	if err != nil {
		return fmt.Sprintf(", and how many sessions it would send to another pod is not known: %v", err)
	}
	return fmt.Sprintf(", and it would send %d of %d sessions to another pod", n, of)
}
