// The charts of a lane, over the last minutes. All lanes share their scales; every event is a line with its name.
import { attribute, h } from "./dom.js";
import { absent, clock, count, millis } from "./format.js";
import { running } from "./store.js";

const span = 120; // seconds shown
const least = 20; // seconds of it that are ahead when there are none yet

// Dashes of a line by its style, as a chart draws them; a key's are lane.css's.
const dashes = { solid: [], dashed: [6, 3], dotted: [2, 2], long: [12, 4] };

// Each chart: its title, and its lines with colour and style.
const kinds = [
  [
    "latency",
    "Inference",
    "ms",
    [
      ["p50", (p) => p.inferenceP50Ms, "accent", "solid"],
      ["p99", (p) => p.inferenceP99Ms, "pod-6", "dashed"],
    ],
  ],
  [
    "trouble",
    "Per second",
    "",
    [
      ["cold", (p) => p.cold, "accent", "solid"],
      ["misroutes", (p) => p.misroutes, "warn", "dashed"],
      ["dropped", (p) => p.dropped, "bad", "dotted"],
      ["failed", (p) => p.failed, "ink", "long"],
    ],
  ],
  ["gap", "Worst media gap", "ms", [["gap", (p) => p.worstGapMs, "pod-4", "solid"]]],
];

// Scales are what the charts of all lanes have in common.
export class Scales {
  #store;
  from = 0;
  to = least;
  most = {};

  constructor(store) {
    this.#store = store;
  }

  update() {
    this.to = Math.max(least, Math.ceil(this.#store.at() / 1000));
    this.from = Math.max(0, this.to - span);
    for (const [kind, , , lines] of kinds) {
      let most = 0;
      for (const l of this.#store.lanes()) {
        for (const p of this.#store.points(l.id).values()) {
          if (p.second >= this.from) for (const [, of] of lines) most = Math.max(most, of(p) ?? 0);
        }
      }
      this.most[kind] = nice(most, kind === "trouble" ? 4 : 200);
    }
  }
}

// nice is the next of 1, 2, 2.5, 5 times a power of ten.
function nice(x, floor) {
  const wanted = Math.max(x * 1.08, floor);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 2.5, 5, 10].map((f) => f * power).find((n) => n >= wanted);
}

// alone are the seconds of a line that have none before and after them: a line would not show them.
function alone(u, line) {
  const y = u.data[line];
  return y.flatMap((v, i) => (v !== null && (y[i - 1] ?? null) === null && (y[i + 1] ?? null) === null ? [i] : []));
}

export class Charts {
  #store;
  #lane;
  #theme;
  #scales;
  #plots = [];

  constructor({ store, lane, theme, scales }) {
    this.#store = store;
    this.#lane = lane;
    this.#theme = theme;
    this.#scales = scales;
    for (const kind of kinds) this.#plots.push(this.#figure(kind));
    this.elements = this.#plots.map((p) => p.element);
  }

  #figure([kind, title, unit, lines]) {
    const key = lines.map(([name, , colour, style]) => h("span.key", { "data-line": style, style: `--c: var(--${colour})` }, name));
    const body = h("div.plot", { role: "img" });
    const element = h(
      "figure.chart",
      { "data-chart": kind },
      h("figcaption", null, h("b", null, title), unit && h("small", null, unit), ...(lines.length > 1 ? key : [])),
      body,
    );
    const plot = { kind, title, unit, lines, body, element, chart: null };
    new ResizeObserver(() => this.#build(plot)).observe(body);
    return plot;
  }

  // recolour after another theme was chosen.
  recolour() {
    for (const p of this.#plots) {
      p.chart?.destroy();
      p.chart = null;
      this.#build(p);
    }
  }

  update() {
    for (const p of this.#plots) {
      if (!p.chart) continue;
      p.chart.setData(this.#data(p));
      attribute(p.body, "aria-label", this.#summary(p));
    }
  }

  #build(p) {
    const { clientWidth: width, clientHeight: height } = p.body;
    if (!width || !height) return;
    if (p.chart) {
      p.chart.setSize({ width, height });
      return;
    }
    const axis = { stroke: this.#theme.colour("muted"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    const lines = { stroke: this.#theme.colour("line"), width: 1 };
    p.chart = new globalThis.uPlot(
      {
        width,
        height,
        padding: [28, 14, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: {
          x: { time: false, range: () => [this.#scales.from, this.#scales.to] },
          y: { range: () => [0, this.#scales.most[p.kind] ?? 1] },
        },
        axes: [
          { ...axis, size: 22, gap: 5, space: 50, grid: { show: false }, values: (_, all) => all.map((s) => clock(s * 1000)) },
          { ...axis, size: 46, gap: 4, space: 26, grid: lines, values: (_, all) => all.map(count) },
        ],
        series: [
          {},
          ...p.lines.map(([, , colour, style]) => ({
            stroke: this.#theme.colour(colour),
            width: 2,
            dash: dashes[style],
            points: { show: true, size: 4, filter: alone },
            spanGaps: false,
          })),
        ],
        hooks: { draw: [(u) => this.#events(u)] },
      },
      this.#data(p),
      p.body,
    );
  }

  #data(p) {
    const points = this.#store.points(this.#lane);
    const x = [];
    const ys = p.lines.map(() => []);
    for (let s = this.#scales.from; s <= this.#scales.to; s++) {
      x.push(s);
      const point = points.get(s);
      p.lines.forEach(([, of], i) => ys[i].push(point ? (of(point) ?? null) : null));
    }
    return [x, ...ys];
  }

  // events draws a line for each event, shaded until it is done, with its name where there is room; the newest comes first.
  #events(u) {
    const c = u.ctx;
    const px = devicePixelRatio;
    const { left, top, width, height } = u.bbox;
    const free = [left + width, left + width]; // where the next name may end, in either line
    c.save();
    c.font = `600 ${10.5 * px}px system-ui, sans-serif`;
    c.textBaseline = "bottom";
    c.textAlign = "left";
    for (const e of this.#store.events().reverse()) {
      const begin = e.startedMs / 1000;
      const end = running(e) ? this.#scales.to : (e.finishedMs ?? e.startedMs) / 1000;
      if (e.lane !== this.#lane || end < this.#scales.from || begin > this.#scales.to) continue;
      const x = Math.max(left, u.valToPos(begin, "x", true));
      c.fillStyle = c.strokeStyle = this.#theme.colour(e.error ? "bad" : "ink");
      c.globalAlpha = 0.07;
      c.fillRect(x, top, Math.max(0, Math.min(left + width, u.valToPos(end, "x", true)) - x), height);
      if (begin < this.#scales.from) continue;
      c.globalAlpha = 0.8;
      c.lineWidth = px;
      c.setLineDash([3 * px, 3 * px]);
      c.beginPath();
      c.moveTo(x, top);
      c.lineTo(x, top + height);
      c.stroke();
      c.globalAlpha = 1;
      const wide = c.measureText(e.name).width;
      const at = Math.min(x, left + width - wide);
      const line = free.findIndex((to) => at + wide <= to);
      if (line < 0) continue;
      c.fillText(e.name, at, top - (2 + 12 * line) * px);
      free[line] = at - 6 * px;
    }
    c.restore();
  }

  #summary(p) {
    const last = [...this.#store.points(this.#lane).values()].at(-1);
    const said = p.lines.map(([name, of]) => `${name} ${last ? millis(of(last)) : absent}`);
    return `${p.title}, ${p.unit || "count"}, last second: ${said.join(", ")}`;
  }
}
