// Create and find elements. Text stays text: nothing is ever parsed as HTML.

/** An element with a class, properties and children. */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button; `test` is its `data-testid`. */
export function button(text, pressed, test, given = {}) {
  const element = make("button", { type: "button", "data-testid": test, ...given }, text);
  element.addEventListener("click", pressed);
  return element;
}

/** Set text only where it changes: writing costs layout. */
export function setText(element, text) {
  if (element.shown === text) return;
  element.shown = text;
  element.textContent = text;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

export function testid(name, within = document) {
  return within.querySelector(`[data-testid=${name}]`);
}
