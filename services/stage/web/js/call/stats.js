// Figures of a call's media, by getStats, over all of its connections.

const none = { lost: 0, received: 0, sent: 0, concealed: 0, jitter: undefined };

// Stats adds up the figures of connections, of which the earlier ones have ended.
export class Stats {
  #ended = { ...none };

  // of adds a connection's figures to those that have ended. Times are milliseconds.
  async of(line) {
    const now = read(await line.stats());
    return { ...add(this.#ended, now), jitter: now.jitter };
  }

  // end keeps those of a connection that is about to be closed.
  async end(line) { this.#ended = add(this.#ended, read(await line.stats())); }
}

function add(a, b) {
  const { lost, received, sent, concealed } = Object.fromEntries(Object.keys(none).map((k) => [k, (a[k] ?? 0) + (b[k] ?? 0)]));
  return { lost, received, sent, concealed };
}

function read(report) {
  const out = { ...none };
  for (const s of report?.values() ?? []) {
    if (s.type === "outbound-rtp" && s.kind === "audio") out.sent += s.packetsSent;
    if (s.type !== "inbound-rtp" || s.kind !== "audio") continue;
    out.lost += s.packetsLost;
    out.received += s.packetsReceived;
    out.jitter = 1000 * s.jitter;
    // Concealed silence is no loss to anybody.
    const samples = (s.concealedSamples ?? 0) - (s.silentConcealedSamples ?? 0);
    if (s.totalSamplesReceived > 0 && s.totalSamplesDuration > 0) out.concealed += (1000 * samples * s.totalSamplesDuration) / s.totalSamplesReceived;
  }
  return out;
}
