// The table of events, newest first, and what is said of them to those who do not see the page.
import { h, put } from "./dom.js";
import { absent, clock, count, millis, plural, seconds } from "./format.js";
import { running } from "./store.js";

// An event leaves out classes of which it saw none; where no session was observed, nothing was counted.
const counted = (e, name) => count(e.counts[name] ?? (e.observed ? 0 : undefined));
const gap = (e) => (e.worstGapMs === undefined ? absent : `${millis(e.worstGapMs)} ms`);

const columns = [
  ["Expected", (e) => count(e.expected)],
  ["Moved", (e) => (e.observed ? count(e.moved) : absent)],
  ["Misroutes", (e) => counted(e, "misroutes")],
  ["Cold", (e) => counted(e, "cold_starts")],
  ["Dropped", (e) => counted(e, "dropped_calls")],
  ["Failed", (e) => counted(e, "requests_failed")],
  ["Gap", gap],
];

// groups of events that were done to several lanes at once, newest first.
function groups(events) {
  const all = new Map();
  for (const e of events) {
    const key = e.group ? `g${e.group}` : `e${e.lane}/${e.id}`;
    all.set(key, [...(all.get(key) ?? []), e]);
  }
  return [...all.entries()].reverse();
}

export class Events {
  #store;
  #head = h("thead");
  #body = h("tbody");
  #none = h("p.note", null, "Nothing was done yet.");
  #lanes = "";
  #said = new Map();
  #speak;

  // speak says something aloud to a screen reader.
  constructor({ store, speak }) {
    this.#store = store;
    this.#speak = speak;
    this.element = h(
      "div.scroll",
      { tabIndex: 0, role: "region", "aria-label": "Events" },
      h("table.events", null, h("caption.aside", null, "Events, newest first, and what each cost"), this.#head, this.#body),
      this.#none,
    );
  }

  // update takes what the store has of these kinds of things. Of lanes it shows no more than their names, and their meters change all the time.
  update(kinds) {
    const lanes = this.#store.lanes();
    const key = lanes.map((l) => `${l.id} ${l.backend}`).join();
    const others = key !== this.#lanes;
    if (others) this.#heading(lanes);
    this.#lanes = key;
    if (!others && !kinds.has("events")) return;
    const all = groups(this.#store.events());
    this.#none.hidden = all.length > 0;
    this.#body.replaceChildren(...this.#rows(all, lanes));
    for (const e of this.#store.events()) this.#say(e);
  }

  #heading(lanes) {
    const first = h(
      "tr",
      null,
      h("th", { rowSpan: 2, scope: "col" }, "Event"),
      h("th", { rowSpan: 2, scope: "col" }, "At"),
      h("th", { rowSpan: 2, scope: "col" }, "Took"),
      ...backends(lanes),
    );
    const second = h("tr");
    for (const _ of lanes) {
      columns.forEach(([name], i) => second.append(h(i ? "th" : "th.lane-start", { scope: "col" }, name)));
    }
    this.#head.replaceChildren(first, second);
  }

  // rows of all groups. Where a lane had another backend then, its name stands above the rows of that time.
  #rows(all, lanes) {
    const out = [];
    let then = lanes;
    for (const [, group] of all) {
      const now = then.map((l) => ({ id: l.id, backend: group.find((e) => e.lane === l.id)?.backend || l.backend }));
      if (now.some((l, i) => l.backend !== then[i].backend)) {
        out.push(h("tr.backends", null, h("th", { colSpan: 3, scope: "rowgroup" }, "before, with"), ...backends(now)));
      }
      then = now;
      out.push(this.#row(group, lanes));
    }
    return out;
  }

  #row(group, lanes) {
    const [first] = group;
    const pods = [...new Set(group.map((e) => e.pod).filter((p) => p && !first.name.includes(p)))];
    const failed = group.filter((e) => e.error);
    const name = h("th", { scope: "row" }, first.name, pods.length ? h("small", null, ` ${pods.join(", ")}`) : null);
    for (const e of failed) name.append(h("span.error", null, `${group.length > 1 ? `${e.lane}: ` : ""}${e.error}`));
    const row = h("tr", { "data-group": String(first.group) }, name, h("td", null, clock(first.startedMs)), h("td", null, took(group)));
    row.classList.toggle("busy", group.some(running));
    for (const l of lanes) {
      const e = group.find((x) => x.lane === l.id);
      columns.forEach(([, of], i) => row.append(h(i ? "td" : "td.lane-start", null, e ? of(e) : "")));
    }
    return row;
  }

  // say once that an event began, and once what became of it.
  #say(e) {
    const key = `${e.lane}/${e.id}`;
    const state = e.error ? "failed" : running(e) ? "begun" : "done";
    const before = this.#said.get(key);
    if (before === state) return;
    this.#said.set(key, state);
    if (before === undefined && state !== "begun") return; // it was over when the page was opened
    if (state === "begun") this.#speak(`${e.lane}: ${e.name} begins`);
    else if (state === "failed") this.#speak(`${e.lane}: ${e.name} failed: ${e.error}`);
    else this.#speak(`${e.lane}: ${e.name} done after ${seconds(e.finishedMs - e.startedMs)}${e.observed ? `, ${plural(e.moved, "session")} moved` : ""}`);
  }
}

// backends are the cells above the lanes' columns.
const backends = (lanes) => lanes.map((l) => h("th.lane-start", { colSpan: columns.length, scope: "colgroup" }, `${l.id}  ${l.backend}`));

// sum says in one line what an event cost, of what was measured.
export function sum(e) {
  return [
    [e.observed ? `${count(e.moved)} of ${count(e.observed)}` : absent, "moved"],
    [count(e.expected), "expected"],
    [counted(e, "dropped_calls"), "dropped"],
    [counted(e, "misroutes"), "misroutes"],
    [counted(e, "cold_starts"), "cold"],
    [count(e.counts.requests_failed || undefined), "failed"],
    ["gap", gap(e)],
  ].filter((words) => !words.includes(absent)).map((words) => words.join(" ")).join(", ");
}

function took(group) {
  if (group.some(running)) return "under way";
  const all = group.filter((e) => e.finishedMs !== undefined).map((e) => e.finishedMs - e.startedMs);
  return all.length ? seconds(Math.max(...all)) : absent;
}

// Speaker says things one after the other to a live region.
export class Speaker {
  #element;
  #queue = [];

  constructor(element) {
    this.#element = element;
  }

  say(text) {
    this.#queue.push(text);
    if (this.#queue.length > 1) return;
    queueMicrotask(() => {
      put(this.#element, this.#queue.join(". "));
      this.#queue = [];
    });
  }
}
