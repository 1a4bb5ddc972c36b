package kube_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/fakecluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

// render takes the manifests that are in the repository.
func render(name string, features ...string) ([]*unstructured.Unstructured, error) {
	return manifests.RenderWith(filepath.Join("..", "..", "..", "deploy"), name, features...)
}

type bench struct {
	cluster *fakecluster.Cluster
	driver  *kube.Driver
	said    []string
}

// inBubble gives a test a cluster and a driver. A test that hangs is a deadlock of the bubble.
func inBubble(t *testing.T, test func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{cluster: fakecluster.New()}
		b.driver = b.newDriver("tester")
		test(t, b)
		require.NoError(t, b.driver.Close(context.WithoutCancel(t.Context())))
		b.cluster.Close()
	})
}

func (b *bench) newDriver(by string) *kube.Driver {
	return &kube.Driver{
		Cluster: b.cluster.Client(), Render: render, Dial: b.cluster.Dial, Signals: b.cluster, By: by,
		Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler), Say: func(what string) { b.said = append(b.said, what) },
	}
}

// pass lets time go by in the bubble.
func pass(d time.Duration) { time.Sleep(d) }

// live is an object as the cluster has it, nil where it does not.
func (b *bench) live(t *testing.T, apiVersion, kind, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetName(name)
	if kind != "Namespace" {
		o.SetNamespace(kube.Namespace)
	}
	got, err := b.cluster.Client().Read(t.Context(), o)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	require.NoError(t, err)
	return got
}

func TestTheClusterKeepsWhatADriverHasToKeep(t *testing.T) {
	for _, part := range drivertest.Parts() {
		t.Run(part.Name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				part.Run(t, drivertest.Case{Driver: b.driver, Within: time.Minute})
			})
		})
	}
}

func TestEachBackendIsSwitchedTo(t *testing.T) {
	for name, policy := range map[string]string{
		"roundrobin": "least_request", "redis-plain": "least_request", "redis": "least_request", "app-hash": "least_request",
		"istio-hash": "ring", "istio-hash:maglev": "maglev", "stateful-header": "stateful-header", "stateful-cookie": "stateful-cookie",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				// From another one, whose traces must not stay.
				for _, backend := range []string{"stateful-cookie", "istio-hash:maglev", name} {
					f, err := b.driver.Up(t.Context(), driver.Spec{Backend: backend, Pods: 2, Seed: 1})
					require.NoError(t, err)
					s, err := f.Status(t.Context())
					require.NoError(t, err)
					require.NoError(t, f.Down(t.Context()))
					if backend == name {
						require.Equal(t, policy, s.GetPolicy())
						require.Equal(t, policy == "ring", s.GetRingSize() > 0, "only a ring has a size")
						require.Len(t, s.GetPods(), 2)
					}
				}
			})
		})
	}
}

func TestAnEventIsOverWhenItsEffectIs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 3})
		require.NoError(t, err)
		for _, c := range []struct {
			event string
			takes time.Duration
		}{
			{"kill", fakecluster.Restart}, {"smaran=kill", fakecluster.Restart}, {"scale=4", fakecluster.Join}, {"scale=3", fakecluster.Leave},
			{"rollout", fakecluster.Join + fakecluster.Leave}, {"stop", fakecluster.Leave}, {"redis=down", fakecluster.Leave}, {"redis=up", fakecluster.Join},
		} {
			e, err := scenario.ParseEvent("0s:" + c.event)
			require.NoError(t, err)
			start := time.Now()
			_, err = f.Do(t.Context(), e)
			require.NoError(t, err, c.event)
			require.InDelta(t, c.takes.Seconds(), time.Since(start).Seconds(), 1, c.event)
		}
		require.NoError(t, f.Down(t.Context()))
	})
}

func TestPodsAreFreshInEachRun(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		seen := map[string]bool{}
		for range 2 {
			f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 3})
			require.NoError(t, err)
			s, err := f.Status(t.Context())
			require.NoError(t, err)
			require.NoError(t, f.Down(t.Context()))
			for _, p := range s.GetPods() {
				require.False(t, seen[p.GetName()], "it holds sessions of the run before")
				seen[p.GetName()] = true
			}
		}
	})
}

