// What happened to a call, in words.

const ms = (n) => `${Math.round(n)} ms`;
const gap = (n) => (n === undefined ? "" : `, gap ${ms(n)}`);

const reasons = { lost: "was lost", misroute: "had the call, and another pod answered", "no media": "fell silent" };

const texts = {
  called: (e) => `called: ${e.to}, heard after ${ms(e.took)}`,
  migrated: (e) => `migrated ${e.from} -> ${e.to}${gap(e.gap)}`,
  redialled: (e) => `redialled, as ${e.from} ${reasons[e.why] ?? `failed (${e.why})`}: ${e.to}, ${ms(e.took)}${gap(e.gap)}`,
  misrouted: (e) => `misrouted: ${e.to} answered, and the call is at ${e.from}${e.stateLost ? "; the conversation was lost" : ""}`,
  lost: (e) => `the conversation was lost at turn ${e.turn}: ${e.by} began anew`,
  stayed: (e) => `did not move to ${e.to}: ${e.why}`,
  draining: (e) => `${e.from} is leaving: ${(e.left / 1000).toFixed(1)} s left`,
  reconnected: () => "signalling came back, and the call went on",
  failed: (e) => `${e.what} failed: ${e.why}`,
};

// line adds the text to what happened.
export const line = (e) => ({ ...e, text: texts[e.kind](e) });
