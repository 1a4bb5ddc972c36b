package browser_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/browser/phone"
	"github.com/smaran-v2/smaran/loadtest/internal/stats"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

var measure = flag.Int("measure", 0, "measure each event so often, and print docs/results/browser.md's table")

// listen has the agent speak without a pause, and a worklet look at what the elements play: the longest time in which none that can be heard
// plays anything is what a listener would call a gap. It sees blocks of 128 samples, 3 ms. The sound that a browser makes up where packets
// are missing counts as sound here.
const listen = `
let saying = 0;
const worklet = 'registerProcessor("peak", class extends AudioWorkletProcessor {' +
	'constructor() { super(); this.port.onmessage = () => { this.over = true; }; }' +
	'process([input]) { let peak = 0; for (const s of input[0] ?? []) peak = Math.max(peak, Math.abs(s));' +
	'this.port.postMessage([currentFrame, peak]); return !this.over; } });';
const context = new AudioContext();
const ready = context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
const blocks = new Map(); // by frame, the loudest of what can be heard
const changes = new WeakMap(); // of an element, [frame, muted]
const nodes = new WeakMap();
const { set: setMuted, get: getMuted } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "muted");
Object.defineProperty(HTMLMediaElement.prototype, "muted", { get: getMuted, set(muted) {
	setMuted.call(this, muted);
	changes.set(this, [...(changes.get(this) ?? []), [context.currentTime * context.sampleRate, muted]]);
} });
const { set: setSource, get: getSource } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
Object.defineProperty(HTMLMediaElement.prototype, "srcObject", { get: getSource, set(stream) {
	setSource.call(this, stream);
	nodes.get(this)?.port.postMessage("over"); // what goes on measuring takes time from what is measured
	if (stream) ready.then(() => {
		const node = new AudioWorkletNode(context, "peak");
		nodes.set(this, node);
		node.port.onmessage = ({ data: [frame, peak] }) => {
			if (!saying) return;
			if (changes.get(this)?.findLast(([at]) => at <= frame)?.[1] === false) blocks.set(frame, Math.max(peak, blocks.get(frame) ?? 0));
			else if (!blocks.has(frame)) blocks.set(frame, 0);
		};
		context.createMediaStreamSource(stream).connect(node).connect(context.destination);
	});
} });
window.speak = (on) => {
	clearInterval(saying);
	saying = 0;
	blocks.clear();
	if (!on) return;
	const { session } = document.querySelector(".phone").dataset;
	const say = () => fetch("/smaran/a/v1/calls/" + session + "/control", {
		method: "POST", headers: { "Content-Type": "application/json", "X-Call-Session-Id": session },
		body: JSON.stringify({ say: { text: "x".repeat(100) } }),
	}).catch(() => {});
	say();
	saying = setInterval(say, 1000);
};
// quiet is the longest quiet of what was heard since speak, without what was before the first sound and after the last, in milliseconds.
window.quiet = () => {
	let longest = 0, last;
	for (const frame of [...blocks.keys()].sort((a, b) => a - b)) {
		if (blocks.get(frame) < 0.003) continue;
		if (last !== undefined) longest = Math.max(longest, frame - last - 128);
		last = frame;
	}
	return (1000 * longest) / context.sampleRate;
};`

// figures of one kind of event under one backend.
type figures struct {
	event, backend     string
	what               map[string]int
	gap, quiet, took   []float64
	cold, lost, events int
}

// TestMeasure prints a table; it fails only where the call is lost.
func TestMeasure(t *testing.T) {
	if *measure == 0 {
		t.Skip("prints figures, with -measure 10 -timeout 60m")
	}
	var all []*figures
	for _, backend := range []string{"handoff", "istio-hash"} {
		all = append(all, measureBackend(t, backend)...)
	}
	show(all)
}

