package stage_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/smaran-v2/smaran/loadtest/internal/conduct"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/fakecluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/stage"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

// port is a pod's port behind which a generator speaks, once it has been dialled a few times in vain.
type port struct {
	refuse int
	// silent ones accept and say nothing.
	silent bool
	tries  int
	pods   []string
	far    net.Conn
}

func (p *port) dial(_ context.Context, pod string, number int) (net.Conn, error) {
	p.tries++
	p.pods = append(p.pods, pod)
	if number != conduct.ControlPort || p.tries <= p.refuse {
		return nil, fakecluster.ErrRefused
	}
	near, far := net.Pipe()
	p.far = far
	if p.silent {
		go io.Copy(io.Discard, far) //nolint:errcheck // ends with near
		return near, nil
	}
	go far.Write([]byte("PRI")) //nolint:errcheck // ends with near
	return near, nil
}

func inBubble(t *testing.T, p *port, test func(t *testing.T, c *fakecluster.Cluster, s *stage.Stage)) {
	synctest.Test(t, func(t *testing.T) {
		c := fakecluster.New()
		test(t, c, &stage.Stage{
			Cluster: c.Client(), Namespace: "dev", Dial: p.dial,
			Watch: func(ctx context.Context) (*view.View, error) {
				return view.Follow(ctx, c.Client(), "dev", slog.New(slog.DiscardHandler), nil)
			},
			Log: func(context.Context, string, string) (string, error) { return "last words", nil },
		})
		left, err := cluster.Pods().List(context.WithoutCancel(t.Context()), c.Client(), "dev", "")
		require.NoError(t, err)
		require.Empty(t, left, "no pod stays")
		c.Close()
	})
}

func TestAGeneratorIsStartedReachedAndRemoved(t *testing.T) {
	p := &port{refuse: 3}
	inBubble(t, p, func(t *testing.T, c *fakecluster.Cluster, s *stage.Stage) {
		player, err := s.Start(t.Context(), 30*time.Second)
		require.NoError(t, err)
		require.Equal(t, 4, p.tries, "it listens a moment after its container runs")
		first := make([]byte, 3)
		_, err = io.ReadFull(player.Conn(), first)
		require.NoError(t, err)
		require.Equal(t, "PRI", string(first), "what was read ahead is not lost")
		require.Equal(t, "last words", player.Words(t.Context()))
		job, err := cluster.Jobs().Get(t.Context(), c.Client(), "dev", stage.JobName)
		require.NoError(t, err)
		require.GreaterOrEqual(t, *job.Spec.ActiveDeadlineSeconds, int64(30+60))
		require.NoError(t, player.Remove(t.Context()))
		_, err = cluster.Jobs().Get(t.Context(), c.Client(), "dev", stage.JobName)
		require.ErrorIs(t, err, cluster.ErrNotFound)
	})
}

func TestAJobThatWasLeftIsReplaced(t *testing.T) {
	p := &port{}
	inBubble(t, p, func(t *testing.T, c *fakecluster.Cluster, s *stage.Stage) {
		job, err := stage.Job("", time.Minute)
		require.NoError(t, err)
		job.Namespace = "dev"
		require.NoError(t, cluster.Jobs().Create(t.Context(), c.Client(), "dev", job))
		old, err := cluster.Pods().List(t.Context(), c.Client(), "dev", "")
		require.NoError(t, err)
		player, err := s.Start(t.Context(), time.Minute)
		require.NoError(t, err)
		require.NotEqual(t, old[0].Name, p.pods[len(p.pods)-1])
		require.NoError(t, player.Remove(t.Context()))
	})
}

func TestAnothersGeneratorStays(t *testing.T) {
	inBubble(t, &port{}, func(t *testing.T, c *fakecluster.Cluster, s *stage.Stage) {
		first, err := s.Start(t.Context(), time.Minute)
		require.NoError(t, err)
		second, err := s.Start(t.Context(), time.Minute) // of a program that took the namespace over
		require.NoError(t, err)
		require.NoError(t, first.Remove(t.Context()))
		_, err = cluster.Jobs().Get(t.Context(), c.Client(), "dev", stage.JobName)
		require.NoError(t, err)
		require.NoError(t, second.Remove(t.Context()))
		_, err = cluster.Jobs().Get(t.Context(), c.Client(), "dev", stage.JobName)
		require.ErrorIs(t, err, cluster.ErrNotFound)
	})
}

func TestAGeneratorThatSaysNothingIsGivenUp(t *testing.T) {
	inBubble(t, &port{silent: true}, func(t *testing.T, _ *fakecluster.Cluster, s *stage.Stage) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := s.Start(ctx, time.Minute)
		require.ErrorIs(t, err, stage.ErrJob)
	})
}

func TestAGeneratorWithoutAnImageIsNotWaitedFor(t *testing.T) {
	inBubble(t, &port{}, func(t *testing.T, _ *fakecluster.Cluster, s *stage.Stage) {
		s.Image = fakecluster.NoImage
		start := time.Now()
		_, err := s.Start(t.Context(), time.Minute)
		require.ErrorIs(t, err, stage.ErrJob)
		require.ErrorIs(t, err, view.ErrImage)
		require.ErrorContains(t, err, "kind load docker-image "+fakecluster.NoImage)
		require.Less(t, time.Since(start), time.Minute)
	})
}

func TestAJobThatMayNotBeMade(t *testing.T) {
	inBubble(t, &port{}, func(t *testing.T, c *fakecluster.Cluster, s *stage.Stage) {
		c.Refuse("create", "jobs", func() error {
			return apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, "", errors.New("no RBAC policy matched"))
		})
		_, err := s.Start(t.Context(), time.Minute)
		require.ErrorIs(t, err, stage.ErrJob)
		require.ErrorIs(t, err, cluster.ErrForbidden)
	})
}
