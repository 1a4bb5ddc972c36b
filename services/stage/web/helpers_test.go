package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/chromedp/chromedp"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hang = 20 * time.Second

// doer remembers orders, and answers as it is told.
type doer struct {
	mu     sync.Mutex
	orders []director.Order
	err    error
}

func (d *doer) Do(_ context.Context, o director.Order) (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.orders = append(d.orders, o)
	return uint32(len(d.orders)), d.err
}

func (d *doer) refuse(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// take waits for n orders, and forgets them.
func (d *doer) take(t *testing.T, n int) []director.Order {
	t.Helper()
	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.orders) >= n
	}, hang, 5*time.Millisecond)
	d.mu.Lock()
	defer d.mu.Unlock()
	orders := d.orders
	d.orders = nil
	return orders
}

// show is a stage whose scene a test writes.
type show struct {
	scene *scene.Scene
	clock *ahead
	doer  *doer
	url   string
	// stop ends the server, and returns what starts it anew at its address.
	stop    func() (again func())
	handler http.Handler
}

// ahead is a clock that can be put forward.
type ahead struct {
	clockwork.Clock
	by atomic.Int64
}

func (c *ahead) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.by.Load())) }

func (c *ahead) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func newShow(t testing.TB, options ...func(*stage.Options)) *show {
	t.Helper()
	clock := &ahead{Clock: clockwork.NewRealClock()}
	s := &show{scene: scene.New(clock), clock: clock, doer: &doer{}}
	o := stage.Options{Scene: s.scene, Doer: s.doer}
	for _, set := range options {
		set(&o)
	}
	h, err := stage.New(o)
	require.NoError(t, err)
	s.handler = h
	s.serve(t, "127.0.0.1:0")
	return s
}

// serve at an address until the test ends or it is stopped.
func (s *show) serve(t testing.TB, address string) {
	t.Helper()
	l, err := httpserver.Listen(t.Context(), address)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	handler := s.handler // a test may put another one in its place for the next server
	go func() {
		served <- httpserver.Serve(ctx, slog.New(slog.DiscardHandler), httpserver.Options{
			Name: "stage", Listener: l, Handler: handler, ShutdownGrace: hang})
	}()
	end := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-served)
	})
	t.Cleanup(end)
	s.url = "http://" + l.Addr().String() + "/"
	s.stop = func() func() {
		end()
		return func() { s.serve(t, l.Addr().String()) }
	}
}

// networkChanged is what Chromium logs of each request during which an interface of the machine came or went. The page loads anew then.
var networkChanged = regexp.MustCompile(`net::ERR_NETWORK_CHANGED`)

// quiet fails the test where the page's console has anything but that, and what is known.
func quiet(t testing.TB, b *browser.Browser, known ...*regexp.Regexp) {
	t.Helper()
	b.RequireQuiet(t, append(known, networkChanged)...)
}

// shown waits until the page shows lanes, however often it loads itself anew.
func shown(t testing.TB, b *browser.Browser) {
	t.Helper()
	require.Eventually(t, func() bool {
		there, err := chromedp.Run(b.Context, chromedp.Evaluate[bool](`document.querySelectorAll("article.lane").length > 0`))
		return err == nil && there
	}, hang, 20*time.Millisecond)
}

// open has a new browser show the page.
func (s *show) open(t testing.TB, query string, options ...chromedp.ExecAllocatorOption) *browser.Browser {
	t.Helper()
	b := browser.Start(t, options...)
	b.Do(t, chromedp.Navigate(s.url+query))
	shown(t, b)
	return b
}

var allVerbs = []string{"backend", "scale", "kill", "drain", "freeze", "thaw", "rollout", "redis", "smaran", "load", "header", "reset"}

func lane(id, backend string) *stagev1.Lane {
	l := &stagev1.Lane{
		Id: id, Backend: backend, Policy: "ring 1024", State: stagev1.LaneState_LANE_STATE_UP, Smaran: "/smaran/" + id + "/", Verbs: allVerbs,
		Backends: []string{"roundrobin", "redis-plain", "redis", "app-hash", "istio-hash", "stateful-header", "stateful-cookie", "handoff"},
		Load:     &stagev1.Load{Attached: true, Calls: 24, Rate: 24, LateShare: ptr(0.004)},
		RedisUp:  ptr(true),
	}
	return l
}

