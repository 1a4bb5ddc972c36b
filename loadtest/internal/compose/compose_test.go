package compose_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/compose"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
)

var spec = driver.Spec{Backend: "istio-hash", Pods: 3, Seed: 7}

// up brings a fleet up that goes down with the test.
func up(t *testing.T, w *world, s driver.Spec) driver.Fleet {
	t.Helper()
	f, err := w.driver().Up(t.Context(), s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Down(context.WithoutCancel(t.Context()))) })
	return f
}

// do does an event as it is written on the command line.
func do(t *testing.T, f driver.Fleet, event string) (string, error) {
	t.Helper()
	e, err := scenario.ParseEvent("0s:" + event)
	require.NoError(t, err)
	return f.Do(t.Context(), e)
}

func status(t *testing.T, f driver.Fleet) *fleetv1.StatusResponse {
	t.Helper()
	s, err := f.Status(t.Context())
	require.NoError(t, err)
	return s
}

// listed are the pods of the last version of the endpoints.
func listed(t *testing.T, f driver.Fleet) string {
	t.Helper()
	h := status(t, f).GetHistory()
	var names []string
	for _, e := range h[len(h)-1].GetEndpoints() {
		names = append(names, e.GetPod())
	}
	return strings.Join(names, " ")
}

func TestAProjectKeepsWhatADriverHasToKeep(t *testing.T) {
	for _, part := range drivertest.Parts() {
		t.Run(part.Name, func(t *testing.T) {
			part.Run(t, drivertest.Case{Driver: newWorld(t).driver(), InPlace: true, Within: time.Minute})
		})
	}
}

func TestAFleetComesUpAndGoesDown(t *testing.T) {
	w := newWorld(t)
	f := up(t, w, spec)
	require.Equal(t, []string{"compose up --detach --no-deps jarvis-1 jarvis-2 jarvis-3 envoy redis smaran"}, w.calls("compose up"))

	s := status(t, f)
	require.Equal(t, "http://127.0.0.1:"+w.ports["smaran:8080"], s.GetSmaranUrl())
	require.Equal(t, "istio-hash", s.GetBackend())
	require.Equal(t, "ring", s.GetPolicy())
	require.EqualValues(t, 1024, s.GetRingSize())
	require.Equal(t, "strict", s.GetSessionMode())
	require.Equal(t, compose.SettleMargin, s.GetSettleMargin().AsDuration())
	require.Equal(t, "jarvis-1 jarvis-2 jarvis-3", listed(t, f))
	require.Equal(t, "10.9.8.11:8080", s.GetHistory()[len(s.GetHistory())-1].GetEndpoints()[0].GetAddress())
	kinds := map[string]string{}
	for _, p := range s.GetProcesses() {
		require.True(t, p.GetRunning(), p.GetName())
		kinds[p.GetName()] = p.GetKind() + " " + p.GetVersion()
	}
	require.Equal(t, "envoy 1.39.3", kinds["mesh"])
	require.Equal(t, "redis-server 7.4.1", kinds["redis"])
	require.Equal(t, "go v1.2.3", kinds["smaran"])
	require.Len(t, s.GetPods(), 3)
	require.Equal(t, fleetv1.PodPhase_POD_PHASE_READY, s.GetPods()[2].GetPhase())

	require.NoError(t, f.Down(t.Context()))
	require.NoError(t, f.Down(t.Context()), "again")
	require.Equal(t, []string{"compose down --volumes --remove-orphans --timeout 1"}, w.calls("compose down"))
	require.Empty(t, w.containers())
	select {
	case <-f.Died():
		require.Fail(t, "it was asked to end")
	default:
		require.NoError(t, f.Err())
	}
}

