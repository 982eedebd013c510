// Opening a file: dropped on the page, or chosen. It is read here, and goes nowhere.

import { button, make, setText, testid } from "../web/dom.js";
import { counted, phrase } from "../web/language.js";
import { withoutCoding } from "./decoded.js";
import { openFile } from "./open_file.js";
import { FileFault } from "./record_file.js";

export class FileOpener {
  #entered = 0; // elements that a dragged file is over

  /** `show` is called with {exchange, pieces}. */
  constructor(show) {
    this.show = show;
    this.input = testid("file");
    this.fault = testid("file-fault");
    this.dialog = testid("entries");
    this.input.addEventListener("change", () => this.#chosen());
    testid("open").addEventListener("click", () => this.choose());
    testid("file-fault-close").addEventListener("click", () => this.#tell(""));
    addEventListener("dragenter", (event) => this.#over(event, 1));
    addEventListener("dragleave", (event) => this.#over(event, -1));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => this.#dropped(event));
  }

  /** Let the user choose a file. */
  choose() {
    this.input.click();
  }

  /** Show what is in a file; or say why that cannot be. */
  async open(file) {
    this.#tell("");
    try {
      const entries = await openFile(file);
      if (entries.length === 1) await this.#read(entries[0]);
      else this.#ask(file.name, entries);
    } catch (error) {
      this.#failed(error, file.name);
    }
  }

  #chosen() {
    const [file] = this.input.files;
    this.input.value = ""; // so that the same one can be chosen again
    if (file) this.open(file);
  }

  #over(event, step) {
    if (!hasFiles(event)) return;
    event.preventDefault();
    this.#entered += step;
    document.body.dataset.hint = phrase("Drop a record or a HAR");
    document.body.dataset.drop = String(this.#entered > 0);
  }

  #dropped(event) {
    if (!hasFiles(event)) return;
    event.preventDefault();
    this.#entered = 0;
    document.body.dataset.drop = "false";
    this.open(event.dataTransfer.files[0]);
  }

  async #read(entry) {
    try {
      this.show(await withoutCoding(entry.read()));
    } catch (error) {
      this.#failed(error, entry.label);
    }
  }

  /** Which of several? */
  #ask(name, entries) {
    const items = entries.map((entry) => {
      const chosen = () => {
        this.dialog.close();
        this.#read(entry);
      };
      const said = [
        make("span", { class: "soft" }, `${entry.number}`),
        make("span", { class: "path" }, entry.label),
        make("span", { class: "soft" }, entry.status > 0 ? `${entry.status}` : phrase("no answer")),
      ];
      const control = button("", chosen, "entry", { class: "entry" });
      control.append(...said);
      return make("li", {}, control);
    });
    setText(testid("entries-heading"), `${name}: ${counted(entries.length, "{0} exchange", "{0} exchanges")}`);
    testid("entries-list").replaceChildren(...items);
    this.dialog.showModal();
  }

  #failed(error, name) {
    if (error instanceof FileFault) this.#tell(error.message);
    else this.#tell(phrase("{0} cannot be read: {1}", name, error.message));
  }

  #tell(text) {
    this.fault.hidden = text === "";
    setText(testid("file-fault-text"), text);
  }
}

function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
