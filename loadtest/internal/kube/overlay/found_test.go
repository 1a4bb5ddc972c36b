package overlay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/fakecluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
)

// onCluster gives a test, in a bubble, a cluster in which the namespace is there.
func onCluster(t *testing.T, test func(t *testing.T, fake *fakecluster.Cluster, n overlay.Namespace)) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakecluster.New()
		defer fake.Close()
		c := fake.Client()
		ns := &unstructured.Unstructured{}
		ns.SetAPIVersion("v1")
		ns.SetKind("Namespace")
		ns.SetName("dev")
		require.NoError(t, c.Put(t.Context(), ns))
		test(t, fake, overlay.Namespace{Cluster: c, Name: "dev", Clock: clockwork.NewRealClock()})
	})
}

// skewed are clocks that are wrong by more than a holder may be silent.
func skewed() map[string]time.Duration {
	return map[string]time.Duration{"slow": -time.Hour, "right": 0, "fast": time.Hour}
}

func TestALiveHolderIsBusyWhateverItsClockSays(t *testing.T) {
	for name, by := range skewed() {
		t.Run(name, func(t *testing.T) {
			onCluster(t, func(t *testing.T, _ *fakecluster.Cluster, n overlay.Namespace) {
				clock := clockwork.NewFakeClockAt(time.Now().Add(by))
				holder := n
				holder.Clock = clock
				found, _, err := holder.Remember(t.Context(), nil, "holder")
				require.NoError(t, err)

				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ticker := time.NewTicker(overlay.BeatEvery)
					defer ticker.Stop()
					for {
						select {
						case <-ctx.Done():
							ended <- nil
							return
						case <-ticker.C:
							clock.Advance(overlay.BeatEvery)
							if err := holder.Beat(ctx, found); err != nil {
								ended <- err
								return
							}
						}
					}
				}()
				_, _, err = n.Remember(t.Context(), nil, "other")
				cancel()
				require.NoError(t, <-ended)
				require.ErrorIs(t, err, overlay.ErrBusy)
				require.ErrorContains(t, err, "holder")
			})
		})
	}
}

func TestADeadHolderIsWatchedBeforeItIsFollowed(t *testing.T) {
	const least, most = 3 * overlay.BeatEvery / 2, 45 * time.Second
	for name, by := range skewed() {
		t.Run(name, func(t *testing.T) {
			onCluster(t, func(t *testing.T, _ *fakecluster.Cluster, n overlay.Namespace) {
				holder := n
				holder.Clock = clockwork.NewFakeClockAt(time.Now().Add(by))
				_, _, err := holder.Remember(t.Context(), nil, "holder")
				require.NoError(t, err)
				start := time.Now()
				_, earlier, err := n.Remember(t.Context(), nil, "other")
				require.NoError(t, err)
				require.Equal(t, "holder", earlier.By)
				want := most
				if by < 0 {
					want = least
				}
				require.Equal(t, want, time.Since(start))
			})
		})
	}
}

// Of two that begin at once, the slower sees no Secret, and then fails to make it, or to change the one that it watched.
func TestTheSlowerOfTwoIsBusy(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	for name, c := range map[string]struct {
		verb    string
		answer  error
		earlier bool
	}{
		"both begin":     {"create", apierrors.NewAlreadyExists(secrets, "loadtest-found"), false},
		"both take over": {"patch", apierrors.NewConflict(secrets, "loadtest-found", nil), true},
	} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, func(t *testing.T, fake *fakecluster.Cluster, n overlay.Namespace) {
				if c.earlier {
					_, _, err := n.Remember(t.Context(), nil, "dead")
					require.NoError(t, err)
				}
				fake.Refuse(c.verb, "secrets", func() error { return c.answer })
				_, _, err := n.Remember(t.Context(), nil, "slower")
				require.ErrorIs(t, err, overlay.ErrBusy)
			})
		})
	}
}

// A namespace in which nothing can be kept goes again, unless it is somebody else's.
func TestANamespaceIsNotLeftBehind(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	for name, c := range map[string]struct {
		answer error
		stays  bool
	}{
		"not allowed":        {answer: apierrors.NewForbidden(secrets, "loadtest-found", nil)},
		"somebody was first": {apierrors.NewAlreadyExists(secrets, "loadtest-found"), true},
	} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, func(t *testing.T, fake *fakecluster.Cluster, n overlay.Namespace) {
				n.Name = "new"
				ns := &unstructured.Unstructured{}
				ns.SetAPIVersion("v1")
				ns.SetKind("Namespace")
				ns.SetName("new")
				fake.Refuse("create", "secrets", func() error { return c.answer })
				_, _, err := n.Remember(t.Context(), []*unstructured.Unstructured{ns}, "one")
				require.Error(t, err)
				_, err = n.Cluster.Read(t.Context(), ns)
				if c.stays {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, cluster.ErrNotFound)
				}
			})
		})
	}
}
