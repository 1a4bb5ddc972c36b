package web_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// rows is the table that says what a lane's grid shows: pod, phase, sessions.
func rows(t testing.TB, b *browser.Browser, lane string) map[string]string {
	t.Helper()
	return browser.Eval[map[string]string](t, b, fmt.Sprintf(`Object.fromEntries(
		[...document.querySelectorAll('[data-table="%s"] tbody tr')]
			.map((r) => [r.cells[0].textContent, r.cells[1].textContent + " " + r.cells[2].textContent]))`, lane))
}

// figure is what a meter of a lane says.
func figure(t testing.TB, b *browser.Browser, lane, meter string) string {
	t.Helper()
	return browser.Eval[string](t, b, fmt.Sprintf(
		`document.querySelector('[data-lane="%s"] [data-meter="%s"] dd').innerText.replace(/\s+/g, " ")`, lane, meter))
}

// reach has the page's own module in the variable page.
func reach(t testing.TB, b *browser.Browser) {
	t.Helper()
	browser.Eval[chromedp.Void](t, b, `import("./assets/js/main.js").then((module) => { globalThis.page = module; })`)
}

// awaitColumn waits until a session's dot has come to rest in a pod's column.
func awaitColumn(t testing.TB, b *browser.Browser, lane, session, pod string) {
	t.Helper()
	reach(t, b)
	at := fmt.Sprintf(`JSON.stringify(page.lanes.get("%s").grid.column("%s"))`, lane, session)
	b.Await(t, fmt.Sprintf(`%s === '{"pod":"%s","inside":true}'`, at, pod), at)
}

func TestGridShowsWhoOwnsWhat(t *testing.T) {
	for _, pods := range []int{3, 10} {
		t.Run(fmt.Sprintf("%d pods", pods), func(t *testing.T) {
			s := newShow(t)
			var held map[string]int
			s.scene.Change(func(c *scene.Change) {
				for _, id := range []string{"a", "b"} {
					c.Lane(lane(id, "istio-hash"))
					held = fill(c, id, pods, 24)
				}
			})
			b := s.open(t, "")
			want := map[string]string{"no pod": " 0"}
			for i := range pods {
				want[podName(i)] = fmt.Sprintf("ready %d", held[podName(i)])
			}
			for _, id := range []string{"a", "b"} {
				require.Equal(t, want, rows(t, b, id))
				said := browser.Eval[string](t, b, fmt.Sprintf(`document.querySelector('[data-lane="%s"] .grid canvas').ariaLabel`, id))
				require.Contains(t, said, fmt.Sprintf("%d pods, 24 sessions, 0 without a pod. jarvis-1: %d;", pods, held["jarvis-1"]))
			}
			for i := range 24 {
				awaitColumn(t, b, "a", sessionName(i), session(ringOf("a", pods), "a", i).GetPod())
			}
			quiet(t, b)
		})
	}
}

func TestADotEndsInTheColumnOfItsNewOwner(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		c.Lane(lane("a", "istio-hash"))
		fill(c, "a", 3, 24)
	})
	b := s.open(t, "")
	moves := func(session, pod string) {
		s.scene.Change(func(c *scene.Change) { c.Session(&stagev1.Session{Lane: "a", Id: session, Pod: pod, CallUp: true}) })
	}
	from := session(ringOf("a", 3), "a", 4).GetPod()
	awaitColumn(t, b, "a", sessionName(4), from)
	for _, to := range []string{"jarvis-1", "jarvis-2", "jarvis-3"} {
		moves(sessionName(4), to)
		awaitColumn(t, b, "a", sessionName(4), to)
	}
	moves(sessionName(4), "")
	awaitColumn(t, b, "a", sessionName(4), "")

	// On its way a dot is in neither column; with reduced motion it has none.
	emulate(t, b, "prefers-reduced-motion", "reduce")
	moves(sessionName(5), "jarvis-1")
	awaitColumn(t, b, "a", sessionName(5), "jarvis-1")
	inside := browser.Eval[bool](t, b, `new Promise((done) => {
		page.store.apply({ sessions: [{ lane: "a", id: "caller-005", pod: "jarvis-3", callUp: true }] });
		requestAnimationFrame(() => requestAnimationFrame(() => done(page.lanes.get("a").grid.column("caller-005").inside)));
	})`)
	require.True(t, inside, "the dot jumps")
	quiet(t, b)
}

