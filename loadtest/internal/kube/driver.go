package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
)

// Errors of this driver, besides those of package driver.
var (
	// ErrOverlay is returned for manifests that lack what the driver steers.
	ErrOverlay = errors.New("the overlay is not one of a fleet")
	// ErrPod is returned for a pod that an event can't hit.
	ErrPod = errors.New("no such pod to hit")
)

// Driver runs fleets in one cluster, one at a time. Close it after the last.
type Driver struct {
	Cluster *cluster.Client
	// Render gives the objects of an overlay with further features on top; manifests.RenderWith.
	Render func(overlay string, features ...string) ([]*unstructured.Unstructured, error)
	// Dial reaches a port of a pod, as seen on the pod's localhost.
	Dial func(ctx context.Context, namespace, pod string, port int) (net.Conn, error)
	// Signals reach processes.
	Signals node.Signaler
	// By says who runs it, for others that want the cluster at the same time.
	By    string
	Clock clockwork.Clock
	Log   *slog.Logger
	// Say, optional, is told what the driver does, in a few words.
	Say func(string)

	mu      sync.Mutex
	found   *overlay.Found
	lastSet []*unstructured.Unstructured
	beating *heart
}

// Name is "kubernetes".
func (*Driver) Name() string { return "kubernetes" }

func (d *Driver) say(format string, args ...any) {
	if d.Say != nil {
		d.Say(fmt.Sprintf(format, args...))
	}
}

func (d *Driver) namespace() overlay.Namespace {
	return overlay.Namespace{Cluster: d.Cluster, Name: Namespace, Clock: d.Clock, Say: d.Say}
}

// upTime bounds bringing a fleet up.
const upTime = 4 * time.Minute

// Up implements driver.Driver. It fails with driver.ErrStart and what was missing, and leaves the namespace to Close.
func (d *Driver) Up(ctx context.Context, s driver.Spec) (_ driver.Fleet, err error) {
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", driver.ErrStart, err)
		}
	}()
	var features []string
	if s.Lenient {
		features = append(features, lenientRouting)
	}
	objects, err := d.Render(OverlayOf(s.Backend), features...)
	if err != nil {
		return nil, err
	}
	if err := customize(objects, s); err != nil {
		return nil, err
	}
	if err := d.remember(ctx, objects); err != nil {
		return nil, err
	}
	smaranDeployment, err := deployment(objects, Smaran)
	if err != nil {
		return nil, err
	}
	policy, err := variable(smaranDeployment, smaranContainer, smaranPolicy)
	if err != nil {
		return nil, err
	}
	f := &fleet{
		driver: d, spec: s, policy: policy, ledger: &ledger{clock: d.Clock}, rng: rand.New(rand.NewPCG(s.Seed, 0)),
		frozen: map[string]node.Container{}, heart: d.beating, turn: make(chan struct{}, 1),
	}
	if f.view, err = view.Follow(ctx, d.Cluster, Namespace, d.Log, f.ledger.see); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Down(ctx) // nothing is frozen yet, which is all that could fail
		}
	}()
	if err := f.start(ctx, objects); err != nil {
		return nil, err
	}
	f.revisions = f.askBuilds(ctx)
	return f, nil
}

// remember keeps what is in the namespace, before the first change, and sees before each that nothing of others is in the way.
func (d *Driver) remember(ctx context.Context, objects []*unstructured.Unstructured) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.namespace()
	if d.found == nil {
		found, earlier, err := n.Remember(ctx, objects, d.By)
		if err != nil {
			return err
		}
		d.found, d.beating = &found, beat(ctx, n, found, d.Log)
		if earlier != nil {
			d.say("a load test of %s, begun %s, was killed: its Job will be removed; at the end the namespace becomes what that one had found",
				earlier.By, earlier.Started.Local().Format(time.DateTime))
		}
	}
	d.lastSet = objects
	if err := d.beating.Err(); err != nil {
		return err
	}
	return n.Check(ctx, objects)
}

// Close puts back what was found, and returns when those of its Deployments that had rolled out have again. It may be called again, after a
// failure too, and does nothing where nothing was changed. It fails with overlay.ErrLost where the namespace is another program's by now: that
// one puts back what was found here.
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		return nil
	}
	n := d.namespace()
	switch err := n.Held(ctx, *d.found); {
	case errors.Is(err, overlay.ErrLost):
		d.say("nothing is put back in namespace %s", Namespace)
		d.forget()
		return fmt.Errorf("nothing was put back: %w", err)
	case err != nil:
		return fmt.Errorf("put back what was found: %w", err)
	}
	d.say("putting back what was found in namespace %s", Namespace)
	d.beating.expectEnd()
	if err := n.Restore(ctx, *d.found, d.lastSet); err != nil {
		return fmt.Errorf("put back what was found: %w", err)
	}
	found := d.found
	d.forget()
	if !found.Existed {
		return nil
	}
	v, err := view.Follow(ctx, d.Cluster, Namespace, d.Log, nil)
	if err != nil {
		return err
	}
	defer v.Close()
	return v.Await(ctx, func(s view.State) (string, error) {
		for _, name := range found.RolledOut {
			if missing := view.RolledOut(s.Deployments[name]); missing != "" {
				return missing, nil
			}
		}
		return "", nil
	})
}

// forget is the end of this program's hold on the namespace.
func (d *Driver) forget() {
	d.beating.stop()
	d.found, d.beating = nil, nil
}
