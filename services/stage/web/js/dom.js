// Elements are made here, so that whatever a fleet says of itself becomes text and never markup.

// h makes an element: h("p.note", {hidden: true}, "text", child). Keys that begin with on are listeners, those with a hyphen are
// attributes, others properties.
export function h(kind, props, ...children) {
  const [tag, ...classes] = kind.split(".");
  const e = document.createElement(tag);
  if (classes.length) e.className = classes.join(" ");
  for (const [key, value] of Object.entries(props ?? {})) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for" || key === "scope") e.setAttribute(key, value);
    else e[key] = value;
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

// put sets an element's text if it is another, so that nothing is laid out or announced anew for nothing.
export function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// show hides an element or not.
export function show(e, shown) {
  if (e.hidden === shown) e.hidden = !shown;
}

// tell puts a text into an element, which is hidden while there is none.
export function tell(e, text) {
  put(e, text);
  show(e, text !== "");
}

// attribute sets one if it is another; null takes it away.
export function attribute(e, name, value) {
  if (value === null) e.removeAttribute(name);
  else if (e.getAttribute(name) !== value) e.setAttribute(name, value);
}

export const byID = (id) => document.getElementById(id);
