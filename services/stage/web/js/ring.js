// The ring: the hash space as a circle, each pod's arcs in its colour, and the sessions at their places on it.
import { attribute, h, put, show } from "./dom.js";
import { count } from "./format.js";
import { round } from "./palette.js";

const turn = 2 * Math.PI;

// Why a backend has no ring. The name before a colon decides.
const without = {
  roundrobin: "No ring: each request goes to the next pod, whatever its session.",
  "redis-plain": "No ring: Redis is asked for each session's pod; a session that it does not know gets a random one.",
  redis: "No ring: Redis leases each session to a pod; a new one goes to the less loaded of two.",
  "app-hash": "No ring: each pod gets a score for the session (rendezvous hashing), and the highest wins.",
  "stateful-header": "No ring: the client sends back a sealed header that names its pod.",
  "stateful-cookie": "No ring: the client sends back a sealed cookie that names its pod.",
};

export class Ring {
  #store;
  #lane;
  #hues;
  #theme;
  #frames;
  #canvas = h("canvas", { role: "img" });
  #caption = h("figcaption");
  #arcs = document.createElement("canvas");
  #told = null; // the ring that the caption is about; null before anything is said
  #drawn = null; // the ring that #arcs shows, and its pods' hues
  #coloured = "";
  #size = 0;
  #dirty = true;

  constructor({ store, lane, hues, theme, frames }) {
    this.#store = store;
    this.#lane = lane;
    this.#hues = hues;
    this.#theme = theme;
    this.#frames = frames;
    this.element = h("figure.ring", null, h("div.disc", null, this.#canvas), this.#caption);
    new ResizeObserver(() => this.#resize()).observe(this.#canvas.parentElement);
    frames.add(() => this.#draw());
  }

  // describe says what there is to see, or why there is nothing. A ring never changes: another one comes in its place.
  describe() {
    const ring = this.#store.ring(this.#lane);
    const there = Boolean(ring?.ends.length);
    if (!there) put(this.#caption, reason(this.#store.lane(this.#lane)));
    if (ring === this.#told) return;
    this.#told = ring;
    show(this.#canvas.parentElement, there);
    this.element.classList.toggle("none", !there);
    const shares = there ? share(ring) : [];
    if (there) put(this.#caption, caption(ring, shares));
    attribute(this.#canvas, "aria-label", there ? `${this.#caption.textContent} ${inWords(ring, shares)}` : null);
  }

  redraw() {
    this.#dirty = true;
    this.#frames.wake();
  }

  recolour() {
    this.#drawn = null;
    this.redraw();
  }

  #resize() {
    const size = Math.min(this.#canvas.parentElement.clientWidth, this.#canvas.parentElement.clientHeight);
    if (size === this.#size || !size) return;
    this.#size = size;
    for (const c of [this.#canvas, this.#arcs]) c.width = c.height = Math.round(size * devicePixelRatio);
    this.#canvas.style.width = this.#canvas.style.height = `${size}px`;
    this.recolour();
  }

  #draw() {
    const ring = this.#store.ring(this.#lane);
    if (!this.#dirty || !this.#size || !ring?.ends.length) return false;
    this.#dirty = false;
    const outer = this.#size / 2 - 2;
    const thick = Math.max(14, outer * 0.24);
    this.#drawArcs(ring, outer, thick);
    const c = this.#canvas.getContext("2d");
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    c.drawImage(this.#arcs, 0, 0);
    this.#drawSessions(c, outer - thick - 9);
    return false;
  }

  // drawArcs paints the circle once for each division of it.
  #drawArcs(ring, outer, thick) {
    const hue = ring.pods.map((name) => this.#hues.of(name));
    const key = hue.join();
    if (ring === this.#drawn && key === this.#coloured) return;
    this.#drawn = ring;
    this.#coloured = key;
    const c = this.#arcs.getContext("2d");
    c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    c.clearRect(0, 0, this.#size, this.#size);
    c.translate(this.#size / 2, this.#size / 2);
    const n = ring.ends.length;
    for (let i = 0; i < n; i++) {
      const from = i ? ring.ends[i - 1] : ring.ends[n - 1] - 1;
      const owner = hue[ring.owners[i]];
      // Pods beyond the palette have narrower arcs than the pods whose hue they share.
      const depth = thick * (1 - 0.3 * Math.min(1, round(owner)));
      c.strokeStyle = this.#theme.pod(owner);
      c.lineWidth = depth;
      c.beginPath();
      c.arc(0, 0, outer - depth / 2, angle(from), angle(ring.ends[i]) + 0.002);
      c.stroke();
    }
  }

  #drawSessions(c, r) {
    c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    c.translate(this.#size / 2, this.#size / 2);
    const sessions = this.#store.sessions(this.#lane).filter((s) => s.position !== undefined);
    const size = Math.max(2, Math.min(4.5, (turn * r) / (sessions.length * 2.2 || 1)));
    const paths = new Map(); // by hue
    for (const s of sessions) {
      const a = angle(s.position);
      const [x, y] = [Math.cos(a) * r, Math.sin(a) * r];
      const hue = this.#hues.of(s.pod);
      if (!paths.has(hue)) paths.set(hue, new Path2D());
      paths.get(hue).moveTo(x + size, y);
      paths.get(hue).arc(x, y, size, 0, 7);
      if (!s.browser) continue;
      c.strokeStyle = this.#theme.colour("ink");
      c.lineWidth = 2;
      c.beginPath();
      c.arc(x, y, size + 2.5, 0, 7);
      c.stroke();
    }
    for (const [hue, path] of paths) {
      c.fillStyle = this.#theme.pod(hue);
      c.fill(path);
    }
  }
}

// angle of a hash: 0 is at the top, and it grows clockwise.
const angle = (position) => position * turn - turn / 4;

// share of the circle of each pod.
export function share(ring) {
  const all = ring.pods.map(() => 0);
  const n = ring.ends.length;
  ring.ends.forEach((end, i) => (all[ring.owners[i]] += end - (i ? ring.ends[i - 1] : ring.ends[n - 1] - 1)));
  return all;
}

// inWords says how much of the circle is whose.
const inWords = (ring, shares) => ring.pods.map((pod, i) => `${pod} has ${(100 * shares[i]).toFixed(0)}%.`).join(" ");

function caption(ring, shares) {
  const n = ring.ends.length;
  if (ring.table) {
    const every = Math.round(ring.table / n);
    return every > 1 ? `Maglev: every ${ordinal(every)} of ${count(ring.table)} slots.` : `Maglev: all ${count(ring.table)} slots.`;
  }
  const most = Math.max(...shares) * ring.pods.length;
  return `Ring of ${count(n)} arcs. The largest share is ${most.toFixed(2)} times the mean.`;
}

function ordinal(n) {
  const tens = n % 100;
  const ones = n % 10;
  if (tens > 10 && tens < 14) return `${n}th`;
  return n + (["th", "st", "nd", "rd"][ones] ?? "th");
}

function reason(lane) {
  if (!lane || lane.state === "LANE_STATE_STARTING") return "No ring yet.";
  return without[lane.backend.split(":")[0]] ?? "The fleet has told of no ring.";
}
