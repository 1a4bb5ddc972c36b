// The controls: what may be done to the lanes, each an order to the stage. A button that does nothing here says why.
import { order } from "./api.js";
import { attribute, h, put, show } from "./dom.js";
import { byName } from "./format.js";
import { running } from "./store.js";

const presets = [3, 5, 10];
const sure = 3000; // ms within which a reset is pressed again

// Verbs by the names that their events have, where those are others.
const eventVerb = (name) => {
  const verb = name.split("=")[0];
  return verb === "stop" ? "drain" : verb;
};

export class Controls {
  #store;
  #chosen = new Set(); // lanes that orders go to
  #known = "";
  #buttons = []; // {verb, element, needs}
  #parts = {};
  #sending = new Map(); // verb to orders without an answer
  #confirm = 0;

  constructor(store) {
    this.#store = store;
    const p = this.#parts;
    p.lanes = h("div.set", { role: "group", "aria-label": "Lanes that orders go to" });
    p.pods = number("scale", "Number of pods", 1, () => (this.#edited = true));
    p.pods.addEventListener("keydown", (e) => e.key === "Enter" && this.scale(Number(p.pods.value)));
    p.pod = h("select", { id: "pod", "aria-label": "Pod to kill, drain or freeze", onchange: () => this.update() });
    p.calls = number("calls", "Calls", 0, () => (this.#loadEdited = true));
    p.rate = number("rate", "Inferences a second", 1, () => (this.#loadEdited = true));
    for (const field of [p.calls, p.rate]) field.addEventListener("keydown", (e) => e.key === "Enter" && this.load());
    p.header = this.#button("header", "Drop header", () => this.header());
    p.redis = this.#button("redis", "Redis down", () => this.redis());
    p.reset = this.#button("reset", "Reset", () => this.reset());
    this.error = h("p.problem", { role: "alert", hidden: true });
    p.reasons = h("p.reasons", { id: "reasons" });
    this.element = h(
      "section.controls",
      { id: "controls", "aria-label": "Controls" },
      h(
        "div.strip",
        null,
        group("Orders go to", p.lanes),
        group(
          "Scale",
          this.#step("−", -1),
          p.pods,
          this.#step("+", 1),
          this.#button("scale", "Scale", () => this.scale(Number(p.pods.value))),
          ...presets.map((n) => this.#button("scale", String(n), () => this.scale(n), `Scale to ${n} pods`)),
        ),
        group(
          "Pod",
          p.pod,
          this.#button("kill", "Kill", () => this.hit("kill")),
          this.#button("drain", "Drain", () => this.hit("drain"), "", true),
          this.#button("freeze", "Freeze", () => this.hit("freeze"), "", true),
          this.#button("thaw", "Thaw", () => this.hit("thaw")),
        ),
        group(
          "Fleet",
          this.#button("rollout", "Roll out", () => this.send("rollout", {})),
          p.redis,
          this.#button("smaran", "Kill smaran", () => this.send("smaran", {})),
        ),
        group(
          "Load",
          p.calls,
          h("span.unit", null, "calls"),
          p.rate,
          h("span.unit", null, "a second"),
          this.#button("load", "Set", () => this.load(), "Set the load"),
          p.header,
        ),
        group("", p.reset),
      ),
      p.reasons,
    );
  }

  #edited = false;
  #loadEdited = false;

  // pick a pod, as by its column.
  pick(pod) {
    this.#parts.pod.value = this.#parts.pod.value === pod ? "" : pod;
    this.update();
  }

  scale(pods) {
    this.#edited = false;
    if (Number.isInteger(pods) && pods > 0) this.send("scale", { pods });
  }

  step(by) {
    this.#parts.pods.value = Math.max(1, Number(this.#parts.pods.value) + by);
    this.#edited = true;
  }

  hit(verb) {
    const pod = this.#parts.pod.value;
    this.send(verb, pod ? { pod } : {});
  }

  // hitChosen does nothing unless a pod is chosen.
  hitChosen(verb) {
    if (this.#parts.pod.value) this.hit(verb);
    else this.problem(`${verb}: choose a pod first`);
  }

  redis() {
    this.send("redis", { up: !this.#redisUp() });
  }
  header() {
    this.send("header", { dropped: !this.#headerless() });
  }

  load() {
    const [calls, rate] = [Number(this.#parts.calls.value), Number(this.#parts.rate.value)];
    this.#loadEdited = false;
    if (Number.isInteger(calls) && calls >= 0 && rate > 0) this.send("load", { calls, rate });
  }

  // reset asks to be pressed again.
  reset() {
    if (!this.#confirm) {
      this.#confirm = setTimeout(() => {
        this.#confirm = 0;
        this.update();
      }, sure);
      return this.update();
    }
    clearTimeout(this.#confirm);
    this.#confirm = 0;
    this.#edited = this.#loadEdited = false;
    this.send("reset", {});
  }

  backend(lane, backend) {
    this.send("backend", { backend }, [lane]);
  }

  // toggle whether orders go to a lane; the last one stays.
  toggle(lane) {
    if (!this.#store.lane(lane)) return;
    if (!this.#chosen.delete(lane)) this.#chosen.add(lane);
    else if (!this.#chosen.size) this.#chosen.add(lane);
    this.update();
  }

  // send an order to the chosen lanes that can carry it out: one order for all lanes, or else one for each.
  async send(verb, body, lanes = this.#able(verb).map((l) => l.id)) {
    if (!lanes.length || this.#store.recording()) return;
    const bodies = lanes.length === this.#store.lanes().length && verb !== "backend" ? [body] : lanes.map((lane) => ({ lane, ...body }));
    this.#count(verb, bodies.length);
    show(this.error, false);
    const answers = await Promise.allSettled(bodies.map((b) => order(this.#store, verb, b)));
    this.#count(verb, -bodies.length);
    const refused = answers.find((a) => a.status === "rejected")?.reason;
    if (!refused) return;
    this.problem(`${verb}: ${refused.message}`);
    if (refused.status === 401) this.onunauthorized?.();
  }

  // problem shows why an order was refused.
  problem(text) {
    put(this.error, text);
    show(this.error, true);
  }

  #count(verb, by) {
    this.#sending.set(verb, (this.#sending.get(verb) ?? 0) + by);
    this.update();
  }

  #lanesChosen() {
    return this.#store.lanes().filter((l) => this.#chosen.has(l.id));
  }
  #able(verb) {
    return this.#lanesChosen().filter((l) => l.verbs.includes(verb));
  }
  #redisUp() {
    return this.#able("redis").some((l) => l.redisUp);
  }
  #headerless() {
    const able = this.#able("header");
    return able.length > 0 && able.every((l) => l.load?.headerless);
  }

  update() {
    show(this.element, !this.#store.recording());
    const lanes = this.#store.lanes();
    this.#offerLanes(lanes);
    this.#offerPods();
    this.#fill();
    const busy = new Set(
      this.#store
        .events()
        .filter(running)
        .map((e) => eventVerb(e.name)),
    );
    for (const [verb, n] of this.#sending) if (n > 0) busy.add(verb);
    const pod = this.#parts.pod.value;
    for (const b of this.#buttons) {
      const able = this.#able(b.verb).length > 0;
      b.element.disabled = !able || (b.needsPod && !pod);
      attribute(b.element, "aria-busy", busy.has(b.verb) ? "true" : null);
      attribute(b.element, "aria-describedby", able ? null : "reasons");
      b.element.title = able ? (b.needsPod && !pod ? "Choose a pod first" : "") : this.#reason(b.verb);
    }
    this.#explain();
  }

  #offerLanes(lanes) {
    const key = lanes.map((l) => l.id).join();
    if (key !== this.#known) {
      this.#known = key;
      this.#chosen = new Set(lanes.map((l) => l.id));
      this.#parts.lanes.replaceChildren(
        ...lanes.map((l) => h("button.toggle", { type: "button", "data-lane": l.id, onclick: () => this.toggle(l.id) }, l.id)),
      );
      show(this.#parts.lanes.parentElement, lanes.length > 1);
    }
    for (const b of this.#parts.lanes.children) attribute(b, "aria-pressed", String(this.#chosen.has(b.dataset.lane)));
  }

  #offerPods() {
    const select = this.#parts.pod;
    const names = [...new Set(this.#lanesChosen().flatMap((l) => this.#store.pods(l.id).map((p) => p.name)))].sort(byName);
    if (
      names.join() ===
        [...select.options]
          .slice(1)
          .map((o) => o.value)
          .join() &&
      select.options.length
    )
      return;
    const chosen = select.value;
    select.replaceChildren(h("option", { value: "" }, "any"), ...names.map((n) => h("option", { value: n }, n)));
    select.value = names.includes(chosen) ? chosen : "";
  }

  // fill shows in fields what is so, until they are edited.
  #fill() {
    const [first] = this.#lanesChosen();
    if (!first) return;
    const p = this.#parts;
    const pods = this.#store.pods(first.id).filter((x) => x.phase !== "POD_PHASE_DEAD").length;
    if (!this.#edited && pods && document.activeElement !== p.pods) p.pods.value = pods;
    if (!this.#loadEdited && first.load) {
      if (document.activeElement !== p.calls) p.calls.value = first.load.calls;
      if (document.activeElement !== p.rate) p.rate.value = first.load.rate;
    }
    put(p.redis, this.#able("redis").length && !this.#redisUp() ? "Redis up" : "Redis down");
    put(p.header, this.#headerless() ? "Send header" : "Drop header");
    attribute(p.header, "aria-pressed", String(this.#headerless()));
    put(p.reset, this.#confirm ? "Reset: press again" : "Reset");
    p.reset.classList.toggle("sure", Boolean(this.#confirm));
  }

  // explain says which orders do not reach which of the chosen lanes, and why.
  #explain() {
    const verbs = [...new Set(this.#buttons.map((b) => b.verb)), "backend"];
    const lines = this.#lanesChosen()
      .map((l) => {
        const missing = verbs.filter((v) => !l.verbs.includes(v));
        if (!missing.length) return "";
        return `${l.id}: no ${missing.join(", ")}${l.verbsReason ? ` (${l.verbsReason})` : ""}`;
      })
      .filter(Boolean);
    put(this.#parts.reasons, lines.join(". "));
    show(this.#parts.reasons, lines.length > 0);
  }

  #reason(verb) {
    return this.#lanesChosen()
      .map((l) => `${l.id}: ${verb} is not possible${l.verbsReason ? `: ${l.verbsReason}` : ""}`)
      .join(". ");
  }

  #button(verb, text, act, label = "", needsPod = false) {
    const element = h("button", { type: "button", "data-verb": verb, onclick: act }, text);
    if (label) element.setAttribute("aria-label", label);
    this.#buttons.push({ verb, element, needsPod });
    return element;
  }

  #step(text, by) {
    return h(
      "button.step",
      { type: "button", "aria-label": by > 0 ? "One pod more" : "One pod less", onclick: () => this.step(by) },
      text,
    );
  }
}

const number = (id, label, min, oninput) => h("input.number", { type: "number", min, max: 9999, id, "aria-label": label, oninput });

function group(name, ...children) {
  return h("div.group", { role: "group", "aria-label": name || "Reset" }, name ? h("span.name", null, name) : null, ...children);
}