func TestEachEventIsDoneByCompose(t *testing.T) {
	const start = "compose up --detach --no-deps --no-recreate --no-build "
	w := newWorld(t)
	f := up(t, w, spec)
	for _, c := range []struct {
		event, pod string
		commands   []string
		pods       string
	}{
		{"scale=5", "", []string{start + "jarvis-4 jarvis-5"}, "jarvis-1 jarvis-2 jarvis-3 jarvis-4 jarvis-5"},
		{"scale=5", "", nil, "jarvis-1 jarvis-2 jarvis-3 jarvis-4 jarvis-5"},
		{"kill=jarvis-5", "jarvis-5", []string{"compose kill --signal KILL jarvis-5", start + "jarvis-5"},
			"jarvis-1 jarvis-2 jarvis-3 jarvis-4 jarvis-5"},
		{"scale=2", "", []string{"compose stop jarvis-5 jarvis-4 jarvis-3", "compose rm --force --volumes jarvis-5 jarvis-4 jarvis-3"},
			"jarvis-1 jarvis-2"},
		{"stop=jarvis-1", "jarvis-1", []string{"compose stop jarvis-1", start + "jarvis-1"}, "jarvis-1 jarvis-2"},
		{"freeze=jarvis-2", "jarvis-2", []string{"compose kill --signal STOP jarvis-2"}, "jarvis-1 jarvis-2"},
		{"thaw", "", []string{"compose kill --signal CONT jarvis-2"}, "jarvis-1 jarvis-2"},
		{"thaw", "", nil, "jarvis-1 jarvis-2"},
		{"rollout", "", []string{"compose stop jarvis-2", start + "jarvis-2", "compose stop jarvis-1", start + "jarvis-1"}, "jarvis-1 jarvis-2"},
		{"redis=down", "", []string{"compose rm --force --stop --volumes redis"}, "jarvis-1 jarvis-2"},
		{"redis=down", "", nil, "jarvis-1 jarvis-2"},
		{"redis=up", "", []string{start + "redis", "compose exec -T redis redis-cli -e ping"}, "jarvis-1 jarvis-2"},
		{"smaran=kill", "", []string{"compose kill --signal KILL smaran", start + "smaran"}, "jarvis-1 jarvis-2"},
	} {
		before := len(w.calls("compose"))
		pod, err := do(t, f, c.event)
		require.NoError(t, err, c.event)
		require.Equal(t, c.pod, pod, c.event)
		require.Equal(t, c.commands, append([]string(nil), w.calls("compose")[before:]...), c.event)
		require.Equal(t, c.pods, listed(t, f), c.event)
	}
	require.NoError(t, f.Err())
}

// A kill is over once the pod serves again, and the time in which Envoy did without it is in the history.
func TestTheHistoryIsEnvoys(t *testing.T) {
	w := newWorld(t)
	f := up(t, w, spec)
	before := len(status(t, f).GetHistory())
	w.setSick("jarvis-2", true)
	require.Eventually(t, func() bool { return listed(t, f) == "jarvis-1 jarvis-3" }, 10*time.Second, 5*time.Millisecond)
	w.setSick("jarvis-2", false)
	require.Eventually(t, func() bool { return listed(t, f) == "jarvis-1 jarvis-2 jarvis-3" }, 10*time.Second, 5*time.Millisecond)
	h := status(t, f).GetHistory()[before:]
	require.Len(t, h, 2)
	require.Equal(t, h[0].GetVersion()+1, h[1].GetVersion())
	require.True(t, h[1].GetWritten().AsTime().After(h[0].GetWritten().AsTime()))
}

// What Envoy was slow to say is known late, and the run has to allow for it.
func TestASlowEnvoyWidensTheMargin(t *testing.T) {
	const slow = 700 * time.Millisecond
	w := newWorld(t)
	f := up(t, w, spec)
	require.Equal(t, compose.SettleMargin, status(t, f).GetSettleMargin().AsDuration())
	w.setSlow(slow)
	<-time.After(slow) // past the answer that was under way
	w.setSick("jarvis-2", true)
	require.Eventually(t, func() bool { return listed(t, f) == "jarvis-1 jarvis-3" }, 10*time.Second, 5*time.Millisecond)
	require.Greater(t, status(t, f).GetSettleMargin().AsDuration(), compose.SettleMargin+slow/2)
}

