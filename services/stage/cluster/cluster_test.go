package cluster_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/stage/cluster"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	wait  = 10 * time.Second
	pause = 5 * time.Millisecond
)

func open(t *testing.T, a *api, controls bool) *cluster.Fleet {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f, err := cluster.Open(ctx, cluster.Options{
		API: a.config(), Namespace: "dev", Controls: controls, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		cancel()
		if f != nil {
			<-f.Done()
		}
	})
	require.NoError(t, err)
	return f
}

func status(t *testing.T, f *cluster.Fleet) *fleetv1.StatusResponse {
	t.Helper()
	res, err := f.Status(t.Context(), connect.NewRequest(&fleetv1.StatusRequest{}))
	require.NoError(t, err)
	return res.Msg
}

// phases of the pods, by name.
func phases(s *fleetv1.StatusResponse) map[string]fleetv1.PodPhase {
	out := map[string]fleetv1.PodPhase{}
	for _, p := range s.GetPods() {
		out[p.GetName()] = p.GetPhase()
	}
	return out
}

func TestWhatThereIs(t *testing.T) {
	a := startAPI(t, 3)
	f := open(t, a, false)
	s := status(t, f)
	require.Equal(t, "handoff", s.GetBackend())
	require.Equal(t, "ring", s.GetPolicy())
	require.EqualValues(t, 1024, s.GetRingSize())
	require.Len(t, s.GetPods(), 3)
	for _, p := range s.GetPods() {
		require.Regexp(t, `^10\.0\.0\.\d+:8080$`, p.GetAddress())
		require.Equal(t, fleetv1.PodPhase_POD_PHASE_READY, p.GetPhase())
		require.EqualValues(t, 2, p.GetRestarts())
	}
	for _, p := range s.GetProcesses() {
		require.True(t, p.GetRunning(), p.GetName())
	}
	require.Len(t, s.GetHistory(), 1)
	require.Len(t, s.GetHistory()[0].GetEndpoints(), 3)
	require.Equal(t, "HEALTHY", s.GetHistory()[0].GetEndpoints()[0].GetHealth())

	names := a.names("jarvis")
	a.edit(names[0], func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
	a.edit(names[1], func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse })
	a.edit(names[2], func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	want := map[string]fleetv1.PodPhase{
		names[0]: fleetv1.PodPhase_POD_PHASE_DRAINING, names[1]: fleetv1.PodPhase_POD_PHASE_STARTING, names[2]: fleetv1.PodPhase_POD_PHASE_DEAD,
	}
	require.Eventually(t, func() bool {
		got := phases(status(t, f))
		return got[names[0]] == want[names[0]] && got[names[1]] == want[names[1]] && got[names[2]] == want[names[2]]
	}, wait, pause)
}

// TestSmaransPodsSayHowItChooses: and the API server is not asked each time.
func TestSmaransPodsSayHowItChooses(t *testing.T) {
	a := startAPI(t, 1)
	f := open(t, a, false)
	chooses := func(backend string, ring uint64) func() bool {
		return func() bool { s := status(t, f); return s.GetBackend() == backend && s.GetRingSize() == ring }
	}
	set := func(backend, ring string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			container := &p.Spec.Containers[len(p.Spec.Containers)-1]
			container.Env = []corev1.EnvVar{{Name: "SMARAN_BACKEND", Value: backend}, {Name: "SMARAN_RING_SIZE", Value: ring}}
			p.Status.Conditions[0].Status = corev1.ConditionTrue
		}
	}
	first := a.names("smaran-v2")[0]
	a.edit(first, func(p *corev1.Pod) {
		sidecar := corev1.Container{Name: "istio-proxy", Env: []corev1.EnvVar{{Name: "SMARAN_BACKEND", Value: "redis"}}}
		p.Spec.Containers = append([]corev1.Container{sidecar}, p.Spec.Containers...)
		set("app-hash", "10240")(p)
	})
	require.Eventually(t, chooses("app-hash", 10240), wait, pause, "not what its sidecar has")

	a.scale("smaran-v2", 2)
	second := a.names("smaran-v2")[1]
	require.Eventually(t, chooses("handoff", 1024), wait, pause, "the newest that is ready")
	a.edit(second, func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse })
	require.Eventually(t, chooses("app-hash", 10240), wait, pause, "not one that is not ready")
	a.edit(second, set("istio-hash", "2048"))
	require.Eventually(t, chooses("istio-hash", 2048), wait, pause)

	a.scale("smaran-v2", 0)
	require.Eventually(t, func() bool {
		for _, p := range status(t, f).GetProcesses() {
			if p.GetName() == "smaran" {
				return !p.GetRunning()
			}
		}
		return false
	}, wait, pause)
	require.True(t, chooses("istio-hash", 2048)(), "as before, while there is none")
	require.Equal(t, []string{"jarvis"}, a.reads(), "at the start alone")
}

