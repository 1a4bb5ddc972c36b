// One lane: its head, meters, grid, ring and charts.
import { attribute, h, put, show, tell } from "./dom.js";
import { byName, count, percent, plural, word } from "./format.js";
import { Charts } from "./charts.js";
import { sum } from "./events.js";
import { Grid } from "./grid.js";
import { Meters } from "./meters.js";
import { Hues } from "./palette.js";
import { Ring } from "./ring.js";
import { running } from "./store.js";

const late = 0.05; // share of requests sent late above which latencies say little
const slowly = 1000; // ms between two texts for those who do not see the grid

export class Lane {
  #store;
  #id;
  #hues = new Hues();
  #parts = {};
  #meters = new Meters();
  #described = 0;

  // backend is called with a backend that was chosen.
  constructor({ store, id, theme, frames, scales, still, pick, own, backend }) {
    this.#store = store;
    this.#id = id;
    const shared = { store, lane: id, hues: this.#hues, theme, frames, scales, still, pick, own };
    this.grid = new Grid(shared);
    this.ring = new Ring(shared);
    this.charts = new Charts(shared);
    const p = this.#parts;
    p.name = h("h2", { id: `lane-${id}` });
    p.policy = h("span.policy");
    p.state = h("span.state");
    p.busy = h("span.busy", { hidden: true });
    p.select = h(
      "select",
      {
        "aria-label": `Backend of lane ${id}`,
        "data-verb": "backend",
        onchange: () => show(p.change, p.select.value !== ""),
      },
      h("option", { value: "" }, "Backend"),
    );
    // Arrow keys go through a list's values one after another: what is chosen is done by the button.
    p.change = h(
      "button",
      {
        type: "button",
        hidden: true,
        "data-verb": "change",
        onclick: () => {
          backend(id, p.select.value);
          p.select.value = "";
          show(p.change, false);
          p.select.focus();
        },
      },
      "Change",
    );
    p.last = h("p.last", { hidden: true });
    p.late = h("p.late", { hidden: true });
    p.untold = h("p.late", { hidden: true });
    p.reason = h("p.reason", { hidden: true });
    p.rows = h("tbody");
    p.table = h(
      "table.aside",
      { "data-table": id },
      h("caption", null, `Pods of lane ${id}`),
      h("thead", null, h("tr", null, ...["Pod", "Phase", "Sessions", "Calls", "Restarts"].map((t) => h("th", { scope: "col" }, t)))),
      p.rows,
    );
    p.toggle = h("button.quiet", { type: "button", "aria-expanded": "false", onclick: () => this.#toggle() }, "Table");
    const [latency, trouble, gap] = this.charts.elements;
    this.element = h(
      "article.lane",
      { "data-lane": id, "aria-labelledby": `lane-${id}` },
      h(
        "header",
        null,
        h(
          "div.head",
          null,
          h("span.id", { "aria-hidden": "true" }, id),
          p.name,
          p.policy,
          p.state,
          p.busy,
          h("span.push"),
          p.select,
          p.change,
          p.toggle,
        ),
        p.reason,
        p.late,
        p.untold,
      ),
      h("div", null, this.#meters.element, p.last),
      this.grid.element,
      h("div.under", null, this.ring.element, latency, p.table),
      h("div.more", null, trouble, gap),
    );
  }

  // update takes what the store has of these kinds of things.
  update(kinds) {
    const lane = this.#store.lane(this.#id);
    if (!lane) return;
    this.#hues.keep(this.#names());
    if (kinds.has("lanes") || kinds.has("events")) this.#head(lane);
    if (kinds.has("events")) this.#last();
    if (kinds.has("lanes")) this.#meters.update(lane);
    if (kinds.has("pods") || kinds.has("sessions") || kinds.has("recording")) this.grid.update();
    if (kinds.has("lanes") || kinds.has("rings")) this.ring.describe();
    if (kinds.has("pods") || kinds.has("sessions") || kinds.has("rings")) this.ring.redraw();
    if (kinds.has("points") || kinds.has("events")) this.charts.update();
    if (kinds.has("pods") || kinds.has("sessions")) this.#describeSoon();
  }

  // last is what the newest event cost. The table of events is far below on a projector.
  #last() {
    const p = this.#parts;
    const e = this.#store.events().findLast((x) => x.lane === this.#id);
    show(p.last, Boolean(e));
    if (e) p.last.replaceChildren(h("b", null, e.name), ` ${e.error || sum(e)}`);
  }

  // tick is once a second.
  tick() {
    this.#busy();
  }

  recolour() {
    this.grid.recolour();
    this.ring.recolour();
    this.charts.recolour();
  }

  // names of pods: those that are, those that a dead column or the ring still shows.
  #names() {
    const names = this.#store
      .pods(this.#id)
      .map((p) => p.name)
      .sort(byName);
    return [...new Set([...names, ...this.grid.names(), ...(this.#store.ring(this.#id)?.pods ?? [])])];
  }

  #head(lane) {
    const p = this.#parts;
    put(p.name, lane.backend || "no backend");
    put(p.policy, lane.policy);
    const state = word(lane.state);
    put(p.state, state === "up" || state === "unspecified" ? "" : state === "down" ? "does not answer" : state);
    attribute(this.element, "data-state", state);
    tell(p.reason, lane.reason || (lane.load?.attached ? "" : "No crowd is attached: there is no load."));
    const { lateShare, untold } = lane.load ?? {};
    tell(p.late, lateShare > late
      ? `${percent(lateShare)} of the requests left more than 20 ms late: this machine is at its limit, and latencies say little now.` : "");
    tell(p.untold, untold > 0
      ? `Of what callers saw ${count(untold)} did not get here: it came faster than it was read. What is counted is too low.` : "");
    this.#busy();
    this.#offer(lane);
  }

  #busy() {
    const under = this.#store.events().filter((e) => e.lane === this.#id && running(e));
    put(
      this.#parts.busy,
      under.map((e) => `${e.name}, ${Math.max(0, Math.round((this.#store.at() - e.startedMs) / 1000))} s`).join("; "),
    );
    show(this.#parts.busy, under.length > 0);
    show(this.#parts.policy, under.length === 0);
    attribute(this.element, "aria-busy", under.length ? "true" : null);
  }

  #offer(lane) {
    const { select } = this.#parts;
    show(select, !this.#store.recording());
    const key = ["", ...lane.backends].join();
    if (key !== [...select.options].map((o) => o.value).join()) {
      select.replaceChildren(select.options[0], ...lane.backends.map((n) => h("option", { value: n }, n)));
    }
    select.disabled = !lane.verbs.includes("backend");
    select.title = select.disabled ? `The backend can't be changed here${lane.verbsReason ? `: ${lane.verbsReason}` : ""}` : "";
  }

  #toggle() {
    const shown = this.#parts.table.classList.toggle("aside");
    attribute(this.#parts.toggle, "aria-expanded", String(!shown));
  }

  #describeSoon() {
    if (this.#described) return;
    this.#described = setTimeout(
      () => {
        this.#described = 0;
        this.#describe();
      },
      this.#parts.rows.childElementCount ? slowly : 0,
    );
  }

  // describe the grid in words and in a table.
  #describe() {
    const pods = this.#store.pods(this.#id).sort((a, b) => byName(a.name, b.name));
    const sessions = this.#store.sessions(this.#id);
    const held = new Map();
    for (const s of sessions) held.set(s.pod, (held.get(s.pod) ?? 0) + 1);
    const none = sessions.filter((s) => !this.#store.pod(this.#id, s.pod)).length;
    this.grid.describe(
      `${plural(pods.length, "pod")}, ${plural(sessions.length, "session")}, ${none} without a pod. ` +
        pods.map((p) => `${p.name}: ${held.get(p.name) ?? 0}${p.phase === "POD_PHASE_READY" ? "" : `, ${word(p.phase)}`}`).join("; "),
    );
    const cells = (...texts) => texts.map((t) => h("td", null, String(t)));
    this.#parts.rows.replaceChildren(
      ...pods.map((p) =>
        h("tr", null, h("th", { scope: "row" }, p.name), ...cells(word(p.phase), held.get(p.name) ?? 0, p.calls, p.restarts)),
      ),
      h("tr", null, h("th", { scope: "row" }, "no pod"), ...cells("", none, "", "")),
    );
  }
}
