// The legend: one line of all the marks, drawn by what draws the grid.
import { h } from "./dom.js";
import { classes } from "./palette.js";
import { symbol } from "./grid.js";

const side = 16;

export class Legend {
  #theme;
  #marks = [];

  constructor(theme) {
    this.#theme = theme;
    this.element = h(
      "section.legend",
      { id: "legend", "aria-label": "Legend" },
      h(
        "ul",
        null,
        this.#item("call up", (c) => dot(c, "fill")),
        this.#item("silent", (c) => {
          c.globalAlpha = 0.28;
          dot(c, "fill");
        }),
        this.#item("no call", (c) => dot(c, "stroke")),
        this.#item("a browser", (c) => {
          dot(c, "fill", 4);
          c.strokeStyle = this.#theme.colour("ink");
          c.lineWidth = 1.6;
          c.beginPath();
          c.arc(8, 8, 6.6, 0, 7);
          c.stroke();
        }),
        ...Object.entries(classes).map(([, [kind, tone, name]]) =>
          this.#item(name, (c) => {
            c.strokeStyle = this.#theme.colour(tone);
            symbol(c, kind, 8, 8, 5.4);
          }),
        ),
      ),
    );
    this.recolour();
  }

  recolour() {
    for (const { canvas, draw } of this.#marks) {
      canvas.width = canvas.height = side * devicePixelRatio;
      const c = canvas.getContext("2d");
      c.scale(devicePixelRatio, devicePixelRatio);
      c.fillStyle = c.strokeStyle = this.#theme.pod(0);
      draw(c);
    }
  }

  #item(name, draw) {
    const canvas = h("canvas", { "aria-hidden": "true" });
    this.#marks.push({ canvas, draw });
    return h("li", null, canvas, name);
  }
}

function dot(c, how, r = 5) {
  c.beginPath();
  c.arc(8, 8, r, 0, 7);
  c.lineWidth = 1.8;
  c[how]();
}
