// Keys of the keyboard: which ones a control needs itself, and moves in a list.

/** Is the focus in a field that takes text or a choice? */
export function isTyping(target) {
  return target.matches("input:not([type=radio]), select, textarea");
}

/** Does this key mean something to the control that has the focus? */
export function isTaken({ key, target }) {
  return target.matches("[type=radio]") && (key === " " || key.startsWith("Arrow"));
}

/** Where `key` leads from row `at` of a list; undefined: it is not a key that moves. */
export function rowAfter(key, { at, last, page }) {
  const moves = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: last };
  const to = { ...moves, PageDown: at + page, PageUp: at - page }[key];
  return to === undefined ? undefined : Math.max(0, Math.min(last, to));
}
