// The caller keeps a call up, as the load generator's client does: it moves by a second connection where it is told to, and redials when media
// or the pod is lost, or an answer shows that the call is elsewhere.

import { Failure, ownerMoved } from "./edge.js";
import { Ear } from "./ear.js";
import { Ledger, judge } from "./ledger.js";
import { Line } from "./line.js";
import { Stats } from "./stats.js";
import { event, header, millis, reason } from "./wire.js";

const setupWithin = 5000;
const requestWithin = 10000;
const hangUpWithin = 2000;
// swapAfter the first packet of the second connection that is heard: by then its jitter buffer plays.
const swapAfter = 40;
// lateAgent is how long an agent that has fallen silent may take to be heard on the second connection.
const lateAgent = 200;
// gapSettles is how long after a change of connections the ear has heard what there was to hear.
const gapSettles = 400;
// gatherWithin bounds how long an offer waits for a candidate where an earlier connection needed them.
const gatherWithin = 100;
// A stream without a word for so many heartbeats is dead, and opened anew.
const heartbeats = 3;

const pause = (ms, signal) => new Promise((resolve, reject) => {
  const stop = () => {
    clearTimeout(timer);
    reject(signal.reason);
  };
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", stop);
    resolve();
  }, ms);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
});

// backoff before attempt n, from 1: 50 ms to 1 s, jittered by half either way.
const backoff = (n) => Math.min(50 * 2 ** (n - 1), 1000) * (0.5 + Math.random());

// Placed is one call from its first packet to its end.
class Placed {
  need = null; // {why, pod, lostPod}: the reason to redial; the first counts
  to = null; // {pod, token}: where to move; the latest counts
  follow = new AbortController();
  #wake = Promise.withResolvers();

  constructor(line) {
    this.line = line;
    this.pod = line.offered.pod;
    line.lost.then((why) => this.ask({ why, pod: this.pod, lostPod: this.pod }));
  }

  ask(need) {
    this.need ??= need;
    this.#wake.resolve();
  }

  move(to) {
    this.to = to;
    this.#wake.resolve();
  }

