package web_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// refused is what Chromium logs of each request that is answered with an error. A page can't keep it from doing so.
var refused = regexp.MustCompile(`the server responded with a status of 4\d\d .*/api/v1/`)

// twoLanes is a page of two lanes with three pods each.
func twoLanes(t *testing.T, options ...func(*stage.Options)) (*show, *browser.Browser) {
	t.Helper()
	s := newShow(t, options...)
	s.scene.Change(func(c *scene.Change) {
		c.Lane(lane("a", "istio-hash"))
		c.Lane(lane("b", "handoff"))
		fill(c, "a", 3, 24)
		fill(c, "b", 3, 24)
	})
	return s, s.open(t, "")
}

type action = chromedp.Action[chromedp.Void]

func press(verb string) action {
	return chromedp.Click(chromedp.CSS(fmt.Sprintf(`[data-verb="%s"]`, verb)))
}

func named(label string) action {
	return chromedp.Click(chromedp.CSS(fmt.Sprintf(`[aria-label="%s"]`, label)))
}

func TestControlsSendOrders(t *testing.T) {
	s, b := twoLanes(t)
	set := func(id, value string) action {
		return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
			const e = document.getElementById("%s"); e.value = "%s"; e.dispatchEvent(new Event("input")); e.dispatchEvent(new Event("change"));
		}`, id, value))
	}
	for _, c := range []struct {
		name string
		do   []action
		want director.Order
	}{
		{"a preset", []action{named("Scale to 10 pods")}, director.Order{Verb: venue.Scale, Pods: 10}},
		{"a number", []action{
			named("One pod more"), named("One pod more"),
			named("One pod less"), press("scale")}, director.Order{Verb: venue.Scale, Pods: 4}},
		{"kill any", []action{press("kill")}, director.Order{Verb: venue.Kill}},
		{"thaw all", []action{press("thaw")}, director.Order{Verb: venue.Thaw}},
		{"kill one", []action{set("pod", "jarvis-2"), press("kill")}, director.Order{Verb: venue.Kill, Pod: "jarvis-2"}},
		{"drain", []action{press("drain")}, director.Order{Verb: venue.Drain, Pod: "jarvis-2"}},
		{"freeze", []action{press("freeze")}, director.Order{Verb: venue.Freeze, Pod: "jarvis-2"}},
		{"thaw", []action{press("thaw")}, director.Order{Verb: venue.Thaw, Pod: "jarvis-2"}},
		{"a pod by its column", []action{chromedp.Click(chromedp.CSS(`.pod[title^="jarvis-3 "]`)), press("drain")},
			director.Order{Verb: venue.Drain, Pod: "jarvis-3"}},
		{"roll out", []action{press("rollout")}, director.Order{Verb: venue.Rollout}},
		{"kill smaran", []action{press("smaran")}, director.Order{Verb: venue.Smaran}},
		{"Redis down", []action{press("redis")}, director.Order{Verb: venue.Redis}},
		{"load", []action{set("calls", "40"), set("rate", "60"), press("load")},
			director.Order{Verb: venue.Load, Calls: 40, Rate: 60}},
		{"drop the header", []action{press("header")}, director.Order{Verb: venue.Header, Dropped: true}},
		{"reset", []action{press("reset"), press("reset")}, director.Order{Verb: venue.Reset}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.Do(t, c.do...)
			require.Equal(t, []director.Order{c.want}, s.doer.take(t, 1), "one order for all lanes")
		})
	}

	b.Do(t, chromedp.Evaluate[chromedp.Void](`{
		const e = document.querySelector('[data-lane="b"] select'); for (const value of ["app-hash", "redis"]) { e.value = value; e.dispatchEvent(new Event("change")); }
	}`), chromedp.Click(`[data-lane="b"] [data-verb="change"]`))
	require.Equal(t, []director.Order{{Verb: venue.Backend, Backend: "redis", Lanes: []string{"b"}}}, s.doer.take(t, 1))

	// What is off is switched on by the same buttons.
	s.scene.Change(func(c *scene.Change) {
		for _, id := range []string{"a", "b"} {
			l := lane(id, "istio-hash")
			l.RedisUp, l.Load.Headerless = ptr(false), true
			c.Lane(l)
		}
	})
	text := func(verb string) string {
		return fmt.Sprintf(`document.querySelector('[data-verb="%s"]').textContent`, verb)
	}
	b.Await(t, text("redis")+` === "Redis up" && `+text("header")+` === "Send header"`, text("redis"))
	b.Do(t, press("redis"))
	require.Equal(t, []director.Order{{Verb: venue.Redis, Up: true}}, s.doer.take(t, 1))
	b.Do(t, press("header"))
	require.Equal(t, []director.Order{{Verb: venue.Header}}, s.doer.take(t, 1))

	// Orders go to one lane alone.
	b.Do(t, chromedp.Click(chromedp.CSS(`.toggle[data-lane="a"]`)), press("rollout"))
	require.Equal(t, []director.Order{{Verb: venue.Rollout, Lanes: []string{"b"}}}, s.doer.take(t, 1))
	quiet(t, b)
}

func TestControlsSayWhatIsNotPossible(t *testing.T) {
	s, b := twoLanes(t)
	s.scene.Change(func(c *scene.Change) {
		l := lane("b", "handoff")
		l.Verbs, l.VerbsReason = []string{"scale", "kill", "load"}, "there is no permission for it in this cluster"
		c.Lane(l)
	})
	reasons := `document.getElementById("reasons").textContent`
	b.Await(t, reasons+`.startsWith("b: no ")`, reasons)
	require.Contains(t, browser.Eval[string](t, b, reasons), "there is no permission for it in this cluster")
	disabled := func(verb string) string {
		return fmt.Sprintf(`document.querySelector('button[data-verb="%s"]').disabled`, verb)
	}
	require.False(t, browser.Eval[bool](t, b, disabled("rollout")), "lane a can")
	b.Do(t, press("rollout"))
	require.Equal(t, []director.Order{{Verb: venue.Rollout, Lanes: []string{"a"}}}, s.doer.take(t, 1), "and only lane a is told to")

	b.Do(t, chromedp.Click(chromedp.CSS(`.toggle[data-lane="a"]`)))
	require.True(t, browser.Eval[bool](t, b, disabled("rollout")))
	require.False(t, browser.Eval[bool](t, b, disabled("kill")))
	described := `document.querySelector('[data-verb="rollout"]').getAttribute("aria-describedby")`
	require.Equal(t, "reasons", browser.Eval[string](t, b, described))

	s.doer.refuse(fmt.Errorf("%w: jarvis-2 is not ready", venue.ErrNotHere))
	b.Do(t, press("kill"))
	problem := `document.querySelector(".problem").textContent`
	b.Await(t, problem+` === "kill: not possible here: jarvis-2 is not ready"`, problem)
	s.doer.refuse(nil)
	b.Do(t, press("kill"))
	b.Await(t, `document.querySelector(".problem").hidden`, problem)
	quiet(t, b, refused)
}

// A cluster's fleet, and compose's, takes its backend elsewhere: the list is shut, and still says what it is of.
func TestALaneWithoutBackendsSaysWhy(t *testing.T) {
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		l := lane("a", "handoff")
		l.Verbs, l.VerbsReason, l.Backends = []string{"scale"}, "a backend is an overlay", nil
		c.Lane(l)
	})
	b := s.open(t, "")
	list := `[...document.querySelectorAll('select[data-verb="backend"]')].map((s) => [s.disabled, s.selectedOptions[0]?.text ?? "", s.title].join())`
	require.Equal(t, []string{"true,Backend,The backend can't be changed here: a backend is an overlay"}, browser.Eval[[]string](t, b, list))
	quiet(t, b)
}

func TestControlsByKeyboard(t *testing.T) {
	s, b := twoLanes(t)
	// Tab reaches everything that can be pressed, in the order in which it stands there, and shows where it is.
	want := browser.Eval[int](t, b, `[...document.querySelectorAll("button, input, select, a, .scroll")]
		.filter((e) => !e.disabled && e.checkVisibility() && !e.closest(".call")).length`)
	seen := map[string]bool{}
	b.Do(t, chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("*").forEach((e, i) => { e.dataset.order = i; })`))
	for range want + 20 {
		b.Do(t, chromedp.KeyEvent(kb.Tab))
		at := browser.Eval[[]string](t, b, `((e) =>
			[e.closest(".call") ? "" : e.dataset.order ?? "", getComputedStyle(e).outlineStyle, e.tagName])(document.activeElement)`)
		if at[0] == "" || at[2] == "BODY" {
			continue
		}
		require.NotEqual(t, "none", at[1], "the focus on %v is seen", at)
		seen[at[0]] = true
	}
	require.Len(t, seen, want)

	b.Do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	for _, c := range []struct {
		keys string
		want director.Order
	}{
		{"0", director.Order{Verb: venue.Scale, Pods: 10}},
		{"k", director.Order{Verb: venue.Kill}},
		{"r", director.Order{Verb: venue.Rollout}},
		{"e", director.Order{Verb: venue.Redis}},
		{"h", director.Order{Verb: venue.Header, Dropped: true}},
		{"xx", director.Order{Verb: venue.Reset}},
		{"ak", director.Order{Verb: venue.Kill, Lanes: []string{"b"}}},
	} {
		b.Do(t, chromedp.KeyEvent(c.keys))
		require.Equal(t, []director.Order{c.want}, s.doer.take(t, 1), c.keys)
	}
	// A drain needs a pod, and says so.
	b.Do(t, chromedp.KeyEvent("d"))
	problem := `document.querySelector(".problem").textContent`
	b.Await(t, problem+` === "drain: choose a pod first"`, problem)

	// In a field keys are what they are anywhere; Enter sends its number.
	b.Do(t, chromedp.KeyEvent("s"))
	b.Await(t, `document.activeElement.id === "scale"`, "")
	b.Do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`), chromedp.KeyEvent("7k"+kb.Enter))
	require.Equal(t, []director.Order{{Verb: venue.Scale, Pods: 7, Lanes: []string{"b"}}}, s.doer.take(t, 1))

	// They can be switched off.
	b.Do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`), chromedp.KeyEvent("?"))
	b.Await(t, `document.getElementById("help").open`, "")
	b.Do(t, chromedp.Click(chromedp.CSS("#keys-on")), chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("k"), press("thaw"))
	require.Equal(t, []director.Order{{Verb: venue.Thaw, Lanes: []string{"b"}}}, s.doer.take(t, 1), "no kill was sent before it")
	quiet(t, b)
}

