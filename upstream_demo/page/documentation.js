// The documentation: links, where the page server has it; else where it is.

import { say } from "./text.js";
import { make, testid } from "./web/dom.js";

const PAGES = ["quickstart", "vue", "streaming", "inspector"];

/** `docs`: does the page server have the documentation? */
export function setUpDocumentation({ docs }) {
  for (const page of PAGES) {
    const shown = make(docs ? "a" : "span");
    const file = make("code");
    say(shown, `docs.${page}`);
    const name = () => {
      say(file, `docs.${page}.file`);
      if (docs) shown.href = `/docs/${file.textContent.replace(/^docs\//, "")}`;
    };
    document.addEventListener("languagechange", name);
    name();
    testid("docs").append(make("li", {}, shown, file));
  }
}
