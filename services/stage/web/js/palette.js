// What marks a pod and what marks a loss. Colour is never the only sign: pods beyond the palette get a mark, and every class a shape.

export const hues = 8;

// round of a pod's hue: 0 in the palette, 1 for the pods that have its colours a second time, and so on.
export const round = (hue) => Math.floor((hue ?? 0) / hues);

// Classes of report.v1, by what a room should notice first: [shape, tone, what the legend calls it].
export const classes = {
  dropped_calls: ["cross", "bad", "dropped call"],
  state_lost: ["square", "bad", "state lost"],
  misroutes: ["triangle", "warn", "misroute"],
  renegotiations: ["diamond", "warn", "redial"],
  media_interruptions: ["bars", "warn", "media gap"],
  setup_failures: ["plus", "bad", "set-up failed"],
  signal_reconnects: ["wave", "info", "signal only"],
  migrations: ["chevron", "info", "migrated"],
};

// Hues gives each pod of a lane a number that it keeps: the lowest that is free when it comes.
export class Hues {
  #of = new Map();

  // keep frees the numbers of all pods but these, and gives numbers to those that have none.
  keep(names) {
    const wanted = new Set(names);
    for (const name of this.#of.keys()) if (!wanted.has(name)) this.#of.delete(name);
    const taken = new Set(this.#of.values());
    let next = 0;
    for (const name of names) {
      if (this.#of.has(name)) continue;
      while (taken.has(next)) next++;
      taken.add(next);
      this.#of.set(name, next);
    }
  }

  // of a pod, from 0; undefined where there is no such pod.
  of(name) {
    return this.#of.get(name);
  }
}

// Theme resolves the colours of tokens.css to what a canvas takes.
export class Theme {
  #probe = document.createElement("i");
  #known = new Map();

  constructor() {
    this.#probe.hidden = true;
    document.body.append(this.#probe);
  }

  colour(token) {
    let c = this.#known.get(token);
    if (!c) {
      this.#probe.style.color = `var(--${token})`;
      this.#known.set(token, (c = getComputedStyle(this.#probe).color));
    }
    return c;
  }

  // pod is the colour of a number that Hues gave.
  pod(hue) {
    return this.colour(hue === undefined ? "pod-none" : `pod-${(hue % hues) + 1}`);
  }

  // forget all, after another theme was chosen.
  forget() {
    this.#known.clear();
  }
}

// shape adds a class's shape to a path, about a point, r its half width.
export function shape(path, kind, x, y, r) {
  const line = (...points) =>
    points.forEach(([px, py], i) => (i ? path.lineTo(x + px * r, y + py * r) : path.moveTo(x + px * r, y + py * r)));
  switch (kind) {
    case "cross":
      line([-0.8, -0.8], [0.8, 0.8]);
      line([0.8, -0.8], [-0.8, 0.8]);
      return;
    case "square":
      line([-0.75, -0.75], [0.75, -0.75], [0.75, 0.75], [-0.75, 0.75], [-0.75, -0.75], [0.75, -0.75]);
      return;
    case "triangle":
      line([0, -0.9], [0.9, 0.7], [-0.9, 0.7], [0, -0.9], [0.9, 0.7]);
      return;
    case "diamond":
      line([0, -1], [1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]);
      return;
    case "bars":
      line([-0.4, -0.8], [-0.4, 0.8]);
      line([0.4, -0.8], [0.4, 0.8]);
      return;
    case "plus":
      line([-0.9, 0], [0.9, 0]);
      line([0, -0.9], [0, 0.9]);
      return;
    case "wave":
      line([-0.9, 0.3], [-0.45, -0.3], [0, 0.3], [0.45, -0.3], [0.9, 0.3]);
      return;
    case "chevron":
      line([-0.4, -0.8], [0.4, 0], [-0.4, 0.8]);
  }
}