func TestTheSeedChoosesTheVictim(t *testing.T) {
	victims := func(seed uint64) []string {
		w := newWorld(t)
		s := spec
		s.Seed, s.Pods = seed, 5
		f := up(t, w, s)
		var out []string
		for range 3 {
			pod, err := do(t, f, "kill")
			require.NoError(t, err)
			out = append(out, pod)
		}
		return out
	}
	first := victims(7)
	require.Equal(t, first, victims(7))
	require.NotEqual(t, first, victims(8), "this seed chooses otherwise")
}

func TestAProjectThatRunsIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.put(alienFile, "container smaran-envoy-1\n")
	_, err := w.driver().Up(t.Context(), spec)
	require.ErrorIs(t, err, compose.ErrRunning)
	require.ErrorContains(t, err, "docker compose -p smaran --profile '*' down --volumes")
	require.ErrorContains(t, err, "--project")
	require.Empty(t, w.calls("compose up"))
	require.Empty(t, w.calls("compose down"), "it is somebody's")
}

// What observes stands from one fleet to the next, with the network it needs and on ports of its own.
func TestWhatObservesIsNoFleet(t *testing.T) {
	w := newWorld(t)
	port, held := holdPort(t)
	t.Cleanup(func() { _ = held.Close() })
	w.put(configFile, strings.Replace(w.read(configFile), `"services":{`, `"networks":{"pods":{"ipam":{"config":[{"subnet":"10.9.8.0/24"}]}}},
		"services":{"prometheus":{"profiles":["observability"],"ports":[{"host_ip":"127.0.0.1","target":9090,"published":"`+
		port+`","protocol":"tcp"}]},`, 1))
	w.put(alienFile, "container smaran-prometheus-1 prometheus\n")
	w.put(networksFile, `[{"Labels":{"com.docker.compose.project":"smaran"},"IPAM":{"Config":[{"Subnet":"10.9.8.0/24"}]}}]`)
	f, err := w.driver().Up(t.Context(), spec)
	require.NoError(t, err)
	require.NoError(t, f.Down(t.Context()))
	require.Empty(t, w.calls("compose down"))
	for _, c := range append(w.calls("compose stop"), w.calls("compose rm")...) {
		require.Contains(t, c, "smaran")
		require.NotContains(t, c, "prometheus")
	}
	require.Empty(t, w.containers())

	w.put(alienFile, "container smaran-prometheus-1 prometheus\ncontainer smaran-envoy-1 envoy\n")
	_, err = w.driver().Up(t.Context(), spec)
	require.ErrorIs(t, err, compose.ErrRunning, "a fleet beside it is one")
	require.ErrorContains(t, err, "1 containers")
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	none := compose.New(compose.Options{Docker: filepath.Join(t.TempDir(), "docker"), Clock: clockwork.NewRealClock()})
	_, err := none.Up(t.Context(), spec)
	require.ErrorIs(t, err, compose.ErrNoDocker)
	require.ErrorContains(t, err, "install Docker")

	for refused, want := range map[string]string{"compose version": "docker-compose-plugin", "version": "docker info"} {
		w := newWorld(t)
		w.put(refuseFile, refused)
		_, err := w.driver().Up(t.Context(), spec)
		require.ErrorIs(t, err, compose.ErrNoDocker, refused)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "the engine refuses", "its last words")
	}
}

func TestAFileThatCannotBeSteeredIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"no json":       {"x", "invalid character"},
		"no redis":      {`{"name":"x","services":{}}`, "no service redis"},
		"no fixed addr": {`{"name":"x","services":{"redis":{},"jarvis-1":{}}}`, "ipv4_address"},
		"no port":       {`{"name":"x","services":{"redis":{},"smaran":{}}}`, "port 8080"},
	} {
		w := newWorld(t)
		w.put(configFile, c.file)
		_, err := w.driver().Up(t.Context(), spec)
		require.ErrorIs(t, err, compose.ErrFile, name)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestMorePodsThanTheFileHasAreRefused(t *testing.T) {
	w := newWorld(t)
	s := spec
	s.Pods = podsOfFile + 1
	_, err := w.driver().Up(t.Context(), s)
	require.ErrorIs(t, err, compose.ErrPod)
	f := up(t, w, spec)
	for _, event := range []string{"scale=6", "kill=jarvis-4", "thaw=jarvis-9"} {
		_, err = do(t, f, event)
		require.ErrorIs(t, err, compose.ErrPod, event)
	}
}

func TestAFleetThatDoesNotStartLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.put(refuseFile, "compose up")
	_, err := w.driver().Up(t.Context(), spec)
	require.ErrorIs(t, err, driver.ErrStart)
	require.ErrorContains(t, err, "the engine refuses compose up")
	require.Len(t, w.calls("compose down"), 1)
}

func TestAnInterruptedStartLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.put(hangFile, "compose up")
	ctx, cancel := context.WithCancel(t.Context())
	d := w.driver()
	failed := make(chan error, 1)
	go func() {
		_, err := d.Up(ctx, spec)
		failed <- err
	}()
	require.Eventually(t, func() bool { return len(w.calls("hangs")) == 1 }, 10*time.Second, 5*time.Millisecond)
	require.NotEmpty(t, w.containers(), "it had begun")
	cancel()
	err := <-failed
	require.ErrorIs(t, err, driver.ErrStart)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, w.calls("ended by SIGTERM"), 1, "the command first, or it would go on making what is taken down")
	require.Empty(t, w.containers())
}

func TestOnlyARingHasASize(t *testing.T) {
	for backend, words := range map[string]string{"istio-hash:maglev": `"lb_policy":"MAGLEV"`, "stateful-cookie": `"lb_policy":"LEAST_REQUEST"`} {
		w := newWorld(t)
		w.policy = words
		f := up(t, w, driver.Spec{Backend: backend, Pods: 3})
		require.Zero(t, status(t, f).GetRingSize(), backend)
	}
}

func TestAnEnvoyWithAnotherConfigurationIsRefused(t *testing.T) {
	w := newWorld(t)
	w.policy = `"lb_policy":"MAGLEV"`
	_, err := w.driver().Up(t.Context(), spec)
	require.ErrorIs(t, err, compose.ErrEnvoy)
	require.ErrorContains(t, err, "it balances by maglev, but policy ring wants ring")
	require.Empty(t, w.containers())
}

func TestAnEndThatNobodyAskedForIsADeath(t *testing.T) {
	for _, service := range []string{"envoy", "smaran", "redis", "jarvis-2"} {
		w := newWorld(t)
		f := up(t, w, spec)
		w.end(service)
		select {
		case <-f.Died():
		case <-time.After(10 * time.Second):
			require.Fail(t, "nobody saw it", service)
		}
		require.ErrorIs(t, f.Err(), driver.ErrDied)
		require.ErrorContains(t, f.Err(), service+" ended without being asked to, with exit code 137")
	}
}

func TestTheSpecBecomesVariables(t *testing.T) {
	for backend, want := range map[string][]string{
		"roundrobin":        {"roundrobin", "round_robin"},
		"redis":             {"redis", "round_robin"},
		"istio-hash":        {"istio-hash", "ring"},
		"istio-hash:maglev": {"istio-hash", "maglev"},
		"stateful-header":   {"stateful-header", "stateful-header"},
		"stateful-cookie":   {"stateful-cookie", "stateful-cookie"},
	} {
		w := newWorld(t)
		w.put(refuseFile, "compose up")
		_, err := w.driver().Up(t.Context(), driver.Spec{Backend: backend, Pods: 3, Seed: 9, Lenient: backend == "redis"})
		require.ErrorIs(t, err, driver.ErrStart)
		got := w.environOf("compose up")
		mode := "strict"
		if backend == "redis" {
			mode = "lenient"
		}
		for name, value := range map[string]string{
			"SMARAN_BACKEND": want[0], "SMARAN_MESH_POLICY": want[1], "SMARAN_SEED": "9", "SMARAN_SESSION_MODE": mode, "JARVIS_DRAIN_TIMEOUT": driver.DrainTimeout.String(),
		} {
			require.Contains(t, got, fmt.Sprintf("%s=%s", name, value), backend)
		}
	}
}

