// The meters of a lane: figures since it was opened or reset, and of the last ten seconds.
import { h, put } from "./dom.js";
import { absent, count, millis } from "./format.js";

const recent = ", 10 s";

// Each meter: its name, what of it is left out where there is no room, and of a lane: its figure, what stands small beside it, and whether the
// figure is a loss, or differs from what was expected.
const meters = [
  [
    "moved",
    "Moved",
    " by events",
    (m) => [count(m?.moved), `expected ${count(m?.expected)}`, m?.expected !== undefined && m.moved !== undefined && m.moved !== m.expected && "differs"],
  ],
  [
    "misroutes",
    "Misroutes",
    ", requests",
    (m) => [count(m?.counts.misroutes), `in ${count(m?.counts.misrouted_requests)} of ${count(m?.counts.requests)}`, m?.counts.misroutes > 0],
  ],
  [
    "dropped",
    "Dropped calls",
    "",
    (m) => [count(m?.counts.dropped_calls), `redials ${count(m?.counts.renegotiations)}`, m?.counts.dropped_calls > 0],
  ],
  ["cold", "Cold starts", "", (m) => [count(m?.counts.cold_starts), `state lost ${count(m?.counts.state_lost)}`, m?.counts.cold_starts > 0]],
  ["p50", "Inference p50", recent, (m) => [millis(m?.inferenceP50Ms), m?.counts.requests_failed ? `ms, ${count(m.counts.requests_failed)} failed` : "ms"]],
  ["p99", "Inference p99", recent, (m) => [millis(m?.inferenceP99Ms), "ms"]],
  ["gap", "Worst gap", recent, (m) => [millis(m?.worstGapMs), "ms", m?.worstGapMs > 200]],
  ["calls", "Calls up", "", (m, l) => [count(m?.callsUp), `of ${count(l?.load?.calls)}`]],
];

export class Meters {
  #tiles = new Map();

  constructor() {
    this.element = h("dl.meters");
    for (const [key, name, more] of meters) {
      const tile = { figure: h("b"), note: h("small"), element: h("div", { "data-meter": key }) };
      tile.element.append(
        h("dt", null, name, h("span.window", null, more)),
        h("dd", null, tile.figure, tile.note),
      );
      this.#tiles.set(key, tile);
      this.element.append(tile.element);
    }
  }

  update(lane) {
    for (const [key, , , of] of meters) {
      const tile = this.#tiles.get(key);
      const [figure, note, notable] = of(lane.meters, lane);
      put(tile.figure, figure);
      put(tile.note, note);
      tile.element.classList.toggle("notable", notable === true);
      tile.element.classList.toggle("differs", notable === "differs");
      tile.element.classList.toggle("absent", figure === absent);
    }
  }
}
