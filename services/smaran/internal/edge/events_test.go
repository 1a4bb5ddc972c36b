package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

// stream is a client's event stream.
type stream struct {
	*http.Response
	lines *bufio.Scanner
}

// event is one of them; the zero value is the end of the stream.
type event struct {
	id, name, data, retry string
}

func (s *server) events(t testing.TB, id string, pairs ...string) *stream {
	t.Helper()
	res := s.send(t, request{method: http.MethodGet, path: wire.PathCallEvents(id), header: as("", pairs...)})
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, wire.ContentTypeEventStream, res.Header.Get("Content-Type"))
	return &stream{Response: res, lines: bufio.NewScanner(res.Body)}
}

// next reads one event, as the HTML standard parses them.
func (s *stream) next(t testing.TB) event {
	t.Helper()
	var e event
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "retry":
			e.retry = value
		case "":
			if e.data != "" {
				return e
			}
		default:
			require.Fail(t, "unknown field", s.lines.Text())
		}
	}
	return event{}
}

func (e event) message(t testing.TB) *jarvisv1.WatchResponse {
	t.Helper()
	m := new(jarvisv1.WatchResponse)
	require.NoError(t, protojson.Unmarshal([]byte(e.data), m))
	return m
}

func (e event) pod(t testing.TB) string {
	t.Helper()
	require.Equal(t, wire.EventPod, e.name)
	return e.message(t).GetPod().GetServed().GetPod()
}

func heartbeat() *jarvisv1.WatchResponse {
	return &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Heartbeat{Heartbeat: &jarvisv1.Heartbeat{}}}
}

func draining() *jarvisv1.WatchResponse {
	return &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Draining{Draining: &jarvisv1.Draining{}}}
}

func TestEventsArePassedOnUntilTheCallEnds(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3))
	pod := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	events := s.events(t, "s")
	require.Equal(t, pod.Name, events.Header.Get(wire.HeaderPod))
	first := events.next(t)
	require.Equal(t, pod.Name, first.pod(t))
	require.Equal(t, "1", first.id)
	require.NotEmpty(t, first.retry)

	pod.Send("s", heartbeat())
	require.Equal(t, wire.EventHeartbeat, events.next(t).name)
	pod.Send("s", draining())
	require.Equal(t, wire.EventDraining, events.next(t).name)

	s.do(t, request{method: http.MethodDelete, path: wire.PathCall("s")})
	ended := events.next(t)
	require.Equal(t, wire.EventEnded, ended.name)
	require.Equal(t, "4", ended.id)
	require.Equal(t, "hangup", ended.message(t).GetEnded().GetReason())
	require.Zero(t, events.next(t), "and the stream is over, without pod_lost")
}

func TestAStreamThatBreaksMeansThatThePodIsLost(t *testing.T) {
	for name, breakOff := range map[string]func(*podtest.Pod){
		"killed":          (*podtest.Pod).Kill,
		"ended by itself": func(p *podtest.Pod) { p.Send("s", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, podtest.NewFleet(t, 3))
			pod := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
			events := s.events(t, "s")
			events.next(t)
			breakOff(pod)
			lost := events.next(t)
			require.Equal(t, wire.EventPodLost, lost.name)
			require.Equal(t, pod.Name, lost.message(t).GetPodLost().GetPod())
			require.Equal(t, pod.Incarnation, lost.message(t).GetPodLost().GetIncarnation())
			require.Zero(t, events.next(t))
		})
	}
}

func TestAStreamToAPodThatIsLostAlready(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3))
	pod := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	pod.Kill()
	lost := s.events(t, "s").next(t)
	require.Equal(t, wire.EventPodLost, lost.name)
	require.Equal(t, pod.Name, lost.message(t).GetPodLost().GetPod())

	res, _ := s.do(t, request{method: http.MethodGet, path: wire.PathCallEvents("s")})
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "said once; then the backend is asked")
}

func TestWhenSmaranStopsTheStreamJustEnds(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	pod := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	events := s.events(t, "s")
	events.next(t)
	s.stop()
	require.Zero(t, events.next(t), "no event: the call goes on")
	<-s.stopped
	require.True(t, pod.Holds("s"))

	// Another smaran, which does not know where the call was placed, asks its backend.
	again := start(t, s.Fleet)
	require.Equal(t, pod.Name, again.events(t, "s").next(t).pod(t))
}

func TestAStreamThroughTheMesh(t *testing.T) {
	fleet := podtest.NewFleet(t, 3)
	placed := start(t, fleet, func(set *settings) { set.backend = backend.IstioHash })
	pod := fleet.Pod(placed.place(t, "s").Header.Get(wire.HeaderPod))
	s := start(t, fleet, func(set *settings) { set.backend = backend.IstioHash })
	events := s.events(t, "s")
	require.Equal(t, pod.Name, events.next(t).pod(t))

	t.Run("is resumed at the pod when the mesh breaks it off", func(t *testing.T) {
		pod.Send("s", nil) // as the mesh does at a time-out: the stream ends, the pod and its call do not
		require.Equal(t, pod.Name, events.next(t).pod(t))
		pod.Send("s", heartbeat())
		require.Equal(t, wire.EventHeartbeat, events.next(t).name)
	})
	t.Run("says so when the pod is lost", func(t *testing.T) {
		pod.Kill()
		require.Equal(t, wire.EventPodLost, events.next(t).name)
		require.Zero(t, events.next(t))
	})
}

