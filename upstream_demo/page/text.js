// The language of the page, and how text gets into it.
//
// Every text is set by key, so that a switch of language can set it again.
// In a text, `…` marks code. Nothing is ever parsed as HTML.

import { chinese } from "./chinese.js";
import { english } from "./english.js";
import { make } from "./web/dom.js";

const LANGUAGES = {
  en: { tag: "en", phrases: english },
  zh: { tag: "zh-CN", phrases: chinese },
};
const STORE = "unbuffered.language";
const HAN = /\p{Script=Han}/u;

const values = new WeakMap();
let current = "en";

/** The phrase of `key` in the current language. */
export function phrase(key, ...given) {
  const found = LANGUAGES[current].phrases[key];
  if (found === undefined) throw new Error(`no text for ${key}`);
  return typeof found === "function" ? found(...given) : found;
}

/** Let `element` say `key`, now and after every switch of language. */
export function say(element, key, ...given) {
  element.dataset.text = key;
  values.set(element, given);
  fill(element);
}

/** Let `element` show `text` as it is: data, not a phrase. */
export function show(element, text) {
  delete element.dataset.text;
  element.textContent = text;
  markLanguage(element);
}

/** Mark Chinese text, so that it gets Chinese glyphs and speech on an English page. */
export function markLanguage(element) {
  if (HAN.test(element.textContent)) element.lang = LANGUAGES.zh.tag;
  else element.removeAttribute("lang");
}

/** Speak `language` ("en" or "zh") everywhere, and remember it if `chosen`. */
export function speak(language, { chosen = false } = {}) {
  current = language;
  if (chosen) remember(language);
  document.documentElement.lang = LANGUAGES[language].tag;
  document.querySelectorAll("[data-text]").forEach(fill);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", phrase(element.dataset.label));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === language);
  }
  document.dispatchEvent(new Event("languagechange"));
}

/** The remembered language, or the browser's. */
export function preferredLanguage() {
  const remembered = recall();
  if (remembered in LANGUAGES) return remembered;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function fill(element) {
  const text = phrase(element.dataset.text, ...(values.get(element) ?? []));
  element.removeAttribute("lang");
  element.replaceChildren(
    ...text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part)),
  );
}

// Storage throws where the browser forbids it; the page works without.
function recall() {
  try {
    return localStorage.getItem(STORE);
  } catch {
    return null;
  }
}

function remember(language) {
  try {
    localStorage.setItem(STORE, language);
  } catch {
    // Nothing to do: the choice holds until the page is left.
  }
}