func measureBackend(t *testing.T, backend string) []*figures {
	t.Helper()
	r := open(t, backend)
	_, err := chromedp.Call(r.Context, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})
	require.NoError(t, err)
	r.Prepare(t, listen)
	r.Reload(t)

	noted := func(event string) *figures { return &figures{event: event, backend: backend, what: map[string]int{}} }
	nothing, scale, rollout, drain, kill, freeze := noted("none, 3 s"), noted("3 -> 10"), noted("rollout"), noted("drain"), noted("kill"), noted("freeze")
	for range *measure {
		began := r.now(t)
		r.callAndScaleOut(t, 1)
		r.note(t, scale, began, false)
		r.HangUp(t)
		r.do(t, "scale=3")
	}
	for range *measure { // what is measured while nothing happens
		r.Call(t, phone.Tone)
		r.Settle(t)
		gap, err := strconv.ParseFloat(r.Fact(t, "gap, ms"), 64)
		require.NoError(t, err)
		nothing.events++
		nothing.gap = append(nothing.gap, gap)
		r.HangUp(t)
	}
	for range *measure {
		r.Reload(t)
		r.Call(t, phone.Tone)
		r.Ask(t)
		r.event(t, rollout, func() { r.do(t, "rollout") })
		r.event(t, drain, func() { r.do(t, "stop="+r.pod(t)) })
		r.event(t, kill, func() { r.do(t, "kill="+r.pod(t)) })
		r.event(t, freeze, func() {
			frozen, began := r.pod(t), r.now(t)
			r.do(t, "freeze="+frozen)
			r.Await(t, fmt.Sprintf(`[...%s].some((l) => Date.parse(l.firstChild.dateTime) >= %f)`, phone.LinesOf("redialled"), began),
				"document.body.innerText", after)
			r.do(t, "thaw="+frozen)
		})
	}
	return []*figures{nothing, scale, rollout, drain, kill, freeze}
}

// event makes one happen while the agent speaks, and notes what became of the call.
func (r *rig) event(t *testing.T, f *figures, do func()) {
	t.Helper()
	r.Settle(t)
	began := r.now(t)
	_ = browser.Eval[bool](t, r.Browser, `(speak(true), true)`)
	r.Await(t, `media().then((m) => m.heardEnergy > 0)`, "")
	do()
	r.note(t, f, began, true)
	_ = browser.Eval[bool](t, r.Browser, `(speak(false), true)`)
}

// now is the page's time, in milliseconds.
func (r *rig) now(t *testing.T) float64 {
	t.Helper()
	return browser.Eval[float64](t, r.Browser, `Date.now()`)
}

// note notes what has happened to the call since a time of the page. spoken: the agent has spoken all the time.
func (r *rig) note(t *testing.T, f *figures, began float64, spoken bool) {
	t.Helper()
	r.Settle(t)
	quiet := browser.Eval[float64](t, r.Browser, `quiet()`)
	answer := r.Ask(t)
	r.Settle(t)
	gap, took, did := 0.0, 0.0, map[string]int{}
	for _, kind := range []string{"migrated", "redialled", "misrouted", "stayed", "failed"} {
		for _, e := range r.Entries(t, kind) {
			if e.At < began {
				continue
			}
			f.what[kind]++
			if e.Gap != "" {
				gap = max(gap, e.Ms(t, e.Gap))
				took = max(took, e.Ms(t, e.Took))
			}
			did[kind]++
			t.Log(e.Text)
		}
	}
	f.events++
	f.gap, f.took = append(f.gap, gap), append(f.took, took)
	if spoken && did["redialled"] == 0 { // the agent at a new pod is silent until it is told to speak
		f.quiet = append(f.quiet, quiet)
	}
	if strings.HasPrefix(answer, "cold") {
		f.cold++
	}
	if strings.HasSuffix(answer, "lost") {
		f.lost++
	}
	t.Logf("%s, %s: %v gap %.0f took %.0f quiet %.0f: %s", f.backend, f.event, did, gap, took, quiet, answer)
}

func show(all []*figures) {
	out := table.NewWriter()
	out.SetOutputMirror(os.Stdout)
	out.AppendHeader(table.Row{"event", "backend", "events", "migrated", "redialled", "misrouted", "failed", "cold", "conversation lost", "gap, ms", "quiet, ms", "set-up, ms"})
	for _, f := range all {
		out.AppendRow(table.Row{f.event, f.backend, f.events, f.what["migrated"], f.what["redialled"], f.what["misrouted"],
			f.what["stayed"] + f.what["failed"], f.cold, f.lost, spread(f.gap), spread(f.quiet), spread(f.took)})
	}
	out.RenderMarkdown()
}

// spread is the median and the range.
func spread(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f (%.0f to %.0f)", stats.Bootstrap(rand.New(rand.NewPCG(1, 1)), v).Estimate, slices.Min(v), slices.Max(v))
}
