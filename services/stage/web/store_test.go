package web_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// module evaluates a function of a module of the page, where nothing else of the page runs.
func module[T any](t *testing.T, b *browser.Browser, name, fn string) T {
	t.Helper()
	return browser.Eval[T](t, b, `import("/assets/js/`+name+`").then(`+fn+`)`)
}

func TestStore(t *testing.T) {
	s := newShow(t)
	b := browser.Start(t)
	b.Do(t, chromedp.Navigate(s.url+"assets/css/icon.svg"))

	t.Run("a frame that is whole takes away what was before it", func(t *testing.T) {
		require.Equal(t, []string{"b", "b1", "1"}, module[[]string](t, b, "store.js", `({ Store }) => {
			const s = new Store();
			const ofA = { pods: [{ lane: "a", name: "a1" }], events: [{ id: 1, lane: "a" }], points: [{ lane: "a", second: 3 }] };
			const ofB = { pods: [{ lane: "b", name: "b1" }, { lane: "b", name: "b2" }], events: [{ id: 2, lane: "b" }] };
			s.apply({ whole: true, lanes: [{ id: "a" }], ...ofA });
			s.apply({ whole: true, lanes: [{ id: "b" }], ...ofB });
			s.apply({ gone: [{ lane: "b", pod: "b2" }, { lane: "b", pod: "never" }] });
			const left = s.events().length + s.pods("a").length + s.points("a").size;
			return [s.lanes().map((l) => l.id).join(), s.pods("b").map((p) => p.name).join(), String(left)];
		}`))
	})
	t.Run("a thing takes the place of the one with its key, as a whole", func(t *testing.T) {
		require.Equal(t, []any{1.0, "", 0.0, true}, module[[]any](t, b, "store.js", `({ Store }) => {
			const s = new Store();
			s.apply({ sessions: [{ lane: "a", id: "x", pod: "jarvis-1", turn: 7, callUp: true, position: 0.5 }] });
			s.apply({ sessions: [{ lane: "a", id: "x" }] });
			const x = s.session("a", "x");
			return [s.sessions("a").length, x.pod, x.turn, x.position === undefined && x.callUp === false];
		}`))
	})
	t.Run("what is left out is 0, but what is optional is not measured", func(t *testing.T) {
		require.Equal(t, []any{0.0, 0.0, true, true, true, true, true}, module[[]any](t, b, "store.js", `({ Store }) => {
			const s = new Store();
			s.apply({ lanes: [{ id: "a", meters: {}, load: {} }], points: [{ lane: "a" }], pods: [{ lane: "a", name: "p", drain: {} }] });
			const { meters, load, redisUp } = s.lane("a");
			const p = s.points("a").get(0);
			return [meters.callsUp + p.cold + p.second, s.pod("a", "p").drain.remainingMs, meters.expected === undefined, meters.moved === undefined,
				meters.counts.misroutes === undefined && p.worstGapMs === undefined, load.lateShare === undefined && redisUp === undefined,
				s.session("a", "nobody") === undefined];
		}`))
	})
	t.Run("listeners hear of the kinds that changed, once a frame, until they are gone", func(t *testing.T) {
		require.Equal(t, "pods change sessions change", module[string](t, b, "store.js", `({ Store }) => {
			const s = new Store();
			const heard = [];
			const ends = ["lanes", "pods", "sessions", "change"].map((kind) => s.on(kind, () => heard.push(kind)));
			s.apply({ pods: [{ lane: "a", name: "1" }, { lane: "a", name: "2" }] });
			s.apply({ gone: [{ lane: "a", session: "x" }] });
			ends.forEach((end) => end());
			s.apply({ lanes: [{ id: "a" }] });
			return heard.join(" ");
		}`))
	})
	t.Run("time goes on between frames, and in a recording at its speed", func(t *testing.T) {
		require.Equal(t, []float64{1500, 12000, 10000, 20000}, module[[]float64](t, b, "store.js", `({ Store }) => {
			let now = 0;
			const s = new Store(() => now);
			s.apply({ atMs: 1000 });
			now = 500;
			const live = s.at();
			const played = (speed, after) => {
				s.apply({ atMs: 1, recording: { atMs: 10000, lengthMs: 20000, ...(speed && { speed }) } });
				now += after;
				return s.at();
			};
			return [live, played(4, 500), played(0, 500), played(8, 9000)];
		}`))
	})
}

func TestLayout(t *testing.T) {
	s := newShow(t)
	b := browser.Start(t)
	b.Do(t, chromedp.Navigate(s.url+"assets/css/icon.svg"))

	t.Run("columns and their dots stay inside, and apart", func(t *testing.T) {
		require.Empty(t, module[string](t, b, "layout.js", `({ columns, common, place, labelHeight, least }) => {
			for (const [n, w] of [[1, 590], [4, 590], [11, 590], [11, 350], [51, 590], [51, 860]]) {
				const h = Math.max(230, least(n, w));
				const boxes = columns(n, w, h);
				const loads = boxes.map((_, i) => 1 + (i * 7) % 40);
				const p = common(boxes, loads);
				for (const [i, box] of boxes.entries()) {
					if (box.x < 0 || box.x + box.w > w || box.y < 0 || box.y + box.h + labelHeight > h + 1) return "column outside " + [n, w, h, i];
					if (box.w < 32) return "column too narrow " + [n, w, h, box.w];
					const dots = Array.from({ length: loads[i] }, (_, d) => place(box, p, d));
					const outside = (d) => d.x - p / 2 < box.x - 1 || d.x + p / 2 > box.x + box.w + 1 || d.y - p / 2 < box.y - 1;
					if (dots.some(outside)) return "dot outside " + [n, w, h, i, p];
					if (new Set(dots.map((d) => d.x + " " + d.y)).size !== dots.length) return "dots on each other";
				}
			}
			return "";
		}`))
	})
	t.Run("pods keep their hues, and the lowest that is free is next", func(t *testing.T) {
		require.Equal(t, []any{0.0, 1.0, 2.0, 1.0, 2.0}, module[[]any](t, b, "palette.js", `({ Hues }) => {
			const h = new Hues();
			h.keep(["1", "2", "3"]);
			const first = ["1", "2", "3"].map((n) => h.of(n));
			h.keep(["1", "3", "4"]);
			return [...first, h.of("4"), h.of("3")];
		}`))
	})
	t.Run("what was not measured is a dash", func(t *testing.T) {
		require.Equal(t, "– 0 – 1,234 0.8 s 12 s 1:05", module[string](t, b, "format.js",
			`(f) => [f.count(undefined), f.count(0), f.millis(null), f.millis(1234.4), f.seconds(800), f.seconds(12000), f.clock(65900)].join(" ")`))
	})
	t.Run("a ring's shares add up to the whole circle", func(t *testing.T) {
		require.Equal(t, []float64{0.75, 0.25}, module[[]float64](t, b, "ring.js",
			`({ share }) => share({ pods: ["1", "2"], ends: [0.25, 0.5, 0.75], owners: [0, 1, 0] })`))
	})
}
