// The ear measures how long the agent was not heard, over all of a caller's connections.
//
// Every 10 ms it asks the receiver that is audible for its latest synchronization source: when a packet's sound was last played, and the
// packet's RTP time. What passed between two of those beyond what the RTP time says was played is silence: concealment, or nothing at all.
// From one connection to the next it is the time from the end of the last packet of the first to the first one that is heard of the other.
// Browsers play a packet in two halves, several at a time, and timers are as late as the page is busy: a gap is right to about a packet, 20 ms, and
// one of that length is seen while nothing is wrong.

const every = 10; // ms
const frame = 20; // ms of sound in a packet
const clock = 8; // RTP ticks a millisecond, of PCMU

export class Ear {
  #line = null;
  #audibleAt = 0;
  #played = null; // {at, rtp, line}
  #longest = 0;
  #timer;
  #now;

  // now is the time on the clock that browsers stamp sources with, in milliseconds.
  constructor(now = () => performance.timeOrigin + performance.now()) {
    this.#now = now;
    this.#timer = setInterval(() => this.listen(), every);
  }

  // to turns to another connection, which is audible from now on.
  to(line) {
    this.listen();
    this.#line = line;
    this.#audibleAt = this.#now();
    this.listen(); // it may be playing already
  }

  close() { clearInterval(this.#timer); }

  // longest silence in milliseconds since anew, one that lasts still included; 0 is less than can be told.
  longest() {
    const open = this.#played ? this.#now() - this.#played.at - frame - every : 0;
    return Math.max(this.#longest, open > frame ? open : 0);
  }

  // anew forgets the silences that are over.
  anew() { this.#longest = 0; }

  listen() {
    const source = this.#line?.source();
    if (!source) return;
    const last = this.#played;
    const next = { at: source.timestamp, rtp: source.rtpTimestamp, line: this.#line };
    if (last?.line === next.line) {
      if (last.rtp === next.rtp) return; // the same packet's second half
      const played = ((next.rtp - last.rtp) | 0) / clock; // it wraps around
      if (played > 0) this.#silent(next.at - last.at - played);
    } else {
      if (next.at < this.#audibleAt - 2 * frame) return; // of before it could be heard, and there is nothing newer
      if (last) this.#silent(Math.max(next.at, this.#audibleAt) - last.at - frame);
    }
    this.#played = next;
  }

  #silent(ms) { this.#longest = Math.max(this.#longest, ms); }
}