func TestALenientFleetLetsRequestsWithoutASessionPass(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		for _, lenient := range []bool{true, false} {
			f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1, Lenient: lenient})
			require.NoError(t, err)
			s, err := f.Status(t.Context())
			require.NoError(t, err)
			require.NoError(t, f.Down(t.Context()))
			require.Equal(t, lenient, s.GetSessionMode() == "lenient")
			raw, err := b.live(t, "networking.istio.io/v1", "VirtualService", "jarvis-routing").MarshalJSON()
			require.NoError(t, err)
			require.Equal(t, !lenient, strings.Contains(string(raw), "session_missing"))
		}
	})
}

func TestADrainTakesAsLongAsInOtherDrivers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.NoError(t, err)
		d, err := cluster.Deployments().Get(t.Context(), b.cluster.Client(), kube.Namespace, "jarvis")
		require.NoError(t, err)
		require.NoError(t, f.Down(t.Context()))
		set := map[string]string{}
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			require.NotContains(t, set, e.Name, "the overlay's own is replaced")
			set[e.Name] = e.Value
		}
		require.Equal(t, driver.DrainTimeout.String(), set["JARVIS_DRAIN_TIMEOUT"])
	})
}

// deployed puts a user's own deployment of an overlay into the namespace.
func (b *bench) deployed(t *testing.T, name string) {
	t.Helper()
	objects, err := render(name)
	require.NoError(t, err)
	require.NoError(t, overlay.Namespace{Cluster: b.cluster.Client(), Name: kube.Namespace}.Switch(t.Context(), objects))
	synctest.Wait()
}

func spec(t *testing.T, o *unstructured.Unstructured) any {
	t.Helper()
	require.NotNil(t, o)
	return []any{o.Object["spec"], o.GetLabels(), o.GetAnnotations()}
}

func TestWhatWasFoundIsPutBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "stateful-cookie")
		policy := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
			"metadata": map[string]any{"name": "mine", "namespace": kube.Namespace, "labels": map[string]any{"app.kubernetes.io/part-of": "smaran"}},
			"spec":     map[string]any{"podSelector": map[string]any{}},
		}}
		require.NoError(t, b.cluster.Client().Put(t.Context(), policy))
		jarvis, rule, service := b.live(t, "apps/v1", "Deployment", "jarvis"), b.live(t, "networking.istio.io/v1", "DestinationRule", "jarvis-consistent-hash"),
			b.live(t, "v1", "Service", "jarvis-service")

		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 5, Seed: 3})
		require.NoError(t, err)
		require.NotEqual(t, spec(t, jarvis), spec(t, b.live(t, "apps/v1", "Deployment", "jarvis")))
		require.NotEqual(t, spec(t, service), spec(t, b.live(t, "v1", "Service", "jarvis-service")), "the label of stateful sessions is off")
		require.Nil(t, b.live(t, "networking.k8s.io/v1", "NetworkPolicy", "mine"), "what routes otherwise is away for the time")
		require.NotNil(t, b.live(t, "v1", "Secret", "loadtest-found"))
		require.NoError(t, f.Down(t.Context()))

		require.NoError(t, b.driver.Close(t.Context()))
		require.Equal(t, spec(t, jarvis), spec(t, b.live(t, "apps/v1", "Deployment", "jarvis")))
		require.Equal(t, spec(t, rule), spec(t, b.live(t, "networking.istio.io/v1", "DestinationRule", "jarvis-consistent-hash")))
		require.Equal(t, spec(t, service), spec(t, b.live(t, "v1", "Service", "jarvis-service")))
		require.Equal(t, spec(t, policy), spec(t, b.live(t, "networking.k8s.io/v1", "NetworkPolicy", "mine")))
		require.Nil(t, b.live(t, "v1", "Secret", "loadtest-found"))
	})
}

func TestWhatIsNotOfTheProjectStopsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		redis := b.live(t, "v1", "Service", "redis")
		redis.SetLabels(map[string]string{"app": "shop"})
		require.NoError(t, b.cluster.Client().Put(t.Context(), redis))
		_, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.ErrorIs(t, err, overlay.ErrForeign)
		require.ErrorContains(t, err, "Service redis")
		require.Nil(t, b.live(t, "v1", "Secret", "loadtest-found"), "nothing was begun")
	})
}

func TestAnEmptyClusterIsEmptyAfterwards(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.NoError(t, err)
		require.NoError(t, f.Down(t.Context()))
		require.NoError(t, b.driver.Close(t.Context()))
		require.Nil(t, b.live(t, "v1", "Namespace", kube.Namespace))
	})
}

func TestANamespaceThatIsBeingDeletedIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		require.NoError(t, b.cluster.Client().Remove(t.Context(), b.live(t, "v1", "Namespace", kube.Namespace)))
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.NoError(t, err)
		require.NotNil(t, b.live(t, "v1", "Secret", "loadtest-found"), "it is in the new one")
		require.NoError(t, f.Down(t.Context()))
	})
}

func TestTwoProgramsDoNotShareANamespace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 2})
		require.NoError(t, err)
		time.Sleep(10 * time.Minute) // it goes on, and says so
		other := b.newDriver("another")
		_, err = other.Up(t.Context(), driver.Spec{Backend: "redis", Pods: 1})
		require.ErrorIs(t, err, overlay.ErrBusy)
		require.ErrorContains(t, err, "tester")
		require.NoError(t, other.Close(t.Context()), "and it puts nothing back")
		s, err := f.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, s.GetPods(), 2)
		require.NoError(t, f.Down(t.Context()))
	})
}

func TestAProgramThatWasKilledIsPutRightByTheNext(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		jarvis := b.live(t, "apps/v1", "Deployment", "jarvis")
		// What a program had done until kill -9.
		n := overlay.Namespace{Cluster: b.cluster.Client(), Name: kube.Namespace, Clock: clockwork.NewRealClock()}
		objects, err := render("istio-hash")
		require.NoError(t, err)
		_, earlier, err := n.Remember(t.Context(), objects, "the one before")
		require.NoError(t, err)
		require.Nil(t, earlier)
		require.NoError(t, n.Switch(t.Context(), objects))
		require.NoError(t, cluster.Deployments().Merge(t.Context(), b.cluster.Client(), kube.Namespace, "jarvis",
			map[string]any{"spec": map[string]any{"replicas": 9}}, "scale"))

		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "app-hash", Pods: 2})
		require.NoError(t, err)
		require.Contains(t, strings.Join(b.said, "\n"), "seeing whether the load test of the one before still runs")
		require.Contains(t, strings.Join(b.said, "\n"), "a load test of the one before")
		require.NoError(t, f.Down(t.Context()))
		require.NoError(t, b.driver.Close(t.Context()))
		require.Equal(t, spec(t, jarvis), spec(t, b.live(t, "apps/v1", "Deployment", "jarvis")), "not what this one found, but the one before")
	})
}

func TestAnImpatientStartLeavesTheClusterToClose(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		jarvis := b.live(t, "apps/v1", "Deployment", "jarvis")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.driver.Up(ctx, driver.Spec{Backend: "istio-hash", Pods: 5})
		require.ErrorIs(t, err, driver.ErrStart)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, b.driver.Close(t.Context()))
		require.Equal(t, spec(t, jarvis), spec(t, b.live(t, "apps/v1", "Deployment", "jarvis")))
	})
}

func TestWhatIsNotAllowedIsNamed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "networking.istio.io", Resource: "destinationrules"}, "", errors.New("no RBAC policy matched"))
		b.cluster.Refuse("create", "destinationrules", func() error { return forbidden })
		_, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.ErrorIs(t, err, driver.ErrStart)
		require.ErrorIs(t, err, cluster.ErrForbidden)
		require.ErrorContains(t, err, "destinationrules.networking.istio.io")
	})
}

func TestAControllerThatIsQuickerIsNoFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		conflicts := 0
		b.cluster.Refuse("update", "poddisruptionbudgets", func() error {
			if conflicts++; conflicts > 2 {
				return nil
			}
			return apierrors.NewConflict(schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}, "jarvis", errors.New("modified"))
		})
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.NoError(t, err)
		require.Greater(t, conflicts, 2)
		require.NoError(t, f.Down(t.Context()))
	})
}

// signals refuse, as for a cluster that is not kind.
type noSignals struct{}

func (noSignals) Signal(context.Context, node.Container, node.Signal) error { return node.ErrNode }

func TestAClusterThatIsNotKindCannotKill(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.driver.Signals = noSignals{}
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 2})
		require.NoError(t, err)
		pod, err := f.Do(t.Context(), scenario.Event{Kind: scenario.KindKill})
		require.ErrorIs(t, err, node.ErrNode)
		require.NotEmpty(t, pod)
		require.NoError(t, f.Down(t.Context()))
	})
}

