package web_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// talk fills a scene as in the midst of a talk.
func talk(s *scene.Scene, pods int) {
	s.Change(func(c *scene.Change) {
		c.Lane(full(lane("a", "istio-hash"), 27, 27, 31, 22, 34, 104, 902, 190))
		c.Lane(full(lane("b", "handoff"), 27, 27, 0, 7, 9, 103, 131, 60))
		for _, l := range []string{"a", "b"} {
			fill(c, l, pods, 24)
			c.Session(&stagev1.Session{
				Lane: l, Id: "browser-1", Pod: podName(pods - 1), CallUp: true, Browser: true, Turn: 3, Epoch: 1, Position: ptr(0.07),
			})
		}
		minute(c, "a", 4)
		minute(c, "b", 0)
		r := ringOf("a", pods)
		for i := range 3 {
			silent := session(r, "a", i)
			silent.Silent = true
			c.Session(silent)
			down := session(r, "a", i+3)
			down.CallUp = false
			c.Session(down)
		}
		c.Session(&stagev1.Session{Lane: "a", Id: "caller-900", State: "failed"})
	})
}

func TestScreens(t *testing.T) {
	for _, pods := range []int{3, 10} {
		s := newShow(t)
		talk(s.scene, pods)
		s.clock.by.Store(int64(58 * time.Second))
		b := s.open(t, "")
		for _, theme := range []string{"light", "dark"} {
			emulate(t, b, "prefers-color-scheme", theme)
			for _, at := range [][2]int64{{1280, 720}, {390, 844}, {1920, 1080}} {
				b.Do(t, chromedp.EmulateViewport(at[0], at[1]), chromedp.Reload())
				shown(t, b)
				settle(t, b)
				inside(t, b)
				b.Screenshot(t, fmt.Sprintf("stage-%dx%d-%s-%d", at[0], at[1], theme, pods))
			}
		}
		quiet(t, b)
	}
}

// TestAPhoneShowsARecordingWithoutScrollingAside is the player where there is least room.
func TestAPhoneShowsARecordingWithoutScrollingAside(t *testing.T) {
	s := newShow(t)
	talk(s.scene, 3)
	s.scene.Change(func(c *scene.Change) { c.Recording(recorded(40_000, 0)) })
	b := s.open(t, "")
	b.Do(t, chromedp.EmulateViewport(390, 844), chromedp.Reload())
	shown(t, b)
	settle(t, b)
	b.Await(t, `document.querySelector("#replay").checkVisibility()`, "")
	inside(t, b)
	b.Screenshot(t, "stage-390x844-light-replay")
	quiet(t, b)
}

// inside asserts that nothing of the page's frame is beside the window, but for what can be pushed there.
func inside(t testing.TB, b *browser.Browser) {
	t.Helper()
	require.Empty(t, browser.Eval[[]string](t, b, `[document.documentElement, ...document.querySelectorAll(".top *, #bars *, #lanes, .lane")]
		.filter((e) => e.checkVisibility() && getComputedStyle(e.parentElement?.closest(".strip") ?? document.body).overflowX !== "auto")
		.filter((e) => (e === document.documentElement ? e.scrollWidth : e.getBoundingClientRect().right) > innerWidth + 1)
		.map((e) => e.tagName + "." + e.className)`))
}

// TestScreensOfChange are pictures of what is seen only for moments.
func TestScreensOfChange(t *testing.T) {
	s := newShow(t)
	talk(s.scene, 10)
	s.clock.by.Store(int64(58 * time.Second))
	s.scene.Change(func(c *scene.Change) {
		maglev := full(lane("b", "stateful-cookie"), 27, 27, 0, 7, 9, 103, 131, 60)
		maglev.Policy, maglev.Load.LateShare, maglev.Meters.Expected = "stateful session", ptr(0.08), nil
		maglev.Verbs, maglev.VerbsReason = []string{"scale", "kill", "load"}, "the stage may only scale and kill in this cluster"
		c.Lane(maglev)
		c.Remove(&stagev1.Gone{Lane: "b", Thing: &stagev1.Gone_Ring{Ring: true}})
		for _, p := range []*stagev1.Pod{
			{Name: "jarvis-2", Phase: stagev1.PodPhase_POD_PHASE_DRAINING, Drain: &stagev1.Drain{RemainingMs: 12_000, Sessions: 3}},
			{Name: "jarvis-4", Phase: stagev1.PodPhase_POD_PHASE_FROZEN},
			{Name: "jarvis-8", Phase: stagev1.PodPhase_POD_PHASE_STARTING},
		} {
			p.Lane = "a"
			c.Pod(p)
		}
	})
	b := s.open(t, "")
	settle(t, b)
	s.scene.Change(func(c *scene.Change) {
		c.Pod(&stagev1.Pod{Lane: "a", Name: "jarvis-6", Phase: stagev1.PodPhase_POD_PHASE_DEAD})
		c.Event(&stagev1.Event{Id: 3, Lane: "a", Group: 3, Name: "stop=jarvis-2", Pod: "jarvis-2", StartedMs: 57_000})
		for i, class := range []string{
			"misroutes", "renegotiations", "dropped_calls", "state_lost", "media_interruptions", "setup_failures", "signal_reconnects", "migrations",
		} {
			lost := session(ringOf("a", 10), "a", i+8)
			lost.Lost, lost.Losses = class, 1
			c.Session(lost)
		}
	})
	b.Do(t, chromedp.Click(chromedp.CSS(`[data-verb="rollout"]`)))
	s.doer.take(t, 1)
	b.Await(t, `!document.querySelector(".busy").hidden`, "")
	browser.Eval[chromedp.Void](t, b, `new Promise((done) => setTimeout(done, 500))`)
	b.Screenshot(t, "stage-1280x720-light-change")
	emulate(t, b, "prefers-color-scheme", "dark")
	browser.Eval[chromedp.Void](t, b, `new Promise((done) => setTimeout(done, 100))`)
	b.Screenshot(t, "stage-1280x720-dark-change")
	b.Do(t, chromedp.Evaluate[chromedp.Void](`document.querySelector(".events-section").scrollIntoView({ block: "end" })`))
	settle(t, b)
	b.Screenshot(t, "stage-1280x720-dark-events")
	b.Do(t, chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`), chromedp.KeyEvent("c"))
	settle(t, b)
	b.Screenshot(t, "stage-1280x720-dark-call")
	b.Do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`), chromedp.KeyEvent("c?"))
	settle(t, b)
	b.Screenshot(t, "stage-1280x720-dark-keys")
	quiet(t, b)
}

func emulate(t testing.TB, b *browser.Browser, feature, value string) {
	t.Helper()
	_, err := chromedp.Call(b.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	})
	require.NoError(t, err)
}

// settle waits until nothing on the page moves.
func settle(t testing.TB, b *browser.Browser) {
	t.Helper()
	browser.Eval[chromedp.Void](t, b, `import("./assets/js/main.js").then((page) => page.frames.rest())`)
}
