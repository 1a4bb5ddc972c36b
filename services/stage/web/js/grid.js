// The grid: a column per pod, a dot per session in its owner's column.
import { h, put, show, attribute } from "./dom.js";
import { brief, byName, plural, seconds, word } from "./format.js";
import { columns, common, labelHeight, least, pitch, place } from "./layout.js";
import { classes, hues, round, shape } from "./palette.js";

const moving = 850; // ms a dot takes to another column
const settling = 350; // ms it takes within one
const flashing = 1800; // ms a loss is shown
const fading = 500; // ms to fall silent
const dying = 2000; // ms a dead pod is shown
const quiet = 0.28; // what is left of a silent call's dot
const nowhere = ""; // the column of sessions without an owner

export class Grid {
  #store;
  #lane;
  #hues;
  #theme;
  #frames;
  #still;
  #pick;
  #own;
  #canvas = h("canvas", { role: "img" });
  #labels = h("div.labels", { "aria-hidden": "true" });
  #tip = h("div.tip", { hidden: true });
  #columns = new Map(); // by pod
  #order = [];
  #dots = new Map(); // by session
  #arrived = 0;
  #pitch = 0;
  #size = { w: 0, h: 0 };
  #tick = 0;

  // still says whether motion is unwanted, own which session is this page's; pick is called with the name of a pod that was pressed.
  constructor({ store, lane, hues, theme, frames, still, pick, own }) {
    this.#store = store;
    this.#lane = lane;
    this.#hues = hues;
    this.#theme = theme;
    this.#frames = frames;
    this.#still = still;
    this.#pick = pick;
    this.#own = own;
    this.element = h("div.grid", null, this.#canvas, this.#labels, this.#tip);
    new ResizeObserver(() => this.#resize()).observe(this.element);
    this.element.addEventListener("pointermove", (e) => this.#point(e));
    this.element.addEventListener("pointerleave", () => show(this.#tip, false));
    frames.add(() => this.#draw());
  }

  // column is the name of the pod in whose column a session's dot ends, and where it is now; undefined where there is no such dot.
  column(session) {
    const d = this.#dots.get(session);
    if (!d) return undefined;
    const box = this.#columns.get(d.pod)?.box;
    return { pod: d.pod, inside: Boolean(box) && d.x >= box.x && d.x <= box.x + box.w && d.y >= box.y - 1 && d.y <= box.y + box.h };
  }

  // names of the pods that have columns, dead ones too.
  names() {
    return [...this.#columns.keys()].filter((name) => name !== nowhere);
  }

  // update takes what the store has now.
  update() {
    const now = performance.now();
    const pods = this.#store.pods(this.#lane);
    const present = new Set(pods.map((p) => p.name));
    for (const p of pods) this.#pod(p, now);
    for (const [name, c] of this.#columns) {
      if (name === nowhere || present.has(name)) continue;
      c.died ??= now;
      c.gone = true;
      if (now - c.died > dying) this.#drop(name, c);
    }
    if (!this.#columns.has(nowhere)) this.#columns.set(nowhere, { name: nowhere, label: this.#label(nowhere), pod: null });
    this.#arrange(now);
  }

  // recolour after another theme was chosen.
  recolour() {
    this.#frames.wake();
  }

  #pod(p, now) {
    let c = this.#columns.get(p.name);
    if (!c) this.#columns.set(p.name, (c = { name: p.name, label: this.#label(p.name), born: now }));
    const phase = word(p.phase);
    if (phase === "dead" || (c.pod && p.restarts > c.pod.restarts)) {
      if (c.phase !== "dead") c.died = now;
    } else if (c.gone || (c.died && now - c.died > dying)) {
      c.died = undefined;
    }
    if (!p.drain) c.drainTold = undefined;
    else if (p.drain !== c.pod?.drain) c.drainTold = now;
    c.gone = false;
    c.phase = phase;
    c.pod = p;
  }

  #drop(name, c) {
    c.label.remove();
    this.#columns.delete(name);
  }

  #label(name) {
    const parts = { name: h("b"), note: h("small"), state: h("span.state") };
    const e = h("div.pod", null, parts.state, parts.name, parts.note);
    if (name !== nowhere) {
      e.classList.add("pick");
      e.addEventListener("click", () => this.#pick(name));
    }
    this.#labels.append(e);
    return Object.assign(e, { parts });
  }

  // arrange gives every column its box and every dot its place.
  #arrange(now) {
    this.#order = [...this.#columns.values()].sort((a, b) => (a.name === nowhere) - (b.name === nowhere) || byName(a.name, b.name));
    for (const c of this.#order) c.held = [];
    this.#adopt(now);
    if (!this.#size.w) return;
    this.element.style.minHeight = `${least(this.#order.length, this.#size.w)}px`;
    const boxes = columns(this.#order.length, this.#size.w, this.#size.h);
    this.#order.forEach((c, i) => (c.box = boxes[i]));
    const owners = this.#order.filter((c) => c.name !== nowhere);
    this.#pitch = common(
      owners.map((c) => c.box),
      owners.map((c) => c.held.length),
    );
    for (const c of this.#order) {
      c.held.sort((a, b) => a.browser - b.browser || a.seq - b.seq); // the browser's own on top, where its name has room
      const p = Math.min(this.#pitch, pitch(c.box, c.held.length));
      c.held.forEach((d, i) => this.#send(d, place(c.box, p, i), p, now));
    }
    this.#write(now);
    this.#frames.wake();
  }

  // adopt makes dots of sessions, and puts each into its owner's column.
  #adopt(now) {
    const sessions = this.#store.sessions(this.#lane);
    const present = new Set();
    if (!this.#dots.size) sessions.sort((a, b) => byName(a.id, b.id));
    for (const s of sessions) {
      present.add(s.id);
      const pod = this.#columns.has(s.pod) ? s.pod : nowhere;
      let d = this.#dots.get(s.id);
      if (!d) this.#dots.set(s.id, (d = { id: s.id, pod, seq: this.#arrived++, losses: s.losses, alpha: 0, hue: this.#hues.of(pod) }));
      if (d.pod !== pod) {
        Object.assign(d, { pod, seq: this.#arrived++, crossing: now });
      }
      if (s.losses > d.losses && classes[s.lost]) d.flash = { kind: s.lost, at: now };
      d.losses = s.losses;
      d.up = s.callUp;
      d.browser = s.browser;
      const wanted = s.callUp && s.silent ? quiet : 1;
      if (d.wanted !== wanted) Object.assign(d, { wanted, faded: now, from: d.alpha });
      this.#columns.get(pod).held.push(d);
    }
    for (const id of this.#dots.keys()) if (!present.has(id)) this.#dots.delete(id);
  }

  // send a dot to a place.
  #send(d, to, p, now) {
    d.p = p;
    if (d.to && d.to.x === to.x && d.to.y === to.y) return;
    const begin = d.x === undefined || this.#still() ? to : { x: d.x, y: d.y };
    Object.assign(d, { to, start: begin, at: now, takes: d.crossing === now ? moving : Math.max(settling, d.at + d.takes - now || 0) });
    if (begin === to) Object.assign(d, { x: to.x, y: to.y });
  }

  // write the columns' names and numbers.
  #write(now) {
    const names = this.#order.map((c) => c.name).filter(Boolean);
    const wide = Math.max(0, ...names.map((n) => n.length)) * 7.4 + 6 <= (this.#order[0]?.box.w ?? 0);
    for (const c of this.#order) {
      const { label, box, pod } = c;
      label.style.transform = `translate(${box.x}px, ${box.y}px)`;
      label.style.width = `${box.w}px`;
      label.style.height = `${box.h + labelHeight}px`;
      const dead = c.died && now - c.died <= dying;
      label.classList.toggle("narrow", box.w < 44);
      label.classList.toggle("dead", Boolean(dead));
      put(label.parts.name, c.name === nowhere ? (box.w < 60 ? "none" : "no pod") : wide ? c.name : brief(c.name));
      put(label.parts.note, String(c.held.length));
      put(label.parts.state, dead ? "dead" : this.#state(c, now));
      attribute(label, "title", c.name === nowhere ? "Sessions that no pod owns" : `${c.name} ${pod?.address ?? ""} ${c.phase}`);
      attribute(label, "data-phase", dead ? "dead" : (c.phase ?? null));
    }
  }

  // state of a column in a word; of one that drains, what is left.
  #state(c, now) {
    if (c.name === nowhere || c.phase === "ready" || !c.phase) return "";
    if (c.phase !== "draining" || !c.pod.drain) return c.phase;
    return `${seconds(this.#left(c, now)).replace(/\.\d/, "")}\n${plural(c.pod.drain.sessions, "left", "left")}`;
  }

  // left of a drain, in ms.
  #left(c, now) {
    return Math.max(0, c.pod.drain.remainingMs - (now - c.drainTold) * (this.#store.recording()?.speed ?? 1));
  }

  #resize() {
    const { clientWidth: w, clientHeight: hh } = this.element;
    if (w === this.#size.w && hh === this.#size.h) return;
    this.#size = { w, h: hh };
    this.#canvas.width = Math.round(w * devicePixelRatio);
    this.#canvas.height = Math.round(hh * devicePixelRatio);
    for (const d of this.#dots.values()) d.to = d.x = undefined;
    if (this.#columns.size) this.#arrange(performance.now());
  }

  #draw() {
    if (!this.#size.w || !this.#order.length) return false;
    const now = performance.now();
    const c = this.#canvas.getContext("2d");
    c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    c.clearRect(0, 0, this.#size.w, this.#size.h);
    let more = this.#drawColumns(c, now);
    more = this.#drawDots(c, now) || more;
    more = this.#drawMarks(c, now) || more;
    return more;
  }

  #drawColumns(c, now) {
    let more = false;
    for (const col of this.#order) {
      const { box } = col;
      if (!box) continue;
      c.fillStyle = this.#theme.colour("band");
      c.fillRect(box.x, box.y, box.w, box.h);
      const hue = this.#hues.of(col.name);
      if (["draining", "frozen", "starting"].includes(col.phase)) hatch(c, box, col.phase, this.#theme.colour("edge"));
      c.globalAlpha = col.died ? 0.35 : 1;
      c.fillStyle = this.#theme.pod(hue);
      c.fillRect(box.x, box.y + box.h, box.w, 4);
      if (hue >= hues) {
        // a notch for each time round the palette
        c.fillStyle = this.#theme.colour("surface");
        for (let i = 0; i < round(hue); i++) c.fillRect(box.x + box.w / 2 - 2 + i * 6, box.y + box.h, 3, 4);
      }
      c.globalAlpha = 1;
      if (col.phase === "draining") this.#later();
      if (!col.died) continue;
      const age = now - col.died;
      if (age > dying) {
        col.died = undefined;
        if (col.gone) {
          this.#drop(col.name, col);
          this.#arrange(now);
          return true;
        }
        this.#write(now);
        continue;
      }
      cross(c, box, this.#theme, 1 - (age / dying) * 0.7);
      more = true;
    }
    return more;
  }

  // later draws again within a second, for countdowns.
  #later() {
    this.#tick ||= setTimeout(() => {
      this.#tick = 0;
      this.#write(performance.now());
      this.#frames.wake();
    }, 250);
  }

  #drawDots(c, now) {
    let more = false;
    const batches = new Map();
    for (const d of this.#dots.values()) {
      if (!d.to) continue;
      more = this.#advance(d, now) || more;
      if (d.browser) continue;
      this.#batch(batches, d);
    }
    for (const b of batches.values()) paint(c, b);
    c.globalAlpha = 1;
    return more;
  }

  // advance a dot to where it is now.
  #advance(d, now) {
    let more = false;
    const t = this.#still() ? 1 : Math.min(1, (now - d.at) / d.takes);
    const e = t < 0.5 ? 4 * t * t * t : 1 - (2 - 2 * t) ** 3 / 2;
    d.x = d.start.x + (d.to.x - d.start.x) * e;
    d.y = d.start.y + (d.to.y - d.start.y) * e;
    if (t < 1) more = true;
    else d.hue = this.#hues.of(d.pod); // it has its old owner's colour until it is there
    const f = this.#still() ? 1 : Math.min(1, (now - d.faded) / fading);
    d.alpha = d.from + (d.wanted - d.from) * f;
    return more || f < 1;
  }

  #batch(batches, d) {
    const alpha = Math.round(d.alpha * 10) / 10;
    const key = `${d.hue}|${d.up}|${alpha}`;
    let b = batches.get(key);
    if (!b) batches.set(key, (b = { path: new Path2D(), marks: null, colour: this.#theme.pod(d.hue), up: d.up, alpha, width: 0 }));
    const r = radius(d);
    b.width = Math.max(1.2, r * 0.32);
    const ring = d.up ? r : r - b.width / 2;
    b.path.moveTo(d.x + ring, d.y);
    b.path.arc(d.x, d.y, ring, 0, 7);
    if (d.hue >= hues && r > 2.5) {
      b.marks ??= { path: new Path2D(), colour: d.up ? this.#theme.colour("surface") : b.colour };
      mark(b.marks.path, d.x, d.y, r, round(d.hue));
    }
  }

  // drawMarks draws what must not be covered: sessions of browsers, and losses.
  #drawMarks(c, now) {
    let more = false;
    for (const d of this.#dots.values()) {
      if (d.to && d.browser) visitor(c, d, this.#theme, d.id === this.#own() ? "you" : "browser", this.#canvas.width / devicePixelRatio);
    }
    for (const d of this.#dots.values()) {
      if (!d.flash || !d.to) continue;
      const age = now - d.flash.at;
      if (age > flashing) {
        d.flash = undefined;
        continue;
      }
      more = true;
      this.#flash(c, d, this.#still() ? 0.4 : age / flashing);
    }
    c.globalAlpha = 1;
    return more;
  }

  #flash(c, d, t) {
    const [kind, tone] = classes[d.flash.kind];
    const grown = t < 0.15 ? 0.6 + (t / 0.15) * 0.4 : 1;
    const r = Math.min(13, Math.max(6, radius(d) * 1.1)) * grown;
    c.globalAlpha = t < 0.6 ? 1 : 1 - (t - 0.6) / 0.4;
    c.fillStyle = this.#theme.colour("surface");
    c.beginPath();
    c.arc(d.x, d.y, r + 3, 0, 7);
    c.fill();
    c.strokeStyle = this.#theme.colour(tone);
    c.lineWidth = 1.5;
    c.stroke();
    symbol(c, kind, d.x, d.y, r * 0.8);
  }

  // point names the dot under the pointer.
  #point(e) {
    const at = this.element.getBoundingClientRect();
    const [x, y] = [e.clientX - at.left, e.clientY - at.top];
    let near,
      best = 14 ** 2;
    for (const d of this.#dots.values()) {
      const q = (d.x - x) ** 2 + (d.y - y) ** 2;
      if (q < best) [near, best] = [d, q];
    }
    show(this.#tip, Boolean(near));
    const s = near && this.#store.session(this.#lane, near.id);
    if (!s) return show(this.#tip, false);
    put(this.#tip, `${s.id} · ${s.pod || "no pod"} · turn ${s.turn}, epoch ${s.epoch}${s.state ? ` · ${s.state}` : ""}`);
    const left = Math.min(x + 12, Math.max(0, this.#size.w - this.#tip.offsetWidth));
    this.#tip.style.transform = `translate(${left}px, ${Math.max(0, y - 30)}px)`;
  }

  // describe says in a sentence what is drawn.
  describe(text) {
    attribute(this.#canvas, "aria-label", text);
  }
}

const radius = (d) => d.p * 0.38 * (d.browser ? 1.15 : 1);

function paint(c, b) {
  c.globalAlpha = b.alpha;
  if (b.up) {
    c.fillStyle = b.colour;
    c.fill(b.path);
  } else {
    c.strokeStyle = b.colour;
    c.lineWidth = b.width;
    c.stroke(b.path);
  }
  if (!b.marks) return;
  c.fillStyle = b.marks.colour;
  c.fill(b.marks.path);
}

// mark tells pods of one hue apart: a point for the second, a bar for the third.
function mark(path, x, y, r, round) {
  if (round % 2) {
    path.moveTo(x + r * 0.36, y);
    path.arc(x, y, r * 0.36, 0, 7);
  } else {
    path.rect(x - r * 0.7, y - r * 0.2, r * 1.4, r * 0.4);
  }
}

// symbol strokes a class's shape in the present stroke style.
export function symbol(c, kind, x, y, r) {
  const path = new Path2D();
  shape(path, kind, x, y, r);
  c.lineWidth = Math.max(1.6, r * 0.42);
  c.lineCap = c.lineJoin = "round";
  c.stroke(path);
}

// visitor marks the session of a browser, and keeps its name within the width.
function visitor(c, d, theme, name, width) {
  const r = radius(d);
  c.globalAlpha = d.alpha;
  c.beginPath();
  c.arc(d.x, d.y, r * 0.8, 0, 7);
  c.fillStyle = c.strokeStyle = theme.pod(d.hue);
  c.lineWidth = Math.max(1.2, r * 0.3);
  if (d.up) c.fill();
  else c.stroke();
  c.globalAlpha = 1;
  c.strokeStyle = theme.colour("ink");
  c.lineWidth = 2;
  c.beginPath();
  c.arc(d.x, d.y, r + 2, 0, 7);
  c.stroke();
  c.font = "700 11px system-ui, sans-serif";
  c.textAlign = "center";
  c.lineWidth = 4;
  c.strokeStyle = theme.colour("surface");
  const half = c.measureText(name).width / 2 + 2;
  const x = Math.min(Math.max(d.x, half), width - half);
  c.strokeText(name, x, d.y - r - 8);
  c.fillStyle = theme.colour("ink");
  c.fillText(name, x, d.y - r - 8);
}

// hatch fills a box with what its pod's phase looks like: slanted lines drain, level ones are frozen, a dashed frame starts.
function hatch(c, box, phase, colour) {
  c.save();
  c.strokeStyle = colour;
  c.lineWidth = 1;
  c.beginPath();
  if (phase === "starting") {
    c.setLineDash([4, 4]);
    c.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
    c.restore();
    return;
  }
  c.globalAlpha = 0.5;
  c.rect(box.x, box.y, box.w, box.h);
  c.clip();
  c.beginPath();
  if (phase === "draining") {
    for (let x = -box.h; x < box.w; x += 9) {
      c.moveTo(box.x + x, box.y + box.h);
      c.lineTo(box.x + x + box.h, box.y);
    }
  } else {
    for (let y = 5; y < box.h; y += 9) {
      c.moveTo(box.x, box.y + y + 0.5);
      c.lineTo(box.x + box.w, box.y + y + 0.5);
    }
  }
  c.stroke();
  c.restore();
}

function cross(c, box, theme, alpha) {
  const s = Math.min(box.w, box.h) * 0.36;
  const [x, y] = [box.x + box.w / 2, box.y + box.h / 2];
  c.globalAlpha = alpha;
  c.fillStyle = theme.colour("band");
  c.fillRect(box.x, box.y, box.w, box.h);
  c.strokeStyle = theme.colour("bad");
  symbol(c, "cross", x, y, s);
  c.globalAlpha = 1;
}