// The second project finds everything that the first one has taken, and moves aside.
func TestAProjectFindsAFreePlace(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skip("SKIP-REASON: this system has no other loopback address than 127.0.0.1")
	} else {
		require.NoError(t, l.Close())
	}
	w := newWorld(t)
	taken := func(network, host, port string) string {
		t.Helper()
		if network == "udp" {
			c, err := net.ListenPacket(network, net.JoinHostPort(host, port))
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
			_, port, err = net.SplitHostPort(c.LocalAddr().String())
			require.NoError(t, err)
			return port
		}
		l, err := net.Listen(network, net.JoinHostPort(host, port))
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		_, port, err = net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		return port
	}
	usual := taken("tcp", "127.0.0.1", "0")
	w.put(configFile, fmt.Sprintf(`{"name":"smaran","services":{
		"redis":{},
		"smaran":{"ports":[{"host_ip":"127.0.0.1","target":8080,"published":"${SMARAN_PORT:-%s}","protocol":"tcp"},
			{"host_ip":"127.0.0.1","target":9090,"published":"%s","protocol":"tcp"}]},
		"envoy":{"ports":[{"host_ip":"127.0.0.1","target":9091,"published":"%s","protocol":"tcp"}]},
		"jarvis-1":{"ports":[{"host_ip":"${HOST_ADDRESS:-127.0.0.1}","target":1,"published":"%s","protocol":"udp"}],
			"networks":{"pods":{"ipv4_address":"${SUBNET:-10.232.77}.11"}}}},
		"networks":{"pods":{"ipam":{"config":[{"subnet":"${SUBNET:-10.232.77}.0/24"}]}}}}`,
		usual, freePort(t), freePort(t), taken("udp", "127.0.0.1", "0")))
	w.put(networksFile, `[{"IPAM":{"Config":[{"Subnet":"10.232.76.0/23"},{"Subnet":"fd00::/64"}]}},{"IPAM":{"Config":null}}]`)
	w.put(refuseFile, "compose up")
	s := spec
	s.Pods = 1
	_, err := w.driver().Up(t.Context(), s)
	require.ErrorIs(t, err, driver.ErrStart)
	got := w.environOf("compose up")
	for _, want := range []string{"HOST_ADDRESS=127.0.0.", "ADMIN_ADDRESS=127.0.0.", "SUBNET=10.232.78"} {
		require.True(t, slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, want) }), want)
	}

	i := slices.IndexFunc(got, func(v string) bool { return strings.HasPrefix(v, "SMARAN_PORT=") })
	require.GreaterOrEqual(t, i, 0)
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	moved := number(strings.TrimPrefix(got[i], "SMARAN_PORT=")) - number(usual)
	require.Positive(t, moved, "it counts from the file's own")
	require.Zero(t, moved%100)

	w.put(networksFile, `[{"IPAM":{"Config":[{"Subnet":"10.0.0.0/8"}]}}]`)
	_, err = w.driver().Up(t.Context(), s)
	require.ErrorIs(t, err, compose.ErrTaken)
	require.ErrorContains(t, err, "network 10.232.")
}

func TestAPortThatIsTakenMeanwhileIsAvoided(t *testing.T) {
	w := newWorld(t)
	port := freePort(t)
	w.put(configFile, strings.Replace(w.read(configFile), `"`+w.ports["smaran:8080"]+`"`, `"${SMARAN_PORT:-`+port+`}"`, 1))
	w.put(blockFile, "compose up")
	w.put(refuseFile, "compose up")
	d, failed := w.driver(), make(chan error, 1)
	go func() {
		_, err := d.Up(t.Context(), spec)
		failed <- err
	}()
	require.Eventually(t, func() bool { return len(w.calls("compose up")) == 1 }, 10*time.Second, 5*time.Millisecond)
	require.False(t, slices.ContainsFunc(w.environOf("compose up"), func(v string) bool { return strings.HasPrefix(v, "SMARAN_PORT=") }))
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, os.Remove(filepath.Join(w.dir, blockFile)))
	require.ErrorIs(t, <-failed, driver.ErrStart, "the engine refuses the second time, too, and no other place is free")
	require.Len(t, w.calls("compose up"), 2)
	require.True(t, slices.ContainsFunc(w.environOf("compose up"), func(v string) bool { return strings.HasPrefix(v, "SMARAN_PORT=") }))
}
