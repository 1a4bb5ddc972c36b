// Which theme is shown: the system's, dark or light. A projector often needs another than its laptop.

import { h } from "./dom.js";

const order = ["system", "dark", "light"];
const stored = "smaran.theme";

export class ThemeSwitch {
  #button;
  #now = order.includes(localStorage.getItem(stored)) ? localStorage.getItem(stored) : "system";
  #changed;

  // changed is called after every change, also of the system's own.
  constructor(button, changed) {
    this.#button = button;
    this.#changed = changed;
    button.addEventListener("click", () => this.next());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#apply());
    this.#apply();
  }

  next() {
    this.#now = order[(order.indexOf(this.#now) + 1) % order.length];
    localStorage.setItem(stored, this.#now);
    this.#apply();
  }

  #apply() {
    if (this.#now === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.#now;
    this.#button.replaceChildren(h("span.lead", null, "Theme: "), this.#now);
    this.#changed();
  }
}