func TestPodsComeDrainAndDie(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		c.Lane(lane("a", "istio-hash"))
		fill(c, "a", 3, 24)
	})
	b := s.open(t, "")
	change := func(p *stagev1.Pod) {
		p.Lane = "a"
		s.scene.Change(func(c *scene.Change) { c.Pod(p) })
	}
	state := func(name string) string {
		return fmt.Sprintf(`document.querySelector('.pod[title^="%s "] .state')?.textContent`, name)
	}
	change(&stagev1.Pod{Name: "jarvis-4", Phase: stagev1.PodPhase_POD_PHASE_STARTING})
	b.Await(t, state("jarvis-4")+` === "starting"`, state("jarvis-4"))
	change(&stagev1.Pod{Name: "jarvis-4", Phase: stagev1.PodPhase_POD_PHASE_READY})
	b.Await(t, state("jarvis-4")+` === ""`, state("jarvis-4"))

	drain := &stagev1.Drain{RemainingMs: 60_000, Sessions: 3}
	change(&stagev1.Pod{Name: "jarvis-1", Phase: stagev1.PodPhase_POD_PHASE_DRAINING, Drain: drain})
	b.Await(t, state("jarvis-1")+` === "60 s\n3 left"`, state("jarvis-1"))
	b.Await(t, state("jarvis-1")+` === "58 s\n3 left"`, state("jarvis-1")) // it counts down by itself
	change(&stagev1.Pod{Name: "jarvis-2", Phase: stagev1.PodPhase_POD_PHASE_FROZEN})
	b.Await(t, state("jarvis-2")+` === "frozen"`, state("jarvis-2"))

	// One that is gone is seen to die first, also where nobody said that it is dead.
	s.scene.Change(func(c *scene.Change) { c.Remove(&stagev1.Gone{Lane: "a", Thing: &stagev1.Gone_Pod{Pod: "jarvis-4"}}) })
	b.Await(t, state("jarvis-4")+` === "dead"`, state("jarvis-4"))
	b.Await(t, state("jarvis-4")+` === undefined`, state("jarvis-4"))
	// One that is started anew under its name too.
	change(&stagev1.Pod{Name: "jarvis-3", Phase: stagev1.PodPhase_POD_PHASE_DEAD})
	b.Await(t, state("jarvis-3")+` === "dead"`, state("jarvis-3"))
	change(&stagev1.Pod{Name: "jarvis-3", Phase: stagev1.PodPhase_POD_PHASE_READY, Restarts: 1})
	b.Await(t, state("jarvis-3")+` === ""`, state("jarvis-3"))
	quiet(t, b)
}

