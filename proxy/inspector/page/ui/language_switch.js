// The button that switches to the other language; it is called by the name of that.

import { language, speak } from "../web/language.js";
import { setText, testid } from "../web/dom.js";

const NAMES = { en: ["zh", "zh-CN", "中文"], zh: ["en", "en", "English"] };

/** Let the button of the page switch, and remember what was chosen. */
export function languageSwitch() {
  const button = testid("language");
  button.hidden = false; // without scripts it does nothing
  button.addEventListener("click", () => speak(NAMES[language()][0], { chosen: true }));
  document.addEventListener("languagechange", () => {
    const [, tag, name] = NAMES[language()];
    button.lang = tag;
    setText(button, name);
  });
}
