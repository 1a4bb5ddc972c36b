// A line is one peer connection to an agent: the caller's sound up, the agent's down into an <audio> of its own, and the transcript.

import { fragment } from "./fragment.js";
import { channel } from "./wire.js";

// Media is lost when no packet has come for as long as this: a pod that dies is told of at once by the event stream, so this is for one that
// is frozen, and longer than a busy machine lets a living one wait. getStats is looked at so often, and is up to 50 ms old in Chromium.
const lostAfter = 1000;
const lookEvery = 50;
// Candidates of one kind come within so long, in milliseconds.
const bunch = 5;

// Lost says why a line is no use any more.
export class Lost extends Error {}

export class Line {
  #pc;
  #receiver;
  #timer;
  #closed = false;
  #first = Promise.withResolvers();
  #lost = Promise.withResolvers();
  #transcript;
  #packets = { count: 0, at: 0, looked: 0 };
  #candidates = [];
  // trickled: candidates were sent before there was a connection.
  trickled = false;
  #offered = null;
  #trickling = Promise.resolve();

  // dial places a call and resolves once the agent's first packet has come. The line is silent until it is told to be heard. It throws what
  // offer does, Lost, or the signal's reason; then nothing of it is left. gather is how long the offer waits for a candidate, in milliseconds.
  static async dial({ sound, servers, relay, gather, offer, trickle, transcript, place, signal }) {
    const line = new Line(sound, servers, relay, transcript, place);
    const abort = () => line.#first.reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      await line.#connect(gather, offer, trickle, signal);
      return line;
    } catch (error) {
      line.close();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  constructor(sound, servers, relay, transcript, place) {
    this.#first.promise.catch(() => {});
    this.#transcript = transcript;
    this.#pc = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: relay ? "relay" : "all", bundlePolicy: "max-bundle" });
    this.audio = document.createElement("audio");
    this.audio.muted = true;
    this.audio.autoplay = true;
    place.append(this.audio);
    this.stream = new MediaStream();
    this.#pc.ontrack = ({ track }) => this.#onTrack(track);
    this.#pc.onconnectionstatechange = () => {
      if (["failed", "closed"].includes(this.#pc.connectionState)) this.#lose("the connection failed");
    };
    const transceiver = this.#pc.addTransceiver(sound.track, { direction: "sendrecv" });
    this.#receiver = transceiver.receiver;
    const codecs = RTCRtpReceiver.getCapabilities?.("audio")?.codecs.filter((c) => c.mimeType.toLowerCase() === "audio/pcmu");
    if (codecs?.length) transceiver.setCodecPreferences?.(codecs);
    const data = this.#pc.createDataChannel(channel.label);
    data.onmessage = (e) => this.#onMessage(e.data);
  }

  async #connect(gather, offer, trickle, signal) {
    this.#pc.onicecandidate = ({ candidate }) => candidate && this.#onCandidate(candidate, trickle, signal);
    await this.#pc.setLocalDescription(await this.#pc.createOffer());
    if (gather > 0) await this.#gathered(gather);
    const { sdp } = this.#pc.localDescription;
    this.#candidates = [];
    this.#offered = { ...(await offer(sdp)), offer: sdp };
    signal.throwIfAborted();
    await this.#pc.setRemoteDescription({ type: "answer", sdp: this.#offered.sdp });
    this.#flush(trickle, signal);
    this.#timer = setInterval(() => this.#look(), lookEvery);
    await this.#first.promise;
  }

  // gathered waits for the first candidate, and those that come with it: the machine's own addresses are there at once.
  #gathered(within) {
    return new Promise((done) => {
      setTimeout(done, within);
      this.#pc.addEventListener("icecandidate", () => setTimeout(done, bunch), { once: true });
    });
  }

  get offered() { return this.#offered; }

  // lost resolves with why the line is no use any more; never once it was closed.
  get lost() { return this.#lost.promise; }

  // source is the latest synchronization source of what is played: {timestamp, rtpTimestamp}.
  source() {
    return this.#receiver.getSynchronizationSources?.().reduce((a, b) => (a && a.timestamp > b.timestamp ? a : b), undefined);
  }

  stats() { return this.#closed ? Promise.resolve(undefined) : this.#pc.getStats(); }

  hear(heard) { this.audio.muted = !heard; }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#pc.close();
    this.audio.srcObject = null;
    this.audio.remove();
  }

  #onTrack(track) {
    this.stream.addTrack(track);
    this.audio.srcObject = this.stream;
    this.audio.play().catch(() => {}); // without a gesture; the button that called was one
    // The first packet in Chromium, at once. Firefox says so of a description already; there getStats shows the first packet.
    // Chromium says "connected" of the whole connection only after it.
    track.onunmute = () => ["connected", "completed"].includes(this.#pc.iceConnectionState) && this.#arrived();
  }

  #arrived() {
    if (this.#packets.at === 0) this.#packets.at = performance.now();
    this.#first.resolve();
  }

  // Candidates go to the agent while they can be of use: once it has our address it knows all that it needs.
  #onCandidate(candidate, trickle, signal) {
    this.#candidates.push(candidate);
    this.#flush(trickle, signal);
  }

  #flush(trickle, signal) {
    if (!this.#offered || !this.#candidates.length) return;
    this.#trickling = this.#trickling.then(async () => {
      if (this.#closed || this.#pc.connectionState === "connected" || signal.aborted) return;
      const candidates = this.#candidates.splice(0);
      if (!candidates.length) return;
      this.trickled = true;
      await trickle(this.#offered, fragment(this.#offered.offer, candidates));
    });
  }

  #onMessage(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.type === channel.type) this.#transcript(message);
  }

  // look sees whether packets still come. Time in which the page itself stood still does not count.
  async #look() {
    const late = performance.now() - this.#packets.looked > 2 * lookEvery;
    this.#packets.looked = performance.now();
    const stats = await this.#pc.getStats(this.#receiver.track).catch(() => undefined);
    if (this.#closed) return;
    const inbound = [...(stats?.values() ?? [])].find((s) => s.type === "inbound-rtp");
    const now = performance.now();
    const p = this.#packets;
    if (inbound?.packetsReceived > p.count) {
      p.count = inbound.packetsReceived;
      this.#arrived();
      p.at = now;
    } else if (p.at === 0) {
      return; // there is nothing yet that could be lost
    } else if (late) {
      p.at = Math.max(p.at, now - lostAfter / 2);
    } else if (now - p.at > lostAfter) {
      this.#lose("no media");
    }
  }

  #lose(why) {
    if (this.#closed) return;
    this.#first.reject(new Lost(why));
    this.#lost.resolve(why);
  }
}