  // woken resolves when there is a need, or somewhere to move.
  async woken(signal) {
    const hung = Promise.withResolvers();
    const stop = () => hung.reject(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      signal.throwIfAborted();
      await Promise.race([this.#wake.promise, hung.promise]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
    this.#wake = Promise.withResolvers();
  }
}

// Caller of one session. What becomes of it is told by tell(kind, detail): state, pod, answer, transcript, stream (of the agent's sound), and
// history for what is worth a line.
export class Caller {
  #edge;
  #sound;
  #relay;
  #place;
  #tell;
  #servers = [];
  #call = null;
  // Nothing waits for candidates: the agent learns where we are from our checks. Only where it did not, as from Firefox on the agent's own machine,
  // the next offers bring them, since a pod that was just chosen can't be reached by the next request yet.
  #gather = 0;
  #ledger = new Ledger();
  // turn that the agent was last heard to be at, in words or in sound.
  #turn = 0;
  #stop = new AbortController();
  #unsettled = null;
  #settling;
  ear = new Ear();
  stats = new Stats();

  // place is an element for the <audio> elements.
  constructor({ edge, sound, relay, place, tell }) {
    this.#edge = edge;
    this.#sound = sound;
    this.#relay = relay;
    this.#place = place;
    this.#tell = tell;
  }

  get line() { return this.#call?.line ?? null; }

  // run places the call and keeps it up until hangUp.
  async run() {
    const { signal } = this.#stop;
    try {
      let why = null;
      for (;;) {
        const call = await this.#placeCall(why, signal);
        why = await this.#talk(call, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await this.#end();
    }
  }

  // hangUp ends the call. It may be called again.
  hangUp() { this.#stop.abort(new DOMException("hung up", "AbortError")); }

  async #end() {
    const call = this.#call;
    this.#call = null;
    this.#settle();
    this.ear.close();
    if (call) {
      call.follow.abort();
      await this.#edge.hangUp(call.line.offered, AbortSignal.timeout(hangUpWithin)).catch(() => {}); // its pod may be gone
      call.line.close();
    }
    this.#state("ended");
  }

  // talk keeps a call up, moving it where it is told to, until there is a reason to redial, which it returns.
  async #talk(call, signal) {
    for (;;) {
      while (!call.need && !call.to) await call.woken(signal);
      if (call.need) break;
      const { to } = call;
      call.to = null;
      call = (await this.#migrate(call, to, signal)) ?? call;
    }
    const { need } = call;
    this.#call = null;
    await this.#release(call);
    return need;
  }

  // placeCall dials until a call is up. why is null for the first call.
  async #placeCall(why, signal) {
    this.#state(why ? "redialling" : "dialling");
    this.#settle();
    this.ear.anew(); // what is silent now still counts
    const began = performance.now();
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#relay && (!why || attempt > 1)) this.#servers = await this.#edge.servers(signal); // they expire
        const line = await this.#dial(why?.lostPod ? { [header.lostPod]: why.lostPod } : {}, signal);
        const took = performance.now() - began;
        const call = this.#up(line, signal);
        line.hear(true);
        this.ear.to(line);
        this.#settled(why ? { kind: "redialled", from: why.pod, to: call.pod, why: why.why, took } : { kind: "called", to: call.pod, took });
        return call;
      } catch (error) {
        signal.throwIfAborted();
        this.#history({ kind: "failed", what: "set-up", why: describe(error) });
        await pause(backoff(attempt), signal);
      }
    }
  }

  async #dial(extra, signal) {
    const headers = this.#ledger.epoch > 0 ? { ...extra, [header.epoch]: String(this.#ledger.epoch) } : extra;
    const within = AbortSignal.any([signal, AbortSignal.timeout(setupWithin)]);
    const line = await Line.dial({
      sound: this.#sound, servers: this.#servers, relay: this.#relay, gather: this.#gather, place: this.#place, signal: within,
      offer: (sdp) => this.#edge.offer(sdp, headers, within),
      // It is no misroute where another pod is asked, the one that the second call leaves too: most often our checks have told the agent our
      // address by then.
      trickle: (offered, text) => this.#edge.trickle(offered, text, within).catch(() => {}),
      transcript: (t) => {
        this.#stands(Number(t.turn ?? 0));
        this.#tell("transcript", t);
      },
    });
    if (line.trickled && !this.#relay) this.#gather = gatherWithin;
    return line;
  }

  #up(line, signal) {
    const call = new Placed(line);
    this.#call = call;
    this.#state("on the call");
    this.#tell("pod", { pod: call.pod, backend: line.offered.backend });
    this.#tell("stream", line.stream);
    this.#follow(call, signal);
    return call;
  }

  // migrate dials the pod that a call is to move to, and hangs up the old one once the agent is heard there. It returns null where that fails:
  // then the old call goes on.
  async #migrate(call, to, signal) {
    this.#state("moving");
    this.#settle();
    this.ear.anew();
    const began = performance.now();
    const dialling = new AbortController();
    const settled = new AbortController();
    const whenLost = async () => {
      while (!call.need) await call.woken(settled.signal);
      await pause(lateAgent, settled.signal);
      dialling.abort(new Failure("lost", "the first call was lost meanwhile"));
    };
    whenLost().catch(() => {}); // it settled
    try {
      if (this.#relay) this.#servers = await this.#edge.servers(signal);
      const line = await this.#dial({ [header.migrate]: to.token }, AbortSignal.any([signal, dialling.signal]));
      const took = performance.now() - began;
      await pause(swapAfter, signal).catch((error) => {
        line.close();
        throw error;
      });
      line.hear(true);
      call.line.hear(false);
      this.ear.to(line);
      call.follow.abort(); // a caller has one stream
      const moved = this.#up(line, signal);
      this.#settled({ kind: "migrated", from: call.pod, to: moved.pod, took });
      await this.#release(call);
      return moved;
    } catch (error) {
      signal.throwIfAborted();
      this.#state("on the call");
      this.#history({ kind: "stayed", to: to.pod, why: describe(error) });
      return null;
    } finally {
      settled.abort();
    }
  }

  // release ends a call without a word to the pod, which may be gone or have the session's next call.
  async #release(call) {
    call.follow.abort();
    await this.stats.end(call.line).catch(() => {});
    call.line.close();
  }