func TestWithoutASmaranNothingIsSaidOfHowItChooses(t *testing.T) {
	a := startAPI(t, 1)
	a.scale("smaran-v2", 0)
	f := open(t, a, false)
	s := status(t, f)
	require.Len(t, s.GetPods(), 1)
	require.Empty(t, s.GetBackend())
	require.Empty(t, s.GetPolicy())
	require.Zero(t, s.GetRingSize())
	a.scale("smaran-v2", 1)
	require.Eventually(t, func() bool { return status(t, f).GetBackend() == "handoff" }, wait, pause)
}

func TestAScaleWaitsForItsPods(t *testing.T) {
	a := startAPI(t, 3)
	f := open(t, a, true)
	for _, n := range []uint32{10, 3} {
		_, err := f.Scale(t.Context(), connect.NewRequest(&fleetv1.ScaleRequest{Pods: n}))
		require.NoError(t, err)
		require.Len(t, status(t, f).GetPods(), int(n))
		require.Eventually(t, func() bool {
			versions := status(t, f).GetHistory()
			return len(versions) == 1 && len(versions[0].GetEndpoints()) == int(n)
		}, wait, pause, "the endpoints' current version")
	}
	require.Equal(t, []string{
		`PATCH deployments/jarvis/scale {"spec":{"replicas":10}}`, `PATCH deployments/jarvis/scale {"spec":{"replicas":3}}`,
	}, a.changes())
	for _, n := range []uint32{0, 51} {
		_, err := f.Scale(t.Context(), connect.NewRequest(&fleetv1.ScaleRequest{Pods: n}))
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	}
}

func TestAPodIsKilledOrStopped(t *testing.T) {
	a := startAPI(t, 3)
	f := open(t, a, true)
	first := a.names("jarvis")[0]
	killed, err := f.Kill(t.Context(), connect.NewRequest(&fleetv1.KillRequest{Pod: first}))
	require.NoError(t, err)
	require.Equal(t, first, killed.Msg.GetPod())
	require.NotContains(t, a.names("jarvis"), first)
	require.Len(t, status(t, f).GetPods(), 3)

	any, err := f.Kill(t.Context(), connect.NewRequest(&fleetv1.KillRequest{}))
	require.NoError(t, err)
	require.NotContains(t, a.names("jarvis"), any.Msg.GetPod())

	second := a.names("jarvis")[0]
	_, err = f.Stop(t.Context(), connect.NewRequest(&fleetv1.StopRequest{Pod: second}))
	require.NoError(t, err)
	_, err = f.KillSmaran(t.Context(), connect.NewRequest(&fleetv1.KillSmaranRequest{}))
	require.NoError(t, err)

	const now = `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}`
	asked := a.changes()
	require.Equal(t, "DELETE pods/"+first+" "+now, asked[0])
	require.Equal(t, "DELETE pods/"+any.Msg.GetPod()+" "+now, asked[1])
	require.Equal(t, "DELETE pods/"+second+` {"kind":"DeleteOptions","apiVersion":"v1"}`, asked[2])
	require.Regexp(t, `^DELETE pods/smaran-v2-\d+ `, asked[3])
}

// TestOnlyTheFleetsPodsAreDeleted: the Role can't say which.
func TestOnlyTheFleetsPodsAreDeleted(t *testing.T) {
	a := startAPI(t, 1)
	f := open(t, a, true)
	for _, name := range []string{a.names("smaran-v2")[0], a.names("redis")[0], "another"} {
		_, err := f.Kill(t.Context(), connect.NewRequest(&fleetv1.KillRequest{Pod: name}))
		require.Equal(t, connect.CodeNotFound, connect.CodeOf(err), name)
		_, err = f.Stop(t.Context(), connect.NewRequest(&fleetv1.StopRequest{Pod: name}))
		require.Equal(t, connect.CodeNotFound, connect.CodeOf(err), name)
	}
	_, err := f.Stop(t.Context(), connect.NewRequest(&fleetv1.StopRequest{}))
	require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	require.Empty(t, a.changes())
}

