// One animation frame for all that is drawn, and only while something changes. It also measures itself.

const keep = 600; // frames

export class Frames {
  #draws = new Set();
  #asked = false;
  #last = 0;
  // Milliseconds from one frame to the next while something moves, and those that drawing took of it.
  #gaps = [];
  #costs = [];

  // add a function that draws at a time and says whether it has more to draw in the next frame.
  add(draw) {
    this.#draws.add(draw);
    this.wake();
    return () => this.#draws.delete(draw);
  }

  // wake asks for a frame.
  wake() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  // times returns quantiles of the last frames that followed one another; null where there were none.
  times() {
    const of = (all) => {
      if (!all.length) return null;
      const sorted = [...all].sort((a, b) => a - b);
      const q = (p) => sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)];
      return { median: q(0.5), p95: q(0.95), max: sorted.at(-1), frames: sorted.length };
    };
    return { gap: of(this.#gaps), draw: of(this.#costs) };
  }

  // rest is kept once nothing has moved for a while.
  async rest() {
    for (let still = 0; still < 5; still = this.#asked ? 0 : still + 1) await new Promise((done) => setTimeout(done, 60));
  }

  // forget all times so far.
  forget() {
    this.#gaps = [];
    this.#costs = [];
    this.#last = 0;
  }

  #frame(now) {
    this.#asked = false;
    const began = performance.now();
    let more = false;
    for (const draw of this.#draws) more = draw(now) || more;
    push(this.#costs, performance.now() - began);
    if (this.#last) push(this.#gaps, now - this.#last);
    this.#last = more ? now : 0;
    if (more) this.wake();
  }
}

function push(all, x) {
  all.push(x);
  if (all.length > keep) all.shift();
}