  // follow keeps the event stream of a call open until the call ends.
  async #follow(call, signal) {
    const until = AbortSignal.any([signal, call.follow.signal]);
    for (let attempt = 1, opened = 0; !until.aborted; attempt++) {
      try {
        if (await this.#read(call, until, () => {
          if (opened++ > 0) this.#history({ kind: "reconnected" });
          attempt = 1;
        })) return;
      } catch (error) {
        if (until.aborted) return;
        if (ownerMoved(error)) {
          this.#misrouted(call, "another pod");
          return;
        }
      }
      await pause(backoff(attempt), until).catch(() => {});
    }
  }

  // read takes events until the stream ends, and says whether that is all: the call is over, or its pod is lost.
  async #read(call, until, opened) {
    const silent = new AbortController();
    let timer, over = false;
    try {
      await this.#edge.events((name, data) => {
        const e = JSON.parse(data);
        switch (name) {
          case event.pod:
            opened();
            this.#served(e.pod?.served);
            break;
          case event.heartbeat:
            clearTimeout(timer);
            timer = setTimeout(() => silent.abort(), heartbeats * millis(e.heartbeat?.interval));
            break;
          case event.draining:
            this.#history({ kind: "draining", from: call.pod, left: millis(e.draining?.remaining) });
            break;
          case event.migrate:
            call.move({ pod: e.migrate?.pod ?? "", token: e.migrate?.token ?? "" });
            break;
          case event.podLost:
            call.ask({ why: "lost", pod: call.pod, lostPod: e.podLost?.pod || call.pod });
            over = true;
            break;
          case event.ended:
            // The media will stop, and the line sees it. Only a second call that did not get its session leaves the first one behind, which has
            // a stream too.
            over = e.ended?.reason !== reason.notGranted;
        }
        return over;
      }, AbortSignal.any([until, silent.signal]));
    } catch (error) {
      if (!silent.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
    return over;
  }

  // ask puts a question in words, and tells of the answer.
  async ask(prompt) {
    const call = this.#call;
    const { seq, at } = this.#ledger.next();
    const began = performance.now();
    const question = { prompt, lastTurn: at.turn, lastChecksum: at.checksum, lastEpoch: this.#ledger.epoch };
    try {
      const answer = await this.#edge.infer(question, AbortSignal.any([this.#stop.signal, AbortSignal.timeout(requestWithin)]));
      const took = performance.now() - began;
      const served = answer.served ?? {};
      const verdict = judge(at, call !== null && call === this.#call, served);
      this.#ledger.adopt(seq, served);
      this.#tell("answer", { ...answer, ...verdict, took });
      if (verdict.misroute) this.#misrouted(call, served.pod, verdict.stateLost);
      else {
        if (verdict.stateLost) {
          this.#history({ kind: "lost", by: served.pod, turn: at.turn });
          this.#turn = 0; // told once
        }
        this.#stands(Number(served.turn ?? 0));
        this.#served(served);
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#tell("answer", { error: describe(error) });
      if (call && call === this.#call && ownerMoved(error)) this.#misrouted(call, "another pod");
    }
  }

  // stands takes the turn of an answer. One that is the first again, after others, comes from a pod that has nothing of the conversation.
  #stands(turn) {
    if (turn === 1 && this.#turn > 1) this.#history({ kind: "lost", by: this.#call?.pod ?? "", turn: this.#turn });
    this.#turn = turn;
  }

  #misrouted(call, by, stateLost = false) {
    this.#history({ kind: "misrouted", from: call.pod, to: by, stateLost });
    call.ask({ why: "misroute", pod: call.pod });
  }

  // served tells what a pod says of the session.
  #served(served) {
    if (served) this.#tell("pod", { pod: served.pod, turn: Number(served.turn ?? 0), epoch: Number(served.epoch ?? 0) });
  }

  #state(state) { this.#tell("state", state); }

  #history(entry) { this.#tell("history", { at: new Date(), ...entry }); }

  // settled tells of a change of connections once its gap is known.
  #settled(entry) {
    this.#unsettled = { at: new Date(), ...entry };
    this.#settling = setTimeout(() => this.#settle(), gapSettles);
  }

  // settle tells of it now, before the next one.
  #settle() {
    clearTimeout(this.#settling);
    const entry = this.#unsettled;
    this.#unsettled = null;
    if (!entry) return;
    if (entry.kind !== "called") entry.gap = this.ear.longest();
    else this.ear.anew();
    this.#tell("history", entry);
  }
}

const describe = (error) => (error instanceof Failure ? `${error.code}: ${error.message}` : error.message || error.name);
