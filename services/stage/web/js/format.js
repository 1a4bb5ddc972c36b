// Figures as text. What was not measured is a dash, and never 0.

export const absent = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (n) => (n === undefined || n === null ? absent : whole.format(n));

export const millis = (n) => (n === undefined || n === null ? absent : whole.format(n));

export const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;

// seconds of a duration in milliseconds.
export function seconds(ms) {
  if (ms === undefined || ms === null) return absent;
  return ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

// clock is m:ss of milliseconds since the stage was opened.
export function clock(ms) {
  if (ms === undefined || ms === null) return absent;
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

// byName puts jarvis-2 before jarvis-10.
export const byName = new Intl.Collator("en", { numeric: true }).compare;

// brief is what tells a pod from its siblings: the last part of its name.
export function brief(name) {
  const last = name.slice(name.lastIndexOf("-") + 1);
  return last === "" ? name : last;
}

// phase of a pod, or state of a lane, as a word: POD_PHASE_READY is ready.
export const word = (name) => name.slice(name.lastIndexOf("_") + 1).toLowerCase();
