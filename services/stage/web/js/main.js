// The page: what is where, and what is told of whose changes.
import { mountCall } from "./call/panel.js";
import { Scales } from "./charts.js";
import { Controls } from "./controls.js";
import { attribute, byID, put, show } from "./dom.js";
import { Events, Speaker } from "./events.js";
import { Frames } from "./frames.js";
import { Keys, focus } from "./keys.js";
import { Lane } from "./lane.js";
import { Legend } from "./legend.js";
import { Theme } from "./palette.js";
import { Replay } from "./replay.js";
import { Store } from "./store.js";
import { follow } from "./stream.js";
import { ThemeSwitch } from "./theme.js";

const tokenKey = "smaran.token";

export const store = new Store();
export const frames = new Frames();
export const lanes = new Map();

const motion = matchMedia("(prefers-reduced-motion: reduce)");
const theme = new Theme();
const scales = new Scales(store);
const controls = new Controls(store);
const speaker = new Speaker(byID("announce"));
const events = new Events({ store, speak: (text) => speaker.say(text) });
const replay = new Replay({ store, fail: (text) => controls.problem(text) });
const legend = new Legend(theme);

byID("bars").append(replay.element, controls.element, controls.error, legend.element);
byID("events").append(events.element);
byID("legend-toggle").addEventListener("click", toggleLegend);
byID("call-toggle").addEventListener("click", toggleCall);
byID("call").addEventListener("phone", (e) => put(byID("call-toggle"), e.detail ? "On a call" : "Call the agent"));
controls.onunauthorized = () => {
  show(byID("token-box"), true);
  byID("token").focus();
};
byID("token-box").addEventListener("submit", (e) => {
  e.preventDefault();
  keepToken(byID("token").value.trim());
  show(byID("token-box"), false);
});

// Changes of one frame are shown together.
const kinds = new Set();
let asked = false;
for (const kind of ["lanes", "pods", "sessions", "points", "rings", "events", "recording", "link"]) {
  store.on(kind, () => {
    kinds.add(kind);
    if (asked) return;
    asked = true;
    queueMicrotask(refresh);
  });
}

function refresh() {
  asked = false;
  const changed = new Set(kinds);
  kinds.clear();
  if (changed.has("link") || changed.has("recording")) showLink();
  if (changed.has("lanes")) showLanes();
  if (changed.has("points") || changed.has("events") || changed.has("lanes")) scales.update();
  for (const lane of lanes.values()) lane.update(changed);
  if (["lanes", "pods", "events", "recording"].some((k) => changed.has(k))) controls.update();
  if (changed.has("events") || changed.has("lanes")) events.update(changed);
  if (changed.has("recording")) replay.update();
}

function showLink() {
  const recording = Boolean(store.recording());
  show(byID("call-toggle"), !recording); // nobody answers there
  if (recording) showCall(false);
  const state = recording && store.link() === "live" ? "recording" : store.link();
  // What is shown when nothing comes any more is of then.
  const stale = state === "reconnecting";
  if (!stale) put(byID("link"), state);
  else if (byID("link").dataset.state !== state) put(byID("link"), `reconnecting; this is of ${new Date().toLocaleTimeString()}`);
  attribute(byID("lanes"), "data-stale", stale ? "" : null);
  attribute(byID("link"), "data-state", state);
}

function showLanes() {
  const now = store.lanes();
  const home = byID("lanes");
  for (const { id } of now) {
    if (lanes.has(id)) continue;
    const lane = new Lane({
      store,
      id,
      theme,
      frames,
      scales,
      still: () => motion.matches,
      pick: (pod) => controls.pick(pod),
      own: () => call.shown,
      backend: (l, b) => controls.backend(l, b),
    });
    lanes.set(id, lane);
    home.append(lane.element);
  }
  for (const [id, lane] of lanes) {
    if (now.some((l) => l.id === id)) continue;
    lane.element.remove();
    lanes.delete(id);
  }
  home.style.setProperty("--lanes", String(now.length || 1));
  show(byID("waiting"), now.length === 0);
}

