// The caller's sound: the microphone, or a test tone where there is none, and how loud either way is.

// What the tone plays, in a loop: an utterance with a pause on both sides, long enough for the agent to answer. The notes are those of package
// audio's caller, well above what its detector takes for speech, and the pause longer than one between words.
const tone = {
  level: 0.4,
  notes: [220, 261.63, 196].map((hertz) => ({ hertz, seconds: 0.12 })),
  lead: 0.6, talk: 1.08, pause: 4.32, // seconds
  fade: 0.005,
};

// Sound is one track for all of a caller's connections.
class Sound {
  #context;
  #stop;

  constructor(context, track, name, reason, stop) {
    this.#context = context;
    this.#stop = stop;
    this.track = track;
    // name is microphone or test tone; reason is why it is not what was asked for.
    this.name = name;
    this.reason = reason;
    this.mine = meter(context, new MediaStream([track]));
  }

  // heard is a meter of somebody else's sound, which has to be played somewhere besides.
  heard(stream) { return meter(this.#context, stream); }

  mute(muted) { this.track.enabled = !muted; }

  close() {
    this.#stop();
    this.track.stop();
    this.#context.close();
  }
}

// openSound opens the microphone, or the tone where that is asked for or there is no other way. It is to be called from a user's gesture.
export async function openSound(wantTone) {
  const context = new AudioContext();
  context.resume().catch(() => {}); // where there is nothing to play on, Firefox never says: the call goes on without it
  let reason = "";
  if (!wantTone) {
    try {
      const track = (await microphone()).getAudioTracks()[0];
      return new Sound(context, track, "microphone", "", () => {});
    } catch (error) {
      reason = why(error);
    }
  }
  const source = new AudioBufferSourceNode(context, { buffer: render(context.sampleRate), loop: true });
  const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  source.connect(out);
  source.start();
  return new Sound(context, out.stream.getAudioTracks()[0], "test tone", reason, () => source.stop());
}

function microphone() {
  if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
  return navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
}

const reasons = {
  NotAllowedError: "the microphone was refused",
  NotFoundError: "there is no microphone",
  NotReadableError: "the microphone is in use",
  SecurityError: "a browser gives the microphone to https and to this machine's own pages only",
};
const why = (error) => reasons[error.name] ?? `the microphone failed: ${error.name}`;

function render(rate) {
  const { level, notes, lead, talk, pause, fade } = tone;
  const buffer = new AudioBuffer({ length: Math.round((lead + talk + pause) * rate), sampleRate: rate });
  const samples = buffer.getChannelData(0);
  for (let at = lead, i = 0; at < lead + talk - fade; i++) {
    const { hertz, seconds } = notes[i % notes.length];
    const from = Math.round(at * rate), length = Math.round(seconds * rate);
    for (let n = 0; n < length; n++) {
      const gain = level * Math.min(1, n / (fade * rate), (length - 1 - n) / (fade * rate));
      samples[from + n] = gain * Math.sin((2 * Math.PI * hertz * n) / rate);
    }
    at += seconds;
  }
  return buffer;
}

// meter has a level, how loud a stream is now, from 0 (-60 dBFS and below) to 1. It is to be closed with the stream.
function meter(context, stream) {
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  const source = context.createMediaStreamSource(stream);
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    level() {
      analyser.getFloatTimeDomainData(samples);
      const square = samples.reduce((sum, s) => sum + s * s, 0) / samples.length;
      return Math.max(0, Math.min(1, 1 + (10 * Math.log10(square + 1e-12)) / 60));
    },
    close: () => source.disconnect(),
  };
}
