// The banner of a recording: what it is, and how it is played.
import { order } from "./api.js";
import { attribute, h, put, show } from "./dom.js";
import { clock } from "./format.js";

const speeds = [0.5, 1, 2, 4, 8];

export class Replay {
  #store;
  #fail;
  #speed = 1; // to go on with after a pause
  #pause = h("button", { type: "button", onclick: () => this.toggle() });
  #choose = h(
    "select",
    { "aria-label": "Speed", onchange: () => this.#send({ speed: Number(this.#choose.value) }) },
    ...speeds.map((s) => h("option", { value: s }, `${s}×`)),
  );
  #jump = h("input", {
    type: "range",
    min: 0,
    step: 100,
    "aria-label": "Where in the recording",
    onchange: () => this.jump(Number(this.#jump.value)),
  });
  #time = h("span.time");
  #what = h("p.what");
  #held = false;

  // fail is called with the reason for which an order was refused.
  constructor({ store, fail }) {
    this.#store = store;
    this.#fail = fail;
    this.#jump.addEventListener("pointerdown", () => (this.#held = true));
    this.#jump.addEventListener("pointerup", () => (this.#held = false));
    this.element = h(
      "section.replay",
      { id: "replay", hidden: true, "aria-label": "Recording" },
      h("strong", null, "Recording"),
      this.#what,
      h("div.player", null, this.#pause, this.#choose, this.#jump, this.#time),
    );
    setInterval(() => store.recording() && this.update(), 500);
  }

  // toggle pauses, plays on, or begins anew after the end.
  toggle() {
    const r = this.#store.recording();
    if (r) this.#send(this.#ended(r) ? { at_ms: 0, speed: this.#speed } : { speed: r.speed ? 0 : this.#speed });
  }

  #ended(r) {
    return this.#store.at() >= r.lengthMs;
  }

  // jump to a time of the recording, in ms.
  jump(at) {
    const r = this.#store.recording();
    if (r) this.#send({ at_ms: Math.round(Math.max(0, Math.min(r.lengthMs, at))) });
  }

  // skip so many ms.
  skip(by) {
    this.jump(this.#store.at() + by);
  }

  update() {
    const r = this.#store.recording();
    show(this.element, Boolean(r));
    if (!r) return;
    if (r.speed) this.#speed = r.speed;
    const when = new Date(r.recorded);
    const date = Number.isNaN(when.getTime()) ? r.recorded : when.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    this.#tell([
      ["Not live. Recorded ", date],
      [" on ", r.machine],
      [" by ", r.command],
    ]);
    const ended = this.#ended(r);
    put(this.#pause, ended ? "Play again" : r.speed ? "Pause" : "Play");
    if (r.speed && document.activeElement !== this.#choose) this.#offer(r.speed);
    this.#jump.max = r.lengthMs;
    if (!this.#held) this.#jump.value = this.#store.at();
    attribute(this.#jump, "aria-valuetext", clock(this.#store.at()));
    put(this.#time, `${clock(this.#store.at())} / ${clock(r.lengthMs)}${ended ? ", at its end" : r.speed ? "" : ", paused"}`);
  }

  // tell where it is from; what is not known is left out.
  #tell(parts) {
    const known = parts.filter(([, text]) => text);
    const key = known.flat().join("");
    if (this.#what.textContent === key) return;
    this.#what.replaceChildren(...known.flatMap(([lead, text]) => [lead, h(lead === " by " ? "code" : "span", null, text)]));
  }

  #offer(speed) {
    if (![...this.#choose.options].some((o) => Number(o.value) === speed))
      this.#choose.append(h("option", { value: speed }, `${speed}×`));
    this.#choose.value = speed;
  }

  async #send(body) {
    try {
      await order(this.#store, "replay", body);
    } catch (refused) {
      this.#fail(`replay: ${refused.message}`);
    }
  }
}
