// Tabs after the WAI-ARIA pattern: arrow keys move between them.

import { make, setText } from "../web/dom.js";
import { phrase } from "../web/language.js";

export class Tabs {
  #chosen = null;

  /** `tabs` are {name, label, panel}; `shown` is called with the name of one. */
  constructor(tabs, shown) {
    this.shown = shown;
    this.tabs = tabs.map(({ name, label, panel }) => {
      const control = make(
        "button",
        { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, "data-testid": `tab-${name}` },
        label,
      );
      control.addEventListener("click", () => this.choose(name));
      panel.id = `panel-${name}`;
      panel.role = "tabpanel";
      panel.setAttribute("aria-labelledby", control.id);
      panel.classList.add("panel");
      return { name, control, panel };
    });
    this.bar = make("div", { class: "tabs", role: "tablist", "aria-label": phrase("Views of this stream") });
    this.bar.append(...this.tabs.map(({ control }) => control));
    this.bar.addEventListener("keydown", (event) => this.#pressed(event));
    this.panels = make("div", { class: "panels" }, ...this.tabs.map(({ panel }) => panel));
  }

  get chosen() {
    return this.#chosen;
  }

  choose(name) {
    this.#chosen = name;
    for (const tab of this.tabs) {
      const on = tab.name === name;
      tab.panel.hidden = !on;
      tab.control.setAttribute("aria-selected", String(on));
      tab.control.tabIndex = on ? 0 : -1;
    }
    this.shown(name);
  }

  /** Choose a tab as its user would; false if it is not offered. */
  chooseIfOffered(name) {
    const tab = this.tabs.find((each) => each.name === name);
    if (!tab || tab.control.hidden) return false;
    this.choose(name);
    return true;
  }

  offer(name, offered) {
    this.tabs.find((tab) => tab.name === name).control.hidden = !offered;
  }

  label(name, text) {
    setText(this.tabs.find((tab) => tab.name === name).control, text);
  }

  #pressed(event) {
    const offered = this.tabs.filter(({ control }) => !control.hidden);
    const at = offered.findIndex(({ name }) => name === this.#chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const tab = offered.at(to % offered.length);
    this.choose(tab.name);
    tab.control.focus();
  }
}