// full has figures such as a kill and a scale-out leave behind.
func full(l *stagev1.Lane, moved, expected, misroutes, dropped, cold uint32, p50, p99, gap float64) *stagev1.Lane {
	l.Meters = &stagev1.Meters{
		Counts: map[string]uint32{
			"misroutes": misroutes, "misrouted_requests": misroutes, "dropped_calls": dropped, "cold_starts": cold, "state_lost": dropped, "renegotiations": misroutes + 10,
			"requests": 612, "requests_failed": 3, "migrations": 0, "media_interruptions": 0,
		},
		InferenceP50Ms: &p50, InferenceP99Ms: &p99, WorstGapMs: &gap, CallsUp: 24, Moved: &moved, Expected: &expected,
	}
	return l
}

func ptr[T any](v T) *T { return &v }

func podName(i int) string { return fmt.Sprintf("jarvis-%d", i+1) }

// ringOf is Envoy's ring of n pods, as package affinity describes it, without its rounding.
func ringOf(lane string, n int) *stagev1.Ring {
	r := &stagev1.Ring{Lane: lane, Policy: "ring"}
	type entry struct {
		hash  uint64
		owner uint32
	}
	var entries []entry
	for i := range n {
		r.Pods = append(r.Pods, podName(i))
		for j := range (1024 + n - 1) / n {
			entries = append(entries, entry{xxhash.Sum64String(fmt.Sprintf("127.0.0.%d:8080_%d", 11+i, j)), uint32(i)})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.hash < b.hash {
			return -1
		}
		return 1
	})
	for _, e := range entries {
		r.Ends, r.Owners = append(r.Ends, unit(e.hash)), append(r.Owners, e.owner)
	}
	return r
}

func unit(hash uint64) float64 { return float64(hash) / math.MaxUint64 }

func sessionName(i int) string { return fmt.Sprintf("caller-%03d", i) }

// session is one whose call is up at the pod that the ring says.
func session(r *stagev1.Ring, lane string, i int) *stagev1.Session {
	s := &stagev1.Session{
		Lane: lane, Id: sessionName(i), CallUp: true, Turn: 12, Epoch: 1, State: "warm",
		Position: ptr(unit(xxhash.Sum64String(sessionName(i)))),
	}
	at, _ := slices.BinarySearch(r.GetEnds(), s.GetPosition())
	s.Pod = r.GetPods()[r.GetOwners()[at%len(r.GetEnds())]]
	return s
}

// fill puts n pods and their sessions into a lane, and returns how many sessions each pod has.
func fill(c *scene.Change, lane string, pods, sessions int) map[string]int {
	r := ringOf(lane, pods)
	c.Ring(r)
	held := map[string]int{}
	for i := range sessions {
		s := session(r, lane, i)
		held[s.GetPod()]++
		c.Session(s)
	}
	for i := range pods {
		n := uint32(held[podName(i)])
		c.Pod(&stagev1.Pod{
			Lane: lane, Name: podName(i), Address: fmt.Sprintf("127.0.0.%d:8080", 11+i), Phase: stagev1.PodPhase_POD_PHASE_READY,
			Sessions: n, Calls: n,
		})
	}
	return held
}

// minute fills a lane's charts with the seconds before now, around a kill at 20 s and a scale-out at 40 s.
func minute(c *scene.Change, lane string, bad uint32) {
	for s := range uint32(58) {
		p := &stagev1.Point{
			Lane: lane, Second: s, Requests: 24, CallsUp: 24,
			InferenceP50Ms: ptr(101 + float64(s%5)), InferenceP99Ms: ptr(112 + float64(s%7)*3), WorstGapMs: ptr(21 + float64(s*7%13)),
		}
		if s >= 20 && s < 23 {
			p.Cold, p.Dropped, p.InferenceP99Ms, p.WorstGapMs = 3, 2, ptr(870.0), ptr(140.0)
		}
		if s >= 41 && s < 46 {
			p.Cold, p.Misroutes, p.Dropped, p.InferenceP99Ms, p.WorstGapMs = bad, bad+1, bad/2, ptr(110+float64(bad)*190), ptr(40+float64(bad)*30)
		}
		c.Point(p)
	}
	c.Event(&stagev1.Event{
		Id: 1, Lane: lane, Group: 1, Name: "kill", Pod: "jarvis-2", StartedMs: 20_300, FinishedMs: ptr(22_100.0),
		Observed: 24, Moved: 7, Expected: ptr(uint32(7)), WorstGapMs: ptr(140.0),
		Counts: map[string]uint32{"cold_starts": 9, "dropped_calls": 7},
	})
	c.Event(&stagev1.Event{
		Id: 2, Lane: lane, Group: 2, Name: "scale=10", StartedMs: 41_000, FinishedMs: ptr(45_200.0),
		Observed: 24, Moved: 20, Expected: ptr(uint32(20)), WorstGapMs: ptr(40 + float64(bad)*30),
		Counts: map[string]uint32{"misroutes": bad * 5, "cold_starts": bad * 5, "dropped_calls": bad * 2},
	})
}