func TestWhatWasNotMeasuredIsADash(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		none := lane("a", "roundrobin")
		none.Meters = &stagev1.Meters{}
		c.Lane(none)
		some := lane("b", "istio-hash")
		some.Meters = &stagev1.Meters{
			Counts: map[string]uint32{"misroutes": 0, "misrouted_requests": 0, "requests": 1200}, Expected: ptr(uint32(0)), InferenceP50Ms: ptr(0.0),
			Moved: ptr(uint32(3)),
		}
		some.Load.LateShare, some.Load.Untold = ptr(0.12), 1200
		c.Lane(some)
		c.Event(&stagev1.Event{Id: 1, Lane: "a", Group: 1, Name: "kill", StartedMs: 1000, FinishedMs: ptr(3000.0), Backend: "roundrobin"})
		c.Event(&stagev1.Event{
			Id: 1, Lane: "b", Group: 1, Name: "kill", StartedMs: 1000, FinishedMs: ptr(3500.0), Observed: 24, Moved: 3, Expected: ptr(uint32(3)),
			Backend: "redis",
		})
		c.Event(&stagev1.Event{Id: 2, Lane: "b", Group: 2, Name: "drain", Pod: "jarvis-9", StartedMs: 4000, Backend: "istio-hash", Error: "there is no jarvis-9"})
	})
	b := s.open(t, "")
	for meter, want := range map[string][2]string{
		"moved": {"– expected –", "3 expected 0"}, "misroutes": {"– in – of –", "0 in 0 of 1,200"}, "dropped": {"– redials –", "– redials –"},
		"p50": {"– ms", "0 ms"}, "p99": {"– ms", "– ms"}, "gap": {"– ms", "– ms"}, "calls": {"0 of 24", "0 of 24"},
	} {
		require.Equal(t, want[0], figure(t, b, "a", meter), meter)
		require.Equal(t, want[1], figure(t, b, "b", meter), meter)
	}
	require.Equal(t, []string{
		"drain jarvis-9|there is no jarvis-9|0:04|–||||||||–|–|–|–|–|–|–",
		"before, with|a roundrobin|b redis",
		"kill|0:01|2.5 s|–|–|–|–|–|–|–|3|3|0|0|0|0|–",
	}, browser.Eval[[]string](t, b, `[...document.querySelectorAll(".events tbody tr")].map((r) =>
		[...r.cells].map((c) => c.innerText.replace("\n", "|")).join("|"))`))
	require.Equal(t, []string{"kill ", "drain there is no jarvis-9"},
		browser.Eval[[]string](t, b, `[...document.querySelectorAll(".last")].map((p) => p.textContent)`), "the newest of each lane")
	require.Equal(t, "3 of 24 moved, 3 expected, 0 dropped, 2 misroutes, 0 cold, 7 failed, gap 40 ms", module[string](t, b, "events.js",
		`({ sum }) => sum({ observed: 24, moved: 3, expected: 3, counts: { misroutes: 2, requests_failed: 7 }, worstGapMs: 40 })`))
	late := `[...document.querySelectorAll(".late")].map((e) => e.hidden ? "" : e.textContent).join("|")`
	require.Equal(t, "||12% of the requests left more than 20 ms late: this machine is at its limit, and latencies say little now."+
		"|Of what callers saw 1,200 did not get here: it came faster than it was read. What is counted is too low.",
		browser.Eval[string](t, b, late))
	captions := browser.Eval[[]string](t, b, `[...document.querySelectorAll(".ring figcaption")].map((e) => e.textContent)`)
	require.Equal(t, []string{"No ring: each request goes to the next pod, whatever its session.", "The fleet has told of no ring."}, captions)
	quiet(t, b)
}

func TestRingSaysWhatItIs(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		c.Lane(lane("a", "istio-hash"))
		fill(c, "a", 3, 24)
		c.Lane(lane("b", "istio-hash:maglev"))
		table := &stagev1.Ring{Lane: "b", Policy: "maglev", Pods: []string{"jarvis-1", "jarvis-2"}, Table: 65537}
		for i := range 1024 {
			table.Ends, table.Owners = append(table.Ends, float64(i+1)/1024), append(table.Owners, uint32(i%2))
		}
		c.Ring(table)
	})
	b := s.open(t, "")
	captions := `[...document.querySelectorAll(".ring figcaption")].map((e) => e.textContent).join(" | ")`
	b.Await(t, captions+` === "Ring of 1,026 arcs. The largest share is 1.02 times the mean. | Maglev: every 64th of 65,537 slots."`, captions)
	said := browser.Eval[string](t, b, `document.querySelector('[data-lane="b"] .ring canvas').ariaLabel`)
	require.Contains(t, said, "jarvis-1 has 50%. jarvis-2 has 50%.")
	quiet(t, b)
}

