package kube_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/fakecluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
)

// put makes an object of the user's in the namespace.
func (b *bench) put(t *testing.T, apiVersion, kind, name string, labels map[string]any, content map[string]any) {
	t.Helper()
	object := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name, "namespace": kube.Namespace, "labels": labels}}
	for key, value := range content {
		object[key] = value
	}
	require.NoError(t, b.cluster.Client().Put(t.Context(), &unstructured.Unstructured{Object: object}))
}

func ours() map[string]any { return map[string]any{"app.kubernetes.io/part-of": "smaran"} }

// run makes one with a backend.
func (b *bench) run(t *testing.T, backend string) {
	t.Helper()
	f, err := b.driver.Up(t.Context(), driver.Spec{Backend: backend, Pods: 1})
	require.NoError(t, err)
	require.NoError(t, f.Down(t.Context()))
}

func TestWhatOthersPutIntoTheNamespaceStays(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, b *bench){
		"during the run": func(t *testing.T, b *bench) { b.run(t, "istio-hash") },
		"after a program that was killed": func(t *testing.T, b *bench) {
			n := overlay.Namespace{Cluster: b.cluster.Client(), Name: kube.Namespace, Clock: clockwork.NewRealClock()}
			objects, err := render("redis")
			require.NoError(t, err)
			_, _, err = n.Remember(t.Context(), objects, "the one before")
			require.NoError(t, err)
			require.NoError(t, n.Switch(t.Context(), objects))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				before(t, b)
				b.put(t, "v1", "ConfigMap", "shop", nil, map[string]any{"data": map[string]any{"price": "1"}})
				b.run(t, "istio-hash")
				require.NoError(t, b.driver.Close(t.Context()))
				require.NotNil(t, b.live(t, "v1", "ConfigMap", "shop"))
				require.NotNil(t, b.live(t, "v1", "Namespace", kube.Namespace))
				require.Nil(t, b.live(t, "apps/v1", "Deployment", "jarvis"), "ours goes")
				require.Nil(t, b.live(t, "apps/v1", "Deployment", "redis"))
				require.Nil(t, b.live(t, "v1", "Secret", "loadtest-found"))
				require.Contains(t, strings.Join(b.said, "\n"), "kept because of ConfigMap dev/shop")
			})
		})
	}
}

func TestWhatEveryNamespaceHasIsNobodys(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run(t, "istio-hash")
		b.put(t, "v1", "ServiceAccount", "default", nil, nil)
		b.put(t, "v1", "ConfigMap", "kube-root-ca.crt", nil, nil)
		b.put(t, "v1", "ConfigMap", "istio-ca-root-cert", map[string]any{"istio.io/config": "true"}, nil)
		require.NoError(t, b.driver.Close(t.Context()))
		require.Nil(t, b.live(t, "v1", "Namespace", kube.Namespace))
	})
}

func TestALaterOverlayTakesNothingOfOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		b.put(t, "v1", "ConfigMap", "more", nil, map[string]any{"data": map[string]any{"of": "others"}})
		b.run(t, "istio-hash")
		b.driver.Render = func(name string, features ...string) ([]*unstructured.Unstructured, error) {
			objects, err := render(name, features...)
			return append(objects, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "more", "namespace": kube.Namespace, "labels": ours()},
			}}), err
		}
		_, err := b.driver.Up(t.Context(), driver.Spec{Backend: "app-hash", Pods: 1})
		require.ErrorIs(t, err, overlay.ErrForeign)
		require.ErrorContains(t, err, "ConfigMap more")
		require.NoError(t, b.driver.Close(t.Context()))
		require.NotNil(t, b.live(t, "v1", "ConfigMap", "more").Object["data"])
	})
}