func TestControlsAskForTheToken(t *testing.T) {
	s, b := twoLanes(t, func(o *stage.Options) { o.Token = "open-sesame" })
	b.Do(t, press("kill"))
	b.Await(t, `!document.getElementById("token-box").hidden`, "")
	b.Do(t, chromedp.SendKeys(chromedp.CSS("#token"), "open-sesame"+kb.Enter), press("kill"))
	require.Equal(t, []director.Order{{Verb: venue.Kill}}, s.doer.take(t, 1))

	// It may come in the fragment, and does not stay in the address bar.
	other := s.open(t, "#token=open-sesame")
	other.Do(t, press("rollout"))
	require.Equal(t, []director.Order{{Verb: venue.Rollout}}, s.doer.take(t, 1))
	require.Empty(t, browser.Eval[string](t, other, `location.hash`))
	quiet(t, other)
	quiet(t, b, refused)
}

func TestNamesAreTextAndNothingElse(t *testing.T) {
	const evil = `<img src=x onerror="document.title='owned'">`
	s := newShow(t)
	s.scene.Change(func(c *scene.Change) {
		l := lane("a", evil)
		l.Policy, l.Reason, l.VerbsReason, l.Verbs, l.Backends = evil, evil, evil, nil, []string{evil}
		c.Lane(l)
		c.Pod(&stagev1.Pod{Lane: "a", Name: evil, Phase: stagev1.PodPhase_POD_PHASE_READY})
		c.Session(&stagev1.Session{Lane: "a", Id: evil, Pod: evil})
		c.Event(&stagev1.Event{Id: 1, Lane: "a", Name: evil, Pod: evil, Error: evil})
		c.Recording(&stagev1.Recording{Recorded: evil, Machine: evil, Command: evil})
	})
	b := s.open(t, "")
	b.Await(t, `document.querySelector(".lane h2").textContent.startsWith("<img")`, "")
	settle(t, b)
	require.Equal(t, []any{0.0, "smaran stage"}, browser.Eval[[]any](t, b, `[document.images.length, document.title]`))
	quiet(t, b)
}
