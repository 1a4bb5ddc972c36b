package kube

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/services/mesh"
)

// settleMargin is how long a change of endpoints may take to reach smaran's watch and every proxy. Istio sends after 100 ms without a
// further change, and after 10 s at the latest; what a run took is measured, and a run in which it took longer is invalid.
const settleMargin = 3 * time.Second

// fleet implements driver.Fleet.
type fleet struct {
	driver *Driver
	spec   driver.Spec
	// policy is the mesh's, as smaran is told.
	policy    string
	view      *view.View
	ledger    *ledger
	watch     *watch
	revisions revisions

	// turn holds one token: changes come one at a time. rng and frozen belong to who has it.
	turn   chan struct{}
	rng    *rand.Rand
	frozen map[string]node.Container

	heart *heart
	once  sync.Once
}

// Died implements driver.Fleet. A cluster does not end by itself, and what can't be reached any more fails the run by its events; but the
// namespace may be taken over by another program.
func (f *fleet) Died() <-chan struct{} { return f.heart.lost }

// Err implements driver.Fleet. It is a driver.ErrDied and an overlay.ErrLost.
func (f *fleet) Err() error {
	if err := f.heart.Err(); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrDied, err)
	}
	return nil
}

// Down implements driver.Fleet: it thaws what an interrupted run left frozen, and stops looking. Else the namespace stays as it is for the
// next run; Driver.Close puts back what was found. Where something could not be thawed it tries again when it is called again.
func (f *fleet) Down(ctx context.Context) error {
	err := f.thawAll(ctx)
	f.once.Do(func() {
		if f.watch != nil {
			f.watch.close()
		}
		f.view.Close()
	})
	return err
}

// quick is the grace, in seconds, of what is deleted between runs.
const quick = 1

// start makes the namespace the overlay, with fresh pods, and waits until it is, and all proxies know.
func (f *fleet) start(ctx context.Context, objects []*unstructured.Unstructured) error {
	f.driver.say("switching to %s", f.spec.Backend)
	if err := f.clear(ctx); err != nil {
		return err
	}
	if err := f.driver.namespace().Switch(ctx, objects); err != nil {
		return err
	}
	f.driver.say("waiting for %d pods", f.spec.Pods)
	if err := f.view.Await(ctx, func(s view.State) (string, error) {
		for _, app := range apps() {
			if missing := view.RolledOut(s.Deployments[app]); missing != "" {
				return missing, troubleOf(s, app)
			}
		}
		return f.jarvisIs(s, f.spec.Pods)
	}); err != nil {
		return err
	}
	f.driver.say("waiting for the proxies")
	return f.watchProxies(ctx)
}

// clear ends all pods: those of the run before hold its sessions, and Redis its owners. They go before the Deployments change, which
// would replace them one by one.
func (f *fleet) clear(ctx context.Context) error {
	now := f.view.Now()
	for _, app := range apps() {
		if now.Deployments[app] == nil {
			continue
		}
		if err := f.replicas(ctx, app, 0); err != nil {
			return err
		}
		for _, p := range now.PodsOf(app) {
			if err := cluster.Pods().Delete(ctx, f.driver.Cluster, Namespace, p.Name, quick); err != nil {
				return err
			}
		}
	}
	return f.view.Await(ctx, func(s view.State) (string, error) {
		for _, app := range apps() {
			if there := s.PodsOf(app); len(there) > 0 {
				return "pod " + there[0].Name + " of before to go", nil
			}
		}
		return "", nil
	})
}

func apps() []string { return []string{Jarvis, Smaran, redis} }

// troubleOf is why pods of an app will never be ready.
func troubleOf(s view.State, app string) error {
	for _, p := range s.PodsOf(app) {
		if why := view.Trouble(p); why != nil {
			return fmt.Errorf("%w: %w", ErrPod, why)
		}
	}
	return nil
}

// jarvisIs says what is missing until there are so many pods, all ready and listed, and no others.
func (f *fleet) jarvisIs(s view.State, pods int) (string, error) {
	if missing := view.RolledOut(s.Deployments[Jarvis]); missing != "" {
		return missing, troubleOf(s, Jarvis)
	}
	there := s.PodsOf(Jarvis)
	if len(there) != pods {
		return fmt.Sprintf("%d pods of %s (now %d, those that end included)", pods, Jarvis, len(there)), nil
	}
	set := listed(s)
	if len(proxies.InRotation(set)) != pods || len(set) != pods {
		return fmt.Sprintf("%d endpoints of %s (now %d, %d of them in rotation)", pods, JarvisService, len(set), len(proxies.InRotation(set))), nil
	}
	return "", nil
}

// askAgain is the pause between two questions to a proxy that does not know yet.
const askAgain = 250 * time.Millisecond

// watchProxies waits until every proxy that routes to jarvis-service has the backend's policy and the pods, and follows them from there.
func (f *fleet) watchProxies(ctx context.Context) error {
	found, remark, err := f.proxies(ctx)
	if err != nil {
		return err
	}
	w := &watch{fleet: f, proxies: found, remark: remark}
	f.watch = w
	for _, p := range found {
		if err := f.untilKnows(ctx, p); err != nil {
			return err
		}
	}
	return w.begin(ctx)
}

// untilKnows asks a proxy until it has the policy and the pods.
func (f *fleet) untilKnows(ctx context.Context, p *followed) error {
	for {
		missing, err := f.missingAt(ctx, p)
		if missing == "" && err == nil {
			return nil
		}
		timer := f.driver.Clock.NewTimer(askAgain)
		select {
		case <-timer.Chan():
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w for proxy %s: %s: %w", view.ErrWaited, p.proxy.Name, missing, errors.Join(err, context.Cause(ctx)))
		}
	}
}

// missingAt says what a proxy does not have yet.
func (f *fleet) missingAt(ctx context.Context, p *followed) (string, error) {
	hosts, err := p.proxy.Hosts(ctx, outbound())
	if err != nil {
		return "an answer", err
	}
	want := proxies.InRotation(f.ledger.latest())
	if have := proxies.InRotation(hosts); !slices.Equal(want, have) {
		return fmt.Sprintf("the pods %s (it has %s)", strings.Join(want, " "), strings.Join(have, " ")), nil
	}
	balancing, err := p.proxy.Balancing(ctx, outbound())
	if err != nil {
		return "an answer", err
	}
	policy := mesh.Policy(f.policy)
	if lb := envoyadmin.Below(policy); balancing.Policy != lb {
		return fmt.Sprintf("balancing by %s (it has %s)", lb, balancing.Policy), nil
	}
	p.ring = balancing.RingSize
	if p.gateway {
		return "", nil // its virtual hosts have other names
	}
	stateful, err := p.proxy.Stateful(ctx, routes, serviceHost)
	if err != nil {
		return "an answer", err
	}
	switch {
	case policy.Stateful() && stateful != policy:
		return fmt.Sprintf("a session of %s (it has %q): PILOT_ENABLE_PERSISTENT_SESSION_FILTER has to be true in istiod", policy, stateful), nil
	case !policy.Stateful() && stateful != "":
		return fmt.Sprintf("no stateful session (it has %s)", stateful), nil
	default:
		return "", nil
	}
}
