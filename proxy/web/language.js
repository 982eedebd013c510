// The language of a page, and how a text gets into it.
//
// A text is set by its key, so that a switch of language can set it again. A key that no
// dictionary has is its own text: English, as it stands in the source. In a text, {0} is
// the first value, and `…` marks code. Nothing is ever parsed as HTML.

import { make } from "./dom.js";
import { count } from "./quantities.js";

const TAGS = { en: "en", zh: "zh-CN" };
const STORE = "unbuffered.language";
const HAN = /\p{Script=Han}/u;
const ATTRIBUTES = ["title", "aria-label", "placeholder"];

const dictionaries = { en: {}, zh: {} };
const values = new WeakMap();
const written = new WeakMap(); // what stood in the page: {text, title, …}
const unknown = new Set();
let current = "en";

/** Take the phrases of a page: {en, zh}, each of texts or functions by key. */
export function learn(given) {
  for (const [language, phrases] of Object.entries(given)) {
    Object.assign(dictionaries[language], phrases);
  }
}

/** The phrase of `key` in the current language. */
export function phrase(key, ...given) {
  const known = own(dictionaries[current], key);
  if (known === undefined && current !== "en") unknown.add(key);
  const found = known ?? own(dictionaries.en, key) ?? key;
  return typeof found === "function" ? found(...given) : filled(found, given);
}

/** A text of the proxy, which has numbers in it: translated where the dictionary has it. */
export function translated(text) {
  const numbers = [];
  const key = text.replace(/\d+(?:\.\d+)?/g, (number) => `{${numbers.push(number) - 1}}`);
  const found = own(dictionaries[current], key);
  return found === undefined ? text : filled(found, numbers);
}

/** The phrase for a number of things: `one` and `many` have it as {0}. */
export function counted(number, one, many) {
  return phrase(number === 1 ? one : many, count(number));
}

/** Keys that were asked for, and that the dictionary of the current language lacks. */
export function missing() {
  return [...unknown];
}

export function language() {
  return current;
}

function own(phrases, key) {
  return Object.hasOwn(phrases, key) ? phrases[key] : undefined;
}

function filled(text, given) {
  return given.length ? text.replace(/\{(\d)\}/g, (_, at) => given[at]) : text;
}

// -- in the page

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
  if (HAN.test(element.textContent)) element.lang = TAGS.zh;
  else element.removeAttribute("lang");
}

/** Speak `language` ("en" or "zh") everywhere, and remember it if `chosen`. */
export function speak(language, { chosen = false } = {}) {
  current = language;
  if (chosen) remember(language);
  document.documentElement.lang = TAGS[language];
  document.querySelectorAll("[data-text]").forEach(fill);
  document.querySelectorAll("[data-said]").forEach(translate);
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
  if (Object.hasOwn(TAGS, remembered ?? "")) return remembered;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

// `data-text` has the key; without a value, the text of the page itself is the key.
function fill(element) {
  const key = element.dataset.text || original(element).text;
  const text = phrase(key, ...(values.get(element) ?? []));
  element.removeAttribute("lang");
  element.replaceChildren(
    ...text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part)),
  );
}

// `data-said`: the attributes of this element are read by people, and are their own keys.
function translate(element) {
  for (const [name, key] of Object.entries(original(element).attributes)) {
    element.setAttribute(name, phrase(key));
  }
}

function original(element) {
  let found = written.get(element);
  if (!found) {
    const names = ATTRIBUTES.filter((name) => element.hasAttribute(name));
    const attributes = Object.fromEntries(names.map((name) => [name, element.getAttribute(name)]));
    found = { text: textOf(element), attributes };
    written.set(element, found);
  }
  return found;
}

/** The text of an element, with its code marked. */
function textOf(element) {
  const parts = [...element.childNodes].map((node) => (node.nodeName === "CODE" ? `\`${node.textContent}\`` : node.textContent));
  return parts.join("").replace(/\s+/g, " ").trim();
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