func TestARolloutReplacesAll(t *testing.T) {
	a := startAPI(t, 3)
	f := open(t, a, true)
	before := a.names("jarvis")
	_, err := f.Rollout(t.Context(), connect.NewRequest(&fleetv1.RolloutRequest{}))
	require.NoError(t, err)
	require.Len(t, status(t, f).GetPods(), 3)
	for _, name := range before {
		require.NotContains(t, phases(status(t, f)), name)
	}
	require.Len(t, a.changes(), 1)
	require.Regexp(t, `^PATCH deployments/jarvis \{"spec":\{"template":\{"metadata":\{"annotations":\{"kubectl.kubernetes.io/restartedAt":"`, a.changes()[0])
}

func TestRedisGoesAndComesBack(t *testing.T) {
	a := startAPI(t, 1)
	f := open(t, a, true)
	for up, n := range []string{"0", "1"} {
		_, err := f.SetRedis(t.Context(), connect.NewRequest(&fleetv1.SetRedisRequest{Up: up == 1}))
		require.NoError(t, err)
		require.Equal(t, `PATCH deployments/redis/scale {"spec":{"replicas":`+n+`}}`, a.changes()[up])
		require.Len(t, a.names("redis"), up)
	}
}

func TestWhatIsNotPossible(t *testing.T) {
	a := startAPI(t, 1)
	f := open(t, a, true)
	_, err := f.Freeze(t.Context(), connect.NewRequest(&fleetv1.FreezeRequest{Pod: "jarvis-01"}))
	require.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
	require.ErrorContains(t, err, "on the node")
	_, err = f.Thaw(t.Context(), connect.NewRequest(&fleetv1.ThawRequest{}))
	require.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
	_, err = f.Down(t.Context(), connect.NewRequest(&fleetv1.DownRequest{}))
	require.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))

	v := cluster.NewVenue(f)
	require.ErrorIs(t, v.Recast(t.Context(), "a", "redis"), venue.ErrNotHere)
	require.ErrorContains(t, v.Recast(t.Context(), "a", "redis"), "kubectl apply -k deploy/overlays/redis")
	require.ErrorIs(t, v.Recast(t.Context(), "b", "redis"), venue.ErrUnknown)
}

func TestWithoutControlsNothingIsChanged(t *testing.T) {
	a := startAPI(t, 1)
	f := open(t, a, false)
	_, err := f.Scale(t.Context(), connect.NewRequest(&fleetv1.ScaleRequest{Pods: 2}))
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	require.ErrorContains(t, err, "kubectl apply -k deploy/variants/stage-controls")
	require.Empty(t, a.changes())

	lane := cluster.NewVenue(f).Lanes()[0]
	require.NotContains(t, lane.Verbs, venue.Scale)
	require.True(t, lane.Relay)
	require.Equal(t, 1, lane.Pods)
	require.Contains(t, cluster.NewVenue(open(t, a, true)).Lanes()[0].Verbs, venue.Scale)
}

func TestARightThatIsMissingIsSaid(t *testing.T) {
	a := startAPI(t, 1)
	f := open(t, a, true)
	a.forbid("jarvis/scale")
	_, err := f.Scale(t.Context(), connect.NewRequest(&fleetv1.ScaleRequest{Pods: 2}))
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	require.ErrorContains(t, err, "the stage may not")
}

func TestAChangeEndsWithItsContext(t *testing.T) {
	a := startAPI(t, 2)
	f := open(t, a, true)
	name := a.names("jarvis")[0]
	a.edit(name, func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse })
	require.Eventually(t, func() bool { return phases(status(t, f))[name] == fleetv1.PodPhase_POD_PHASE_STARTING }, wait, pause)
	var err error
	for within := 200 * time.Millisecond; err == nil || !strings.Contains(err.Error(), "pods are ready"); within *= 2 { // a busy machine takes longer
		require.Less(t, within, wait)
		ctx, cancel := context.WithTimeout(t.Context(), within)
		_, err = f.Scale(ctx, connect.NewRequest(&fleetv1.ScaleRequest{Pods: 2}))
		cancel()
		require.Equal(t, connect.CodeDeadlineExceeded, connect.CodeOf(err))
	}
	require.ErrorContains(t, err, "1 of jarvis's 2 pods are ready")
}