function recolour() {
  theme.forget();
  legend.recolour();
  for (const lane of lanes.values()) lane.recolour();
}

function toggleLegend() {
  const shown = legend.element.hidden;
  show(legend.element, shown);
  attribute(byID("legend-toggle"), "aria-pressed", String(shown));
}

// The call's panel is there from the first where it takes no room from two lanes; a call in it goes on while it is hidden.
const roomy = matchMedia("(min-width: 1500px), (max-width: 899px)");
let chosen = false;

function showCall(shown) {
  show(byID("call"), shown);
  attribute(byID("call-toggle"), "aria-expanded", String(shown));
}

function toggleCall() {
  if (store.recording()) return;
  chosen = true;
  showCall(byID("call").hidden);
  byID("call").querySelector("button, input, select")?.focus();
}

function keepToken(token) {
  store.setToken(token);
  sessionStorage.setItem(tokenKey, token);
}

// The token comes in the fragment, which no server sees, and leaves the address bar, which a room does.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) history.replaceState(null, "", location.pathname + location.search);
  keepToken(given ?? sessionStorage.getItem(tokenKey) ?? "");
}

function showFrameTimes() {
  const out = byID("fps");
  show(out, true);
  const line = (name, q) => (q ? `${name} ${q.median.toFixed(1)} ms, p95 ${q.p95.toFixed(1)} ms` : `${name} –`);
  setInterval(() => {
    const { gap, draw } = frames.times();
    put(out, `${gap ? `${Math.round(1000 / gap.median)} frames a second` : "still"}; ${line("frame", gap)}; ${line("drawing", draw)}`);
  }, 500);
}

const themes = new ThemeSwitch(byID("theme"), recolour);
const keys = new Keys([
  ["3", "scale to 3 pods", () => controls.scale(3)],
  ["5", "scale to 5 pods", () => controls.scale(5)],
  ["0", "scale to 10 pods", () => controls.scale(10)],
  ["+", "one pod more in the field", () => controls.step(1)],
  ["-", "one pod less in the field", () => controls.step(-1)],
  ["s", "go to the number of pods", () => focus("scale")],
  ["p", "go to the choice of a pod", () => focus("pod")],
  ["k", "kill the chosen pod, or any", () => controls.hit("kill")],
  ["d", "drain the chosen pod", () => controls.hitChosen("drain")],
  ["f", "freeze the chosen pod", () => controls.hitChosen("freeze")],
  ["t", "thaw the chosen pod, or all", () => controls.hit("thaw")],
  ["r", "roll out", () => controls.send("rollout", {})],
  ["e", "Redis down or up", () => controls.redis()],
  ["h", "drop the header, or send it", () => controls.header()],
  ["l", "go to the load", () => focus("calls")],
  ["x", "reset; press twice", () => controls.reset()],
  ["a", "orders go to lane a or not", () => controls.toggle("a")],
  ["b", "orders go to lane b or not", () => controls.toggle("b")],
  ["c", "show the call, or hide it", toggleCall],
  ["g", "show the legend, or hide it", toggleLegend],
  ["m", "next theme", () => themes.next()],
  [" ", "recording: pause or play", () => replay.toggle()],
  ["ArrowLeft", "recording: 5 seconds back", () => replay.skip(-5000)],
  ["ArrowRight", "recording: 5 seconds on", () => replay.skip(5000)],
]);
byID("help-open").addEventListener("click", () => keys.open());

const narrow = matchMedia("(max-width: 560px)");
if (narrow.matches) toggleLegend();
roomy.addEventListener("change", () => chosen || store.recording() || showCall(roomy.matches));
showCall(roomy.matches);
if (new URLSearchParams(location.search).has("fps")) showFrameTimes();
takeToken();
const call = mountCall(byID("call-panel"), { store });
setInterval(() => {
  // what is under way takes longer each second
  for (const lane of lanes.values()) lane.tick();
}, 1000);
follow(store);
dispatchEvent(new Event("smaran-ready"));
