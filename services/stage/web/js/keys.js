// Single keys for what a speaker does often. They can be switched off, and do nothing while something is typed.
import { h, byID } from "./dom.js";

const stored = "smaran.keys";

export class Keys {
  #actions;
  #enabled = localStorage.getItem(stored) !== "off";
  #dialog = h("dialog", { id: "help", "aria-labelledby": "help-title" });

  // actions are [key, what it does, function]; keys are as KeyboardEvent names them.
  constructor(actions) {
    this.#actions = [...actions, ["Escape", "leave a field", () => document.activeElement?.blur()], ["?", "this list", () => this.open()]];
    const box = h("input", { type: "checkbox", id: "keys-on", checked: this.#enabled, onchange: () => this.#enable(box.checked) });
    this.#dialog.append(
      h("h2", { id: "help-title" }, "Keys"),
      h("dl.keys", null, ...this.#actions.flatMap(([key, what]) => [h("dt", null, h("kbd", null, shown(key))), h("dd", null, what)])),
      h("p", null, h("label", null, box, " Single keys are on")),
      h("form", { method: "dialog" }, h("button", { type: "submit", autofocus: true }, "Close")),
    );
    document.body.append(this.#dialog);
    document.addEventListener("keydown", (e) => this.#press(e));
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #enable(on) {
    this.#enabled = on;
    localStorage.setItem(stored, on ? "on" : "off");
  }

  #press(e) {
    // A key that is held down is no order given again.
    if (!this.#enabled || e.repeat || e.ctrlKey || e.metaKey || e.altKey || this.#dialog.open) return;
    const at = e.target;
    if (e.key !== "Escape" && at.closest("input, select, textarea, [contenteditable]")) return;
    if (e.key === " " && at.closest("button, a, summary")) return;
    const action = this.#actions.find(([key]) => key === e.key);
    if (!action) return;
    e.preventDefault();
    action[2]();
  }
}

const shown = (key) => ({ " ": "Space", Escape: "Esc", ArrowLeft: "←", ArrowRight: "→" })[key] ?? key;

// focus an element of the controls by its id.
export const focus = (id) => byID(id)?.focus();
