package istio

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// mapper knows namespaces, and nothing else.
type mapper struct{}

func (mapper) Resource(_ context.Context, kind schema.GroupVersionKind) (cluster.Resource, error) {
	if kind.Kind != "Namespace" {
		return cluster.Resource{}, cluster.ErrNotFound
	}
	return cluster.Resource{GroupVersionResource: namespaces}, nil
}

func (mapper) Kinds(context.Context) ([]schema.GroupVersionKind, error) { return nil, nil }

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

func empty() *cluster.Client {
	lists := map[schema.GroupVersionResource]string{
		namespaces:                        "NamespaceList",
		cluster.Pods().Resource:           "PodList",
		cluster.Deployments().Resource:    "DeploymentList",
		cluster.EndpointSlices().Resource: "EndpointSliceList",
	}
	return &cluster.Client{Dynamic: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists), Mapper: mapper{}}
}

// A namespace is gone after its experiment, however that ends.
func TestNamespaceGoesWithItsExperiment(t *testing.T) {
	failure := errors.New("no such pod")
	for name, end := range map[string]func(context.CancelFunc) error{
		"done":        func(context.CancelFunc) error { return nil },
		"failed":      func(context.CancelFunc) error { return failure },
		"interrupted": func(interrupt context.CancelFunc) error { interrupt(); return context.Canceled },
	} {
		t.Run(name, func(t *testing.T) {
			c := empty()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var want error
			e := experiment{34, func(_ context.Context, n *namespace) (claims.Finding, error) {
				live, err := c.Dynamic.Resource(namespaces).Get(t.Context(), n.name, metav1.GetOptions{})
				require.NoError(t, err)
				require.Equal(t, "enabled", live.GetLabels()["istio-injection"])
				want = end(cancel)
				return claims.Finding{}, want
			}}
			_, err := e.conduct(ctx, Env{Cluster: c, Log: slog.New(slog.DiscardHandler)})
			require.ErrorIs(t, err, want)
			left, err := c.Dynamic.Resource(namespaces).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			require.Empty(t, left.Items)
		})
	}
}

// The next experiment begins when the pods of the one before have ended, or don't end.
func TestTheEndOfThePodsIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		ends, wait time.Duration
		interrupt  bool
	}{
		"they end":       {ends: 20 * time.Second, wait: 20 * time.Second},
		"they don't":     {ends: time.Hour, wait: endTime},
		"nobody waits":   {ends: 20 * time.Second, interrupt: true},
		"there are none": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := empty()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var deleted time.Time
				e := experiment{34, func(ctx context.Context, n *namespace) (claims.Finding, error) {
					pods := cluster.Pods().In(client, n.name)
					if c.ends > 0 {
						require.NoError(t, cluster.Pods().Create(ctx, client, n.name, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: n.name}}))
						synctest.Wait()
						require.Len(t, n.view.Now().Pods, 1)
					}
					client.Dynamic.(*fake.FakeDynamicClient).PrependReactor("delete", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
						deleted = time.Now()
						time.AfterFunc(c.ends, func() { _ = pods.Delete(context.WithoutCancel(ctx), "probe", metav1.DeleteOptions{}) })
						return false, nil, nil
					})
					if c.interrupt {
						cancel()
					}
					return claims.Finding{}, nil
				}}
				_, err := e.conduct(ctx, Env{Cluster: client, Log: slog.New(slog.DiscardHandler)})
				require.NoError(t, err, "what was found is good")
				require.Equal(t, c.wait, time.Since(deleted))
			})
		})
	}
}

func TestAClusterWithoutIstioIsToldSo(t *testing.T) {
	require.ErrorIs(t, Check(t.Context(), empty()), ErrMissing)
}

func TestUntilTellsWhatItWaitedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := &namespace{}
	refused := errors.New("connection refused")
	err := n.until(ctx, "the pod to answer", func(context.Context) (bool, error) { cancel(); return false, refused })
	require.ErrorIs(t, err, refused)
	require.ErrorContains(t, err, "the pod to answer")
	require.NoError(t, n.until(t.Context(), "it", func(context.Context) (bool, error) { return true, nil }))
}
