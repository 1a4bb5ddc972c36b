// The store holds what the stage shows: the frames of stage.v1, applied one after the other. It draws nothing and asks nobody.
//
// Protobuf's JSON leaves out a number that is 0, a false and an empty text, so those are put back here; a field marked optional that is
// missing was not measured, and stays undefined.

const keepPoints = 600; // seconds of a lane, as the stage keeps

const laneOf = (l) => ({
  id: "",
  backend: "",
  policy: "",
  state: "LANE_STATE_UNSPECIFIED",
  reason: "",
  smaran: "",
  relay: false,
  verbs: [],
  verbsReason: "",
  backends: [],
  ...l,
  load: l.load && { attached: false, calls: 0, rate: 0, headerless: false, untold: 0, ...l.load },
  meters: l.meters && { callsUp: 0, ...l.meters, counts: l.meters.counts ?? {} },
});
const podOf = (p) => ({
  lane: "",
  name: "",
  address: "",
  phase: "POD_PHASE_UNSPECIFIED",
  sessions: 0,
  calls: 0,
  restarts: 0,
  ...p,
  drain: p.drain && { remainingMs: 0, sessions: 0, calls: 0, ...p.drain },
});
const sessionOf = (s) => ({
  lane: "",
  id: "",
  pod: "",
  callUp: false,
  silent: false,
  turn: 0,
  epoch: 0,
  state: "",
  lost: "",
  losses: 0,
  browser: false,
  ...s,
});
const eventOf = (e) => ({
  id: 0,
  lane: "",
  group: 0,
  name: "",
  pod: "",
  backend: "",
  startedMs: 0,
  error: "",
  observed: 0,
  moved: 0,
  ...e,
  counts: e.counts ?? {},
});
const pointOf = (p) => ({
  lane: "",
  second: 0,
  requests: 0,
  failed: 0,
  cold: 0,
  misroutes: 0,
  dropped: 0,
  renegotiations: 0,
  migrations: 0,
  callsUp: 0,
  ...p,
});
const ringOf = (r) => ({ lane: "", policy: "", table: 0, ...r, pods: r.pods ?? [], ends: r.ends ?? [], owners: r.owners ?? [] });
const recordingOf = (r) => ({ recorded: "", machine: "", command: "", speed: 0, atMs: 0, lengthMs: 0, ...r });

// running says whether an event is under way.
export const running = (e) => e.finishedMs === undefined && e.error === "";

export class Store {
  #lanes = new Map();
  #pods = new Map(); // of a lane, by name
  #sessions = new Map(); // of a lane, by id
  #points = new Map(); // of a lane, by second
  #rings = new Map();
  #events = new Map(); // by lane and id
  #recording = null;
  #at = 0;
  #received = 0;
  #link = "connecting";
  #token = "";
  #listeners = new Map();
  #now;

  // now is a clock in milliseconds.
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  lanes() {
    return [...this.#lanes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }
  lane(id) {
    return this.#lanes.get(id);
  }
  pods(lane) {
    return [...(this.#pods.get(lane)?.values() ?? [])];
  }
  pod(lane, name) {
    return this.#pods.get(lane)?.get(name);
  }
  sessions(lane) {
    return [...(this.#sessions.get(lane)?.values() ?? [])];
  }
  session(lane, id) {
    return this.#sessions.get(lane)?.get(id);
  }
  ring(lane) {
    return this.#rings.get(lane);
  }
  // points of a lane, by second.
  points(lane) {
    return this.#points.get(lane) ?? new Map();
  }
  // events of all lanes, oldest first.
  events() {
    return [...this.#events.values()].sort((a, b) => a.id - b.id || (a.lane < b.lane ? -1 : 1));
  }
  recording() {
    return this.#recording;
  }

  // at is the time on the stage's clock, in milliseconds since it was opened; while a recording is played, in the recording.
  at() {
    const since = this.#now() - this.#received;
    if (!this.#recording) return this.#at + since;
    return Math.min(this.#recording.lengthMs, this.#recording.atMs + since * this.#recording.speed);
  }

  // link is connecting, live or reconnecting.
  link() {
    return this.#link;
  }
  setLink(state) {
    if (state === this.#link) return;
    this.#link = state;
    this.#tell(new Set(["link"]));
  }

  // token that controls need where the stage is open to more than its own machine; empty: none.
  token() {
    return this.#token;
  }
  setToken(token) {
    this.#token = token;
    this.#tell(new Set(["token"]));
  }

  // on calls fn after a change of a kind: lanes, pods, sessions, points, rings, events, recording, link, token; or change, after any. It
  // returns what ends that.
  on(kind, fn) {
    const all = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, all.add(fn));
    return () => all.delete(fn);
  }

  // apply takes a frame, as it was parsed from JSON.
  apply(frame) {
    const changed = new Set();
    this.#at = frame.atMs ?? 0;
    this.#received = this.#now();
    if (frame.whole) {
      for (const m of [this.#lanes, this.#pods, this.#sessions, this.#points, this.#rings, this.#events]) m.clear();
      for (const kind of ["lanes", "pods", "sessions", "points", "rings", "events"]) changed.add(kind);
    }
    for (const l of frame.lanes ?? []) this.#lanes.set(l.id ?? "", laneOf(l));
    for (const p of frame.pods ?? []) inner(this.#pods, p.lane).set(p.name ?? "", podOf(p));
    for (const s of frame.sessions ?? []) inner(this.#sessions, s.lane).set(s.id ?? "", sessionOf(s));
    for (const e of frame.events ?? []) this.#events.set(`${e.lane ?? ""}/${e.id ?? 0}`, eventOf(e));
    for (const p of frame.points ?? []) this.#point(pointOf(p));
    for (const r of frame.rings ?? []) this.#rings.set(r.lane ?? "", ringOf(r));
    for (const kind of ["lanes", "pods", "sessions", "points", "rings", "events"]) if (frame[kind]?.length) changed.add(kind);
    for (const g of frame.gone ?? []) changed.add(this.#remove(g));
    if (frame.recording || this.#recording) changed.add("recording");
    this.#recording = frame.recording ? recordingOf(frame.recording) : null;
    this.#tell(changed);
  }

  #point(p) {
    const all = inner(this.#points, p.lane);
    all.set(p.second, p);
    if (all.size > keepPoints) all.delete(all.keys().next().value);
  }

  #remove(g) {
    const lane = g.lane ?? "";
    if (g.pod !== undefined) {
      this.#pods.get(lane)?.delete(g.pod);
      return "pods";
    }
    if (g.session !== undefined) {
      this.#sessions.get(lane)?.delete(g.session);
      return "sessions";
    }
    this.#rings.delete(lane);
    return "rings";
  }

  #tell(changed) {
    for (const kind of changed) for (const fn of this.#listeners.get(kind) ?? []) fn(this);
    for (const fn of this.#listeners.get("change") ?? []) fn(this);
  }
}

function inner(maps, key = "") {
  let m = maps.get(key);
  if (!m) maps.set(key, (m = new Map()));
  return m;
}