func TestEventsAreSaidAloud(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		c.Lane(lane("a", "istio-hash"))
		c.Event(&stagev1.Event{Id: 1, Lane: "a", Group: 1, Name: "kill", StartedMs: 1000, FinishedMs: ptr(3000.0)})
	})
	b := s.open(t, "")
	said := `document.getElementById("announce").textContent`
	e := &stagev1.Event{Id: 2, Lane: "a", Group: 2, Name: "scale=10", StartedMs: 5000}
	s.scene.Change(func(c *scene.Change) { c.Event(e) })
	b.Await(t, said+` === "a: scale=10 begins"`, said)
	busy := `document.querySelector('[data-lane="a"] .busy').textContent`
	b.Await(t, busy+`.startsWith("scale=10, ")`, busy)
	b.Await(t, `document.querySelector('[data-verb="scale"]').ariaBusy === "true"`, "document.body.innerHTML")
	s.scene.Change(func(c *scene.Change) {
		c.Event(&stagev1.Event{Id: 2, Lane: "a", Group: 2, Name: "scale=10", StartedMs: 5000, FinishedMs: ptr(9200.0), Moved: 20, Observed: 24})
	})
	b.Await(t, said+` === "a: scale=10 done after 4.2 s, 20 sessions moved"`, said)
	b.Await(t, `document.querySelector('[data-lane="a"] .busy').hidden`, "")
	quiet(t, b)
}

func TestThePageComesBackByItself(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) { c.Lane(lane("a", "istio-hash")) })
	b := s.open(t, "")
	link := `document.getElementById("link").textContent`
	b.Await(t, link+` === "live"`, link)
	again := s.stop()
	b.Await(t, link+`.startsWith("reconnecting; this is of ") && document.getElementById("lanes").hasAttribute("data-stale")`, link)
	again()
	b.Await(t, link+` === "live"`, link)
	quiet(t, b, browser.BrokenStream)
}

func TestThePageWorksBelowAPrefix(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) { c.Lane(lane("a", "istio-hash")) })
	s.handler = http.StripPrefix("/at/a/talk", s.handler)
	s.serve(t, "127.0.0.1:0")
	b := s.open(t, "at/a/talk/")
	b.Do(t, press("rollout"))
	s.doer.take(t, 1)
	quiet(t, b)
}

func TestThePageLoadsAnewWhereAFileDidNotCome(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) { c.Lane(lane("a", "istio-hash")) })
	inner := s.handler
	var missed atomic.Bool
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/store.js") && missed.CompareAndSwap(false, true) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		inner.ServeHTTP(w, r)
	})
	s.serve(t, "127.0.0.1:0")
	b := s.open(t, "")
	require.True(t, missed.Load())
	quiet(t, b, regexp.MustCompile(`status of 503`))
}