func TestAReplacedCallIsFoundByTheBackend(t *testing.T) {
	fleet := podtest.NewFleet(t, 2)
	one := start(t, fleet)
	old := one.place(t, "s").Header.Get(wire.HeaderPod)
	two := start(t, fleet)
	two.place(t, "s")
	// The call went on at the same pod; the first smaran's record is as good as the second's.
	require.Equal(t, old, one.events(t, "s").next(t).pod(t))

	// It is over there, and placed anew through a smaran that the first one knows nothing of.
	fleet.Pod(old).Forget("s")
	fleet.SetHealth(old, endpoints.Unhealthy)
	now := two.place(t, "s").Header.Get(wire.HeaderPod)
	require.NotEqual(t, old, now)
	require.Equal(t, now, one.events(t, "s").next(t).pod(t))
}

func TestAClientThatLeavesEndsTheStreamToThePod(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	s.place(t, "s")
	events := s.events(t, "s")
	events.next(t)
	require.NoError(t, events.Body.Close())
	s.client.CloseIdleConnections()
	require.Eventually(t, func() bool { return s.Pod("jarvis-0").Watchers() == 0 }, podtest.Wait, podtest.Poll)
}

func TestAPodThatRefusesTheStreamOfItsCall(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	s.place(t, "s")
	s.Pod("jarvis-0").Refuse(func(string) error { return connect.NewError(connect.CodeUnavailable, io.ErrUnexpectedEOF) })
	lost := s.events(t, "s").next(t)
	require.Equal(t, wire.EventPodLost, lost.name, "the pod that has the call does not serve its stream")
}

// cutter is a way to peers that can cut every stream on it, as a mesh does at a time-out.
type cutter struct {
	url string
	mu  sync.Mutex
	on  map[net.Conn]struct{}
}

func startCutter(t *testing.T, upstream string) *cutter {
	t.Helper()
	target, err := url.Parse(upstream)
	require.NoError(t, err)
	c := &cutter{on: map[net.Conn]struct{}{}}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c.url = "http://" + l.Addr().String()
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := new(net.Dialer).Dial("tcp", target.Host)
			if err != nil {
				_ = from.Close()
				continue
			}
			c.mu.Lock()
			c.on[from], c.on[to] = struct{}{}, struct{}{}
			c.mu.Unlock()
			passing.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
			passing.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
		passing.Wait()
	})
	return c
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.on {
		_ = conn.Close()
		delete(c.on, conn)
	}
}

func TestAStreamThroughTheWayToPeers(t *testing.T) {
	fleet := podtest.NewFleet(t, 3)
	way := startCutter(t, fleet.Peers(t))
	clock := clockwork.NewFakeClock()
	s := start(t, fleet, func(set *settings) { set.peers.URL, set.clock = way.url, clock })
	pod := fleet.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	events := s.events(t, "s")
	require.Equal(t, pod.Name, events.next(t).pod(t))

	for range 3 { // each is cut in its turn
		clock.Advance(time.Minute)
		way.cut()
		require.Equal(t, pod.Name, events.next(t).pod(t), "it is resumed at the pod")
		require.Eventually(t, func() bool { return pod.Watchers() == 1 }, podtest.Wait, podtest.Poll)
	}
	pod.Kill()
	lost := events.next(t)
	require.Equal(t, wire.EventPodLost, lost.name, "the mesh takes the stream to a pod without the call, which is no such thing as the end of it")
	require.Equal(t, pod.Name, lost.message(t).GetPodLost().GetPod())
	require.Zero(t, events.next(t))
}

func TestAStreamThatEndsAtOnceAgainAndAgainIsGivenUp(t *testing.T) {
	fleet := podtest.NewFleet(t, 1)
	s := start(t, fleet, func(set *settings) { set.peers.URL, set.clock = fleet.Peers(t), clockwork.NewFakeClock() })
	s.place(t, "s")
	pod := fleet.Pod("jarvis-0")
	events := s.events(t, "s")
	events.next(t)
	pod.Send("s", nil)
	require.Equal(t, pod.Name, events.next(t).pod(t), "once it is resumed")
	pod.Send("s", nil)
	require.Equal(t, wire.EventPodLost, events.next(t).name, "no time has passed")
}

func TestAStreamToAPodThatTheMeshHasNoLonger(t *testing.T) {
	fleet := podtest.NewFleet(t, 3)
	s := start(t, fleet, func(set *settings) { set.peers.URL = fleet.Peers(t) })
	pod := fleet.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	fleet.Remove(pod.Name)
	lost := s.events(t, "s").next(t)
	require.Equal(t, wire.EventPodLost, lost.name)
	require.Equal(t, pod.Name, lost.message(t).GetPodLost().GetPod(), "not the pod that answered in its place")
}
