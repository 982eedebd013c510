// The banner: what the proxy has found wrong, and the exchanges concerned.

import { button, make, testid } from "../web/dom.js";
import { counted, phrase } from "../web/language.js";

const NAMES = {
  bursts: "Held by the upstream",
  "held behind us": "Held by the client",
  connections: "Connection limit",
  stall: "Stall",
  "slow client": "Slow client",
  truncated: "Truncated",
  "unhealthy target": "Unhealthy target",
};
const SHOWN = 3;

export class WarningBanner {
  #all = [];
  #unfolded = false;
  #about = "";

  /** `look` is called with the warning whose exchanges are to be shown. */
  constructor(look) {
    this.look = look;
    this.place = testid("warnings");
  }

  show(warnings) {
    this.#all = warnings;
    this.#draw();
  }

  /** All is said again, in another language. */
  retell() {
    this.#draw();
  }

  /** Show the warnings about one exchange; "": all warnings, null: none. */
  about(id) {
    this.#about = id;
    this.#draw();
  }

  #draw() {
    const meant = this.#all.filter(({ ids }) => this.#about === "" || ids?.includes(this.#about));
    const shown = this.#unfolded ? meant : meant.slice(0, SHOWN);
    const rest = meant.length - SHOWN;
    const rows = shown.map((warning) => this.#row(warning));
    if (rest > 0) {
      const text = this.#unfolded ? phrase("Show fewer") : counted(rest, "{0} more warning", "{0} more warnings");
      rows.push(button(text, () => this.#fold(), "more-warnings", { class: "link" }));
    }
    this.place.replaceChildren(...rows);
  }

  #fold() {
    this.#unfolded = !this.#unfolded;
    this.#draw();
  }

  #row(warning) {
    const count = warning.ids?.length ?? 0;
    const look = count && this.#about === ""
      ? button(counted(count, "Show {0} exchange", "Show {0} exchanges"), () => this.look(warning), "look", { class: "link" })
      : null;
    return make(
      "p",
      { class: "warning", "data-kind": warning.kind },
      make("strong", {}, phrase(NAMES[warning.kind] ?? warning.kind)),
      make("span", {}, warning.text),
      look,
    );
  }
}