func TestTheSeedChoosesThePod(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		var places []int
		for range 2 {
			f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 5, Seed: 42})
			require.NoError(t, err)
			s, err := f.Status(t.Context())
			require.NoError(t, err)
			for range 3 {
				pod, err := f.Do(t.Context(), scenario.Event{Kind: scenario.KindKill})
				require.NoError(t, err)
				for i, p := range s.GetPods() {
					if p.GetName() == pod {
						places = append(places, i)
					}
				}
			}
			require.NoError(t, f.Down(t.Context()))
		}
		require.Len(t, places, 6)
		require.Equal(t, places[:3], places[3:])
	})
}

type observer interface {
	Observe(ctx context.Context, sessions []string, r *reportv1.Result)
}

// observed scales a fleet while proxies are behind, and says what the result has then.
func observed(t *testing.T, b *bench, lag time.Duration, meanwhile func()) *reportv1.Result {
	f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 3})
	require.NoError(t, err)
	b.cluster.SetLag(lag)
	if meanwhile != nil {
		meanwhile()
	}
	_, err = f.Do(t.Context(), scenario.Event{Kind: scenario.KindScale, Pods: 5})
	require.NoError(t, err)
	time.Sleep(5 * time.Second)
	s, err := f.Status(t.Context())
	require.NoError(t, err)
	r := &reportv1.Result{Valid: true, Settings: map[string]string{}}
	for _, e := range s.GetHistory()[0].GetEndpoints() { // the new ones got nothing
		r.Pods = append(r.Pods, &reportv1.PodLoad{Pod: e.GetPod(), Address: e.GetAddress(), Requests: 10})
	}
	r.Pods[0].Address, r.Pods[0].Requests = "", 0 // calls were placed there, and then it got nothing either
	f.(observer).Observe(t.Context(), []string{"a", "b", "c", "d", "e", "f", "g", "h"}, r)
	require.NoError(t, f.Down(t.Context()))
	return r
}

func TestPodsThatGetNothingAreReported(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := observed(t, b, fakecluster.Lag, nil)
		require.True(t, r.GetValid(), r.GetInvalidReasons())
		require.Len(t, r.GetPods(), 5)
		require.Zero(t, r.GetPods()[4].GetRequests())
		for _, i := range []int{0, 3, 4} {
			require.NotEmpty(t, r.GetPods()[i].GetAddress())
			require.Contains(t, r.GetSettings()[kube.SettingIdlePods], r.GetPods()[i].GetPod())
		}
		require.Contains(t, r.GetSettings()[kube.SettingPropagation], "gateway-1")
		require.Contains(t, r.GetSettings()[kube.SettingProxies], "gateway-1 agrees")
	})
}

func TestAGatewayThatIsNotReadyIsNamed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		require.NoError(t, b.cluster.Client().Put(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": map[string]any{"name": "gateway-2", "namespace": "istio-system", "labels": map[string]any{"istio": "ingressgateway"}},
		}}))
		r := observed(t, b, fakecluster.Lag, nil)
		require.Contains(t, r.GetSettings()[kube.SettingProxies], "gateway-1 agrees")
		require.Contains(t, r.GetSettings()[kube.SettingProxies], "not asked: gateway-2")
	})
}

func TestASlowProxyMakesTheRunInvalid(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := observed(t, b, 4*time.Second, nil)
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons()[0], "longer than the margin")
	})
}

// severed is a connection that carries nothing once it is cut.
type severed struct {
	net.Conn
	cut *atomic.Bool
}

var errSevered = errors.New("the line is cut")

func (c severed) Write(p []byte) (int, error) {
	if c.cut.Load() {
		return 0, errSevered
	}
	return c.Conn.Write(p)
}

func TestAProxyThatCannotBeAskedIsNotSaidToBeSlow(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		var cut atomic.Bool
		b.driver.Dial = func(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
			if cut.Load() {
				return nil, errSevered
			}
			conn, err := b.cluster.Dial(ctx, namespace, pod, port)
			return severed{conn, &cut}, err
		}
		r := observed(t, b, fakecluster.Lag, func() { cut.Store(true) })
		require.False(t, r.GetValid())
		why := strings.Join(r.GetInvalidReasons(), "; ")
		require.Contains(t, why, "could not be asked: ")
		require.Contains(t, why, errSevered.Error())
		require.NotContains(t, why, "did not learn")
	})
}

func TestAProxyThatNeverLearnsDisagrees(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := observed(t, b, time.Hour, nil)
		require.False(t, r.GetValid())
		why := strings.Join(r.GetInvalidReasons(), "; ")
		require.Contains(t, why, "did not learn")
		require.Contains(t, why, "of 8 sessions to another pod")
	})
}
