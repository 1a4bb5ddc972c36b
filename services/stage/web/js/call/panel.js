// The panel: what a visitor sees of a call, and steers it by. The call itself is caller.js.

import { attribute, h, put, tell } from "../dom.js";
import { absent, count, millis } from "../format.js";
import { Caller } from "./caller.js";
import { Edge, mintSession } from "./edge.js";
import { openSound } from "./sound.js";
import { line as historyLine } from "./history.js";

const drawEvery = 100;
const figuresEvery = 500; // each asks the browser for all that it counts
const keep = 50; // lines of the transcript and of the history

const states = {
  idle: "not on a call", dialling: "dialling", "on the call": "on the call", moving: "moving", redialling: "redialling", ended: "ended",
};
const word = (state) => (state ?? "").replace("CACHE_STATE_", "").toLowerCase();

// mountCall fills an element with the panel, and returns it.
export function mountCall(element, { store }) {
  const panel = new Panel(store);
  element.replaceChildren(panel.root);
  window.addEventListener("pagehide", () => panel.hangUp());
  store.on("lanes", () => panel.lanes());
  panel.lanes();
  return panel;
}

// fact is a name and a value that changes.
function fact(list, name, title) {
  const value = h("dd", {}, absent);
  list.append(h("div.phone-fact", { title: title ?? "" }, h("dt", {}, name), value));
  return (text) => put(value, text ?? absent);
}

// meter is a bar; what it shows changes too often to be read aloud.
function meter(name) {
  const bar = h("i");
  const root = h("div.phone-level", {}, h("span", {}, name), h("span.phone-scale", { "aria-hidden": "true" }, bar));
  return { root, set: (level) => bar.style.setProperty("--level", level.toFixed(3)) };
}

class Panel {
  #store;
  #caller = null;
  #edge = null; // of the call, or of the last one
  #sound = null;
  #agent = null; // meter of the agent's stream
  #timers = [];
  #muted = false;
  #opening = null; // what ends the opening of a call

  constructor(store) {
    this.#store = store;
    this.#build();
  }

