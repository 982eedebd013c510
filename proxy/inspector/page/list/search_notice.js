// A link leads to an exchange that is to be found first: by its request id, or its path.

import { fetchByRequest } from "../feed.js";
import { setText, testid } from "../web/dom.js";
import { phrase } from "../web/language.js";

export class SearchNotice {
  #wish = null;
  #looked = false; // there was none
  #followed = null; // a path

  /** `found` is called with the id of the exchange, and with what was looked for. */
  constructor(exchanges, found) {
    this.exchanges = exchanges;
    this.found = found;
    this.element = testid("search-notice");
  }

  /** Look for {request} or {path}; null: for nothing. */
  look(wish) {
    this.#wish = wish;
    this.#looked = false;
    this.#followed = null;
    this.show();
    if (wish?.request !== undefined) this.#ask(wish);
  }

  /** Say that the next request of `path` will be shown. */
  follow(path) {
    this.#followed = path;
    this.show();
  }

  /** The list has changed. */
  changed() {
    if (this.#wish === null) return;
    const id = this.exchanges.find(this.#wish);
    if (id !== null) return this.#end(id);
    if (this.#wish.path !== undefined) this.#looked = true;
    this.show();
  }

  // The proxy knows more than the list has.
  async #ask(wish) {
    const exchange = await fetchByRequest(wish.request).catch(() => null);
    if (wish !== this.#wish) return;
    if (exchange !== null) return this.#end(exchange.id);
    this.#looked = true;
    this.show();
  }

  #end(id) {
    const wish = this.#wish;
    this.#wish = null;
    this.show();
    this.found(id, wish);
  }

  show() {
    const follows = this.#followed !== null;
    this.element.hidden = !follows && (this.#wish === null || !this.#looked);
    if (this.element.hidden) return;
    if (follows) {
      const text = phrase("It has ended. The next request whose path begins with {0} opens here.", this.#followed);
      return setText(this.element, text);
    }
    const { request, path } = this.#wish;
    const text =
      request === undefined
        ? phrase("Waiting for a request whose path begins with {0}; it opens here as soon as it comes.", path)
        : phrase("No exchange has the request id {0}: the proxy keeps only the most recent ones.", request);
    setText(this.element, text);
  }
}