func TestRecordingIsNoLiveFleet(t *testing.T) {
	s := newShow(t, func(o *stage.Options) { o.Doer = nil })
	s.scene.Change(func(c *scene.Change) {
		c.Lane(full(lane("a", "istio-hash"), 27, 27, 31, 22, 34, 104, 902, 190))
		fill(c, "a", 3, 24)
		minute(c, "a", 4)
		c.Recording(recorded(30_000, 2))
	})
	b := s.open(t, "")
	b.Await(t, `!document.getElementById("replay").hidden`, "")
	text := browser.Eval[string](t, b, `document.getElementById("replay").innerText`)
	require.Contains(t, text, "Not live. Recorded 28 Nov 2026")
	require.Contains(t, text, "on 2 cores, linux/amd64 by bin/fleet up --stage")
	require.Regexp(t, `0:3\d / 1:30`, text)
	require.True(t, browser.Eval[bool](t, b, `document.getElementById("controls").hidden && document.getElementById("call-toggle").hidden`))
	require.Equal(t, "recording", browser.Eval[string](t, b, `document.getElementById("link").textContent`))

	settle(t, b)
	b.Screenshot(t, "stage-1280x720-light-recording")

	s.scene.Change(func(c *scene.Change) { c.Recording(recorded(40_000, 0)) })
	time := `document.querySelector("#replay .time").textContent`
	b.Await(t, time+` === "0:40 / 1:30, paused"`, time)
	b.Do(t, chromedp.KeyEvent(" ")) // plays on, but this is a scene that nobody plays
	problem := `document.querySelector(".problem")`
	b.Await(t, problem+`.checkVisibility() && `+problem+`.textContent.startsWith("replay: ")`, problem+".textContent")
	button := `document.querySelector("#replay button").textContent`
	require.Equal(t, "Play", browser.Eval[string](t, b, button))
	s.scene.Change(func(c *scene.Change) { c.Recording(recorded(90_000, 1)) })
	b.Await(t, time+` === "1:30 / 1:30, at its end"`, time)
	require.Equal(t, "Play again", browser.Eval[string](t, b, button))
	quiet(t, b, refused)
}

func recorded(at, speed float64) *stagev1.Recording {
	return &stagev1.Recording{Recorded: "2026-11-28T14:03:00Z", Machine: "2 cores, linux/amd64",
		Command: "bin/fleet up --stage 127.0.0.1:8090 --beside handoff --record talk.jsonl", Speed: speed, AtMs: at, LengthMs: 90_000}
}

// TestFrames measures how long frames take with as much as the page promises to draw. What it asserts is that the page is alive; the
// figures are what it prints, for software rendering on whatever machine this is.
func TestFrames(t *testing.T) {
	for _, lanes := range [][]string{{"a"}, {"a", "b"}} {
		t.Run(fmt.Sprintf("%d lanes", len(lanes)), func(t *testing.T) { measureFrames(t, lanes) })
	}
}

func measureFrames(t *testing.T, lanes []string) {
	const pods, sessions = 50, 1000
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		for _, id := range lanes {
			c.Lane(full(lane(id, "istio-hash"), 27, 27, 31, 22, 34, 104, 902, 190))
			fill(c, id, pods, sessions)
		}
	})
	b := s.open(t, "?fps")
	settle(t, b)
	reach(t, b)
	b.Do(t, chromedp.Evaluate[chromedp.Void](`page.frames.forget()`))
	// Ten times a second a tenth of the sessions move, so that some are always on their way.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := range 50 {
		s.scene.Change(func(c *scene.Change) {
			for _, id := range lanes {
				for j := i % 10; j < sessions; j += 10 {
					c.Session(&stagev1.Session{
						Lane: id, Id: sessionName(j), CallUp: true, Silent: j%7 == i%7, Pod: podName((j*7 + i) % pods),
						Position: ptr(float64(j) / sessions),
					})
				}
			}
		})
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	type quantiles struct {
		Median, P95, Max float64
		Frames           int
	}
	times := browser.Eval[struct{ Gap, Draw *quantiles }](t, b, `page.frames.times()`)
	require.NotNil(t, times.Gap)
	t.Logf("%d lanes of %d pods and %d sessions, %d frames: from frame to frame %.1f ms (median), %.1f ms (p95), %.1f ms (most); "+
		"of that drawing %.1f ms (median), %.1f ms (p95)", len(lanes), pods, sessions, times.Gap.Frames, times.Gap.Median, times.Gap.P95,
		times.Gap.Max, times.Draw.Median, times.Draw.P95)
	require.Greater(t, times.Gap.Frames, 20)
	require.Less(t, times.Draw.Median, 100.0)
	shown := `document.getElementById("fps").textContent`
	b.Await(t, shown+`.includes("frame")`, shown)
	b.Screenshot(t, fmt.Sprintf("stage-1280x720-light-50-%d", len(lanes)))
	quiet(t, b)
}
