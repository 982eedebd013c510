// The two feeds of the proxy: all exchanges, and one exchange. Each is an event stream.
//
// A browser opens at most six connections to an origin, and the streams of the
// inspected pages count too, so the page never has more than one feed open.

import { phrase } from "./web/language.js";

const AGAIN = 1000; // milliseconds until a refused feed is tried again

export class Feed {
  #source = null;
  #timer = 0;

  /**
   * `events` maps names to functions of the parsed data; `state` is called with
   * "connecting", "live" or "lost", and with the reason if the proxy gives one.
   */
  constructor(path, events, state) {
    this.path = path;
    this.events = events;
    this.state = state;
  }

  open() {
    this.close();
    this.state("connecting");
    const source = new EventSource(this.path);
    this.#source = source;
    source.onopen = () => this.state("live");
    source.onerror = () => this.#failed(source);
    for (const [name, take] of Object.entries(this.events)) {
      source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #failed(source) {
    if (source !== this.#source) return;
    this.state("lost");
    // The browser retries a broken connection, but not a refused one.
    if (source.readyState === EventSource.CLOSED) {
      this.#timer = setTimeout(() => this.open(), AGAIN);
      this.#ask();
    }
  }

  // An EventSource does not say why it was refused.
  async #ask() {
    const asked = new AbortController();
    try {
      const response = await fetch(this.path, { signal: asked.signal, cache: "no-store" });
      // The token is another one by now: in place of this page there is the form for it.
      if (response.status === 401) location.reload();
      else if (!response.ok) this.state("lost", (await response.json()).error.message);
    } catch {
      // No answer, or not one of the proxy: the state stays "lost".
    } finally {
      asked.abort();
    }
  }
}

/** All details of one exchange; null if the proxy no longer has it. */
export function fetchExchange(id) {
  return details(`exchanges/${encodeURIComponent(id)}`);
}

/** The same, by the id of its request. */
export function fetchByRequest(id) {
  return details(`requests/${encodeURIComponent(id)}`);
}

async function details(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (response.status === 404) return null;
  if (response.status === 401) location.reload(); // the page asks for the token
  if (!response.ok) throw new Error(phrase("the proxy responded with status {0}", response.status));
  return response.json();
}
