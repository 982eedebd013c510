// The proxy's two feeds: of all exchanges, and of one. Each an event stream.
//
// A browser gives one origin six connections, and those of the pages that are
// looked at count too: so the page never has more than one feed open.

const AGAIN = 1000; // milliseconds until a refused feed is tried again

export class Feed {
  #source = null;
  #timer = 0;

  /**
   * `events` maps names to functions of the parsed data; `state` is told
   * "connecting", "live" or "lost", and then the proxy's reason if it gave one.
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
    // A broken connection is tried again by the browser, a refusal is not.
    if (source.readyState === EventSource.CLOSED) {
      this.#timer = setTimeout(() => this.open(), AGAIN);
      this.#ask();
    }
  }

  // An EventSource does not tell why it was refused.
  async #ask() {
    const asked = new AbortController();
    try {
      const response = await fetch(this.path, { signal: asked.signal, cache: "no-store" });
      if (!response.ok) this.state("lost", (await response.json()).error.message);
    } catch {
      // Nobody answers, or not as the proxy does: it stays at "lost".
    } finally {
      asked.abort();
    }
  }
}

/** The whole account of one exchange; null where the proxy has it no more. */
export async function fetchExchange(id) {
  const response = await fetch(`exchanges/${encodeURIComponent(id)}`, { cache: "no-store" });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the proxy answered with ${response.status}`);
  return response.json();
}
