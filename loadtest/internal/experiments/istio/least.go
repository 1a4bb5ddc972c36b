package istio

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/mesh"
)

// Claim 31: stateful sessions over three pods that become ten, while so many requests are held at the old ones, about twenty each.
const (
	leastOld, leastAll = 3, 10
	leastHeld          = 60
	leastSessions      = 1000
	leastHold          = "4m"
	turns              = "turns"
)

// fresh are new sessions' first requests at the new pods: with LEAST_REQUEST while the old pods are busy and once they are idle, and with
// ROUND_ROBIN while they are busy.
type fresh struct {
	busy, idle, turns shared
	failed            int
}

// least is claim 31.
func least(ctx context.Context, n *namespace) (claims.Finding, error) {
	servers := probes{name: jarvis, replicas: leastOld}
	if err := n.deploy(ctx, probes{name: inside}, servers); err != nil {
		return claims.Finding{}, err
	}
	for name, policy := range map[string]string{stateful: "LEAST_REQUEST", turns: "ROUND_ROBIN"} {
		s, err := service(name, jarvis, map[string]string{realLabel: cookieName})
		if err != nil {
			return claims.Finding{}, err
		}
		if err := n.apply(ctx, s, balanced(name, map[string]any{"simple": policy})); err != nil {
			return claims.Finding{}, err
		}
	}
	services := []string{stateful, turns}
	for i, policy := range []mesh.Policy{mesh.LeastRequest, mesh.RoundRobin} {
		if err := n.knows(ctx, inside, services[i], leastOld); err != nil {
			return claims.Finding{}, err
		}
		if err := n.chooses(ctx, pollEvery, inside, services[i], envoyadmin.Balancing{Policy: policy}); err != nil {
			return claims.Finding{}, err
		}
		if err := n.pins(ctx, services[i]); err != nil {
			return claims.Finding{}, err
		}
	}
	old := n.names()
	holding, release := context.WithCancel(ctx)
	defer release()
	var wait sync.WaitGroup
	for _, name := range services {
		wait.Go(func() {
			_, _ = n.ask(holding, inside, probe.Batch{ // ends by release
				URL: url(name, probe.PathHold) + "?for=" + leastHold, Requests: leastHeld, Concurrency: leastHeld, Timeout: 10 * time.Minute,
			})
		})
	}
	f, err := n.fresh(ctx, servers, services, old)
	release()
	wait.Wait()
	if err != nil {
		return claims.Finding{}, err
	}
	err = n.until(ctx, "the held requests to end", func(ctx context.Context) (bool, error) {
		held, err := n.held(ctx)
		return held == 0, err
	})
	if err != nil {
		return claims.Finding{}, err
	}
	if f.idle, err = n.begun(ctx, stateful, "idle", old, &f.failed); err != nil {
		return claims.Finding{}, err
	}
	return judgeLeast(f), nil
}

// fresh scales out once the requests are held, and has new sessions ask.
func (n *namespace) fresh(ctx context.Context, servers probes, services, old []string) (f fresh, err error) {
	err = n.until(ctx, "the requests to be held", func(ctx context.Context) (bool, error) {
		held, err := n.held(ctx)
		return held == leastHeld*float64(len(services)), err
	})
	if err != nil {
		return fresh{}, err
	}
	servers.replicas = leastAll
	if err := n.deploy(ctx, servers); err != nil {
		return fresh{}, err
	}
	for i, into := range []*shared{&f.busy, &f.turns} {
		if err := n.knows(ctx, inside, services[i], leastAll); err != nil {
			return fresh{}, err
		}
		if *into, err = n.begun(ctx, services[i], "busy", old, &f.failed); err != nil {
			return fresh{}, err
		}
	}
	held, err := n.held(ctx)
	if err == nil && held != leastHeld*float64(len(services)) {
		err = fmt.Errorf("%w: %.0f requests are held, expected %d at each", ErrProbe, held, leastHeld)
	}
	return f, err
}

// held are requests that the sidecar has under way at either Service.
func (n *namespace) held(ctx context.Context) (sum float64, err error) {
	pod, err := n.pod(inside)
	if err != nil {
		return 0, err
	}
	var found struct { // envoy.admin.v3.Clusters
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Stats []struct {
					Name  string  `json:"name"`
					Value float64 `json:"value,string"`
				} `json:"stats"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := n.http(ctx, pod.Name, proxies.AdminPort, http.MethodGet, "/clusters?format=json", nil, &found); err != nil {
		return 0, fmt.Errorf("ask the sidecar of %s: %w", pod.Name, err)
	}
	for _, c := range found.Clusters {
		if c.Name != proxies.Outbound(stateful, n.name, kube.ServicePort) && c.Name != proxies.Outbound(turns, n.name, kube.ServicePort) {
			continue
		}
		for _, host := range c.Hosts {
			for _, s := range host.Stats {
				if s.Name == "rq_active" {
					sum += s.Value
				}
			}
		}
	}
	return sum, nil
}

// begun are new sessions at pods other than the old ones.
func (n *namespace) begun(ctx context.Context, service, prefix string, old []string, failed *int) (s shared, err error) {
	answers, err := n.ask(ctx, inside, probe.Batch{
		URL: url(service, "/"), Sessions: sessions(service+"-"+prefix, leastSessions), Requests: leastSessions,
	})
	if err != nil {
		return shared{}, err
	}
	for _, a := range answers {
		if !a.OK() {
			*failed++
			continue
		}
		s.all++
		if !slices.Contains(old, a.Pod) {
			s.part++
		}
	}
	return s, nil
}

// Shares of new sessions from which they count as sent to the new pods, and that these have by their number.
const (
	newOnly  = 0.90
	byNumber = 1 - float64(leastOld)/leastAll
)

func judgeLeast(found fresh) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("Istio, stateful sessions: after %d->%d new pods got of new sessions (by number: %s), LEAST_REQUEST with %d requests under way at the old ones %s, with none %s; ROUND_ROBIN with as many under way %s; %d requests failed",
			leastOld, leastAll, percent(byNumber), leastHeld, found.busy, found.idle, found.turns, found.failed),
		Figures: map[string]float64{
			"new_share_busy": found.busy.share(), "new_share_idle": found.idle.share(), "new_share_round_robin": found.turns.share(), "failed": float64(found.failed),
		},
	}
	switch {
	case found.failed > 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, noteFailed
	case found.busy.share() >= newOnly && found.idle.share() >= newOnly:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case found.busy.share() > found.turns.share() && !found.busy.may(found.turns.share()):
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on requests under way at that moment, which are all that it counts: sessions that are quiet count for nothing"
	default:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_REPRODUCED, "new pods get no more than by ROUND_ROBIN"
	}
	return f
}