  #build() {
    this.lane = h("select", { id: "phone-lane" });
    this.source = h("select", { id: "phone-source" }, h("option", { value: "microphone" }, "microphone"), h("option", { value: "tone" }, "test tone"));
    this.toggle = h("button.phone-toggle", { type: "button", onclick: () => (this.#on ? this.hangUp() : this.call()) }, "Call");
    this.mute = h("button", { type: "button", disabled: true, "aria-pressed": "false", onclick: () => this.#mute(!this.#muted) }, "Mute");
    this.state = h("p.phone-state", { role: "status" }, states.idle);
    this.notice = h("p.phone-notice", { role: "status", hidden: true });
    this.mine = meter("you");
    this.theirs = meter("agent");
    const who = h("dl.phone-facts"), how = h("dl.phone-facts");
    this.facts = {
      pod: fact(who, "pod"), turn: fact(who, "turn", "answers in this conversation"), epoch: fact(who, "epoch", "owners that the session has had"),
      backend: fact(who, "backend"), answer: fact(who, "last answer"),
      gap: fact(how, "gap, ms", "longest time without the agent's sound since the call last changed pods: from when its packets were played, right to 20 ms"),
      lost: fact(how, "lost", "packets that did not come"), concealed: fact(how, "made up, ms", "sound that the browser concealed a lack with, silence left out"),
      jitter: fact(how, "jitter, ms"),
    };
    this.question = h("input", { id: "phone-question", type: "text", autocomplete: "off", maxLength: 500, value: "What do you hold?", required: true });
    this.send = h("button", { type: "submit", disabled: true }, "Ask");
    const ask = h("form.phone-row", { onsubmit: (e) => this.#ask(e) }, h("label.aside", { for: "phone-question" }, "Question in words"), this.question, this.send);
    this.transcript = h("ol.phone-list", { "aria-live": "polite" });
    this.history = h("ol.phone-list.phone-history", { "aria-live": "polite" });
    this.place = h("div", { hidden: true });
    this.root = h("div.phone", { "data-state": "idle" },
      h("div.phone-choice", {}, h("label", { for: "phone-lane" }, "lane"), this.lane, h("label", { for: "phone-source" }, "sound"), this.source),
      h("div.phone-row", {}, this.toggle, this.mute), this.state, this.notice, h("div.phone-levels", {}, this.mine.root, this.theirs.root),
      who, how, ask,
      h("section", {}, h("h3", {}, "What happened to the call"), this.history), h("section", {}, h("h3", {}, "What the agent said"), this.transcript), this.place);
  }

  // lanes offers those that there are.
  lanes() {
    const all = this.#store.lanes();
    const chosen = this.lane.value;
    const names = all.map((l) => `${l.id}\n${l.backend}`).join("\n");
    if (names !== this.names) {
      this.names = names;
      this.lane.replaceChildren(...all.map((l) => h("option", { value: l.id }, all.length > 1 ? `${l.id}: ${l.backend}` : l.backend)));
      if (all.some((l) => l.id === chosen)) this.lane.value = chosen;
    }
    this.#enable();
  }

  // shown is the name by which the stage shows the call's session.
  get shown() { return this.#edge?.shown; }

  // on a call, or opening one.
  get #on() { return Boolean(this.#caller ?? this.#opening); }

  #enable() {
    const on = this.#on;
    this.lane.disabled = on;
    this.source.disabled = on;
    this.mute.disabled = this.#sound === null;
    this.send.disabled = !this.#caller?.line;
    this.toggle.disabled = !on && this.lane.options.length === 0;
    put(this.toggle, on ? "Hang up" : "Call");
    this.toggle.classList.toggle("primary", !on);
  }

  async call() {
    const lane = this.#store.lanes().find((l) => l.id === this.lane.value);
    if (!lane || this.#on) return;
    const opening = (this.#opening = new AbortController());
    this.#clear();
    this.#state("dialling");
    try {
      const base = new URL(`.${lane.smaran.replace(/\/$/, "")}`, document.baseURI).href;
      const sound = await openSound(this.source.value === "tone");
      this.#sound = sound;
      this.#note(sound.reason && `${sound.reason}: the agent hears a test tone`);
      this.#mute(false);
      const session = await mintSession(base, opening.signal);
      opening.signal.throwIfAborted();
      attribute(this.root, "data-session", session);
      this.#edge = new Edge(base, session);
      const caller = new Caller({
        edge: this.#edge, sound, relay: lane.relay, place: this.place, tell: (kind, detail) => this.#told(kind, detail),
      });
      this.#caller = caller;
      this.#opening = null;
      this.#timers = [setInterval(() => this.#draw(), drawEvery), setInterval(() => this.#figures(), figuresEvery)];
      this.#enable();
      await caller.run();
    } catch (error) {
      if (!opening.signal.aborted) this.#note(`no call: ${error.message || error.name}`);
    } finally {
      this.#over();
    }
  }

  hangUp() {
    this.#opening?.abort();
    this.#caller?.hangUp();
  }

  #over() {
    for (const timer of this.#timers) clearInterval(timer);
    this.#sound?.close();
    this.#sound = this.#agent = this.#caller = this.#opening = null;
    this.mine.set(0);
    this.theirs.set(0);
    this.#state("ended");
  }

  #clear() {
    this.#note("");
    this.#edge = null;
    attribute(this.root, "data-session", null);
    for (const set of Object.values(this.facts)) set(absent);
    this.transcript.replaceChildren();
    this.history.replaceChildren();
  }

  #note(text) {
    tell(this.notice, text);
  }

  #mute(muted) {
    this.#muted = muted;
    this.#sound?.mute(muted);
    attribute(this.mute, "aria-pressed", String(muted));
    put(this.mute, muted ? "Unmute" : "Mute");
  }

  #state(state) {
    attribute(this.root, "data-state", state);
    this.root.dispatchEvent(new CustomEvent("phone", { bubbles: true, detail: this.#on }));
    put(this.state, state === "on the call" && this.#sound ? `on the call, by ${this.#sound.name}` : states[state]);
    this.#enable();
  }

  #told(kind, detail) {
    switch (kind) {
      case "state":
        this.#state(detail);
        break;
      case "pod":
        for (const name of ["pod", "turn", "backend"]) if (detail[name] !== undefined) this.facts[name](String(detail[name]));
        if (detail.epoch !== undefined) this.facts.epoch(detail.epoch ? String(detail.epoch) : absent); // a backend without epochs says 0
        break;
      case "stream":
        this.#agent?.close();
        this.#agent = this.#sound.heard(detail);
        break;
      case "transcript":
        this.facts.turn(String(detail.turn ?? 0));
        this.#add(this.transcript, h("li", {}, `${detail.turn ?? ""} ${detail.text}`));
        break;
      case "answer":
        this.facts.answer(detail.error ?? `${word(detail.served?.state)}, ${millis(detail.took)} ms, ${detail.served?.pod ?? ""}`
          + (detail.forwarded ? `, passed on by ${detail.forwarded}` : "") + (detail.stateLost ? ", the conversation was lost" : ""));
        break;
      case "history": {
        const { at, kind, text, ...data } = historyLine(detail);
        // Attempts that fail one after another for one reason are one line.
        const last = this.history.firstChild;
        const again = kind === "failed" && last?.dataset.text === text ? Number(last.dataset.times ?? 1) + 1 : 1;
        if (again > 1) last.remove();
        const item = h("li", { "data-kind": kind, "data-text": text, "data-times": String(again) },
          h("time", { dateTime: at.toISOString() }, at.toLocaleTimeString()), ` ${text}${again > 1 ? ` (${again} times)` : ""}`);
        for (const [name, value] of Object.entries(data)) if (value !== undefined) item.dataset[name] = value;
        this.#add(this.history, item);
      }
    }
  }

  #add(list, item) {
    list.prepend(item);
    while (list.children.length > keep) list.lastChild.remove();
  }

  #ask(e) {
    e.preventDefault();
    if (!this.#caller) return;
    this.facts.answer("asked");
    this.#caller.ask(this.question.value);
  }

  #draw() {
    this.mine.set(this.#sound?.mine.level() ?? 0);
    this.theirs.set(this.#agent?.level() ?? 0);
    if (this.#caller?.line) this.facts.gap(millis(this.#caller.ear.longest()));
  }

  async #figures() {
    const caller = this.#caller;
    if (!caller?.line) return;
    const s = await caller.stats.of(caller.line).catch(() => undefined); // it was closed meanwhile
    if (!s || caller !== this.#caller) return;
    this.facts.lost(count(s.lost));
    this.facts.concealed(millis(s.concealed));
    this.facts.jitter(s.jitter === undefined ? absent : s.jitter.toFixed(1));
    for (const name of ["received", "sent"]) attribute(this.root, `data-${name}`, String(s[name]));
  }
}
