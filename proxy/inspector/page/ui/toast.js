// A message that is shown for a few seconds.

import { testid } from "../web/dom.js";

const SHOWN = 6000; // milliseconds

let timer = 0;

/** Show `text` for a few seconds; screen readers read it out. */
export function toast(text) {
  const element = testid("toast");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => {
    element.hidden = true;
  }, SHOWN);
}