func TestWhatWasKilledTookNothingOfOthersEither(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		n := overlay.Namespace{Cluster: b.cluster.Client(), Name: kube.Namespace, Clock: clockwork.NewRealClock()}
		objects, err := render("redis")
		require.NoError(t, err)
		_, _, err = n.Remember(t.Context(), objects, "the one before")
		require.NoError(t, err)
		b.put(t, "v1", "Service", "jarvis-service", nil, map[string]any{"spec": map[string]any{}})
		_, err = b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.ErrorIs(t, err, overlay.ErrForeign)
		require.NoError(t, b.driver.Close(t.Context()))
		require.Empty(t, b.live(t, "v1", "Service", "jarvis-service").Object["spec"])
	})
}

func TestANamespaceThatWasTakenOverIsLeftAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 2})
		require.NoError(t, err)
		jarvis := b.live(t, "apps/v1", "Deployment", "jarvis")
		require.NoError(t, f.Err())
		// What the next program does, had this machine slept.
		require.NoError(t, cluster.Secrets().Merge(t.Context(), b.cluster.Client(), kube.Namespace, "loadtest-found", map[string]any{
			"metadata": map[string]any{"annotations": map[string]string{"smaran-v2/by": "the next", "smaran-v2/holder": "another's"}},
		}))
		select {
		case <-f.Died():
		case <-time.After(2 * overlay.BeatEvery):
			require.Fail(t, "it goes on")
		}
		require.ErrorIs(t, f.Err(), driver.ErrDied)
		require.ErrorIs(t, f.Err(), overlay.ErrLost)
		require.ErrorContains(t, f.Err(), "the next")
		require.NoError(t, f.Down(t.Context()))
		_, err = b.driver.Up(t.Context(), driver.Spec{Backend: "redis", Pods: 1})
		require.ErrorIs(t, err, overlay.ErrLost)
		require.ErrorIs(t, b.driver.Close(t.Context()), overlay.ErrLost)
		require.Equal(t, spec(t, jarvis), spec(t, b.live(t, "apps/v1", "Deployment", "jarvis")), "nothing is put back")
		require.NotNil(t, b.live(t, "v1", "Secret", "loadtest-found"))
		require.NoError(t, b.driver.Close(t.Context()), "and that is all")
	})
}

func TestCloseMayBeCalledAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		jarvis := b.live(t, "apps/v1", "Deployment", "jarvis")
		b.run(t, "istio-hash")
		down := errors.New("the API server restarts")
		answer := down
		b.cluster.Refuse("update", "deployments", func() error { return answer })
		require.ErrorIs(t, b.driver.Close(t.Context()), down)
		pass(10 * time.Minute)
		_, err := b.newDriver("another").Up(t.Context(), driver.Spec{Backend: "redis", Pods: 1})
		require.ErrorIs(t, err, overlay.ErrBusy, "it is held until then")
		answer = nil
		require.NoError(t, b.driver.Close(t.Context()))
		require.Equal(t, spec(t, jarvis), spec(t, b.live(t, "apps/v1", "Deployment", "jarvis")))
		require.Nil(t, b.live(t, "v1", "Secret", "loadtest-found"))
	})
}

func TestWhatWasBrokenIsNotWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.deployed(t, "redis")
		pass(time.Minute) // they roll out
		jarvis := b.live(t, "apps/v1", "Deployment", "jarvis")
		containers, _, err := unstructured.NestedSlice(jarvis.Object, "spec", "template", "spec", "containers")
		require.NoError(t, err)
		containers[0].(map[string]any)["image"] = fakecluster.NoImage
		require.NoError(t, unstructured.SetNestedSlice(jarvis.Object, containers, "spec", "template", "spec", "containers"))
		require.NoError(t, b.cluster.Client().Put(t.Context(), jarvis))
		pass(time.Minute)
		b.run(t, "istio-hash")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, b.driver.Close(ctx))
		redis, err := cluster.Deployments().Get(t.Context(), b.cluster.Client(), kube.Namespace, "redis")
		require.NoError(t, err)
		require.Equal(t, int32(1), redis.Status.AvailableReplicas, "what was not broken is waited for")
	})
}
