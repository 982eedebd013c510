// EventSource, XMLHttpRequest and fetch on the same stream, one at a time.

import { offerInspector } from "./inspector_link.js";
import { appendMessage } from "./messages.js";
import { LAST, MEANS } from "./streams.js";
import { say } from "./text.js";
import { testid } from "./web/dom.js";
import { seconds } from "./web/quantities.js";

const EVENTS = "/sse/events";

// What a developer would write; what runs is in streams.js.
const CODE = {
  EventSource: `const source = new EventSource("/sse/events");
source.onmessage = ({ data }) => {
  if (data === "end") source.close();
  else show(data);
};`,
  XMLHttpRequest: `const request = new XMLHttpRequest();
let seen = 0;
request.onprogress = () => {
  parse(request.responseText.slice(seen));
  seen = request.responseText.length;
};
request.open("GET", "/sse/events");
request.send();`,
  fetch: `const { body } = await fetch("/sse/events");
const reader = body
  .pipeThrough(new TextDecoderStream())
  .getReader();
for (;;) {
  const { done, value } = await reader.read();
  if (done) break;
  parse(value);
}`,
};

class Variant {
  #parts;
  #close = () => {};
  #connection = 0;

  constructor(parts) {
    this.#parts = parts;
  }

  connect(means) {
    this.disconnect();
    this.reset();
    const connection = ++this.#connection;
    const startedAt = performance.now();
    const mine = (report) => (...given) => {
      if (connection !== this.#connection) return;
      report(performance.now() - startedAt, ...given);
    };
    this.#mayDisconnect(true);
    offerInspector("variants");
    this.#close = MEANS[means](EVENTS, {
      onState: mine((time, state, reason) => this.#enter(time, state, reason)),
      onEvent: mine((time, { data }) => {
        if (data !== LAST) appendMessage(this.#parts.messages, data, time);
      }),
    });
  }

  disconnect() {
    this.#close();
    this.#close = () => {};
  }

  /** As if nothing had been read yet. */
  reset() {
    this.#connection += 1;
    this.#parts.messages.replaceChildren();
    this.#parts.reason.textContent = "";
    this.#mayDisconnect(false);
    for (const item of this.#parts.states.children) {
      item.removeAttribute("aria-current");
      item.querySelector("time").textContent = "";
    }
  }

  #enter(time, state, reason) {
    for (const item of this.#parts.states.children) {
      if (item.dataset.state === state) {
        item.setAttribute("aria-current", "step");
        item.querySelector("time").textContent = `${seconds(time / 1000)} s`;
      } else {
        item.removeAttribute("aria-current");
      }
    }
    say(this.#parts.state, `state.${state}`);
    if (reason) this.#parts.reason.textContent = reason;
    if (state === "closed") this.#mayDisconnect(false);
  }

  #mayDisconnect(may) {
    const { connect, disconnect } = this.#parts;
    // Disabling the focused button would lose the keyboard focus.
    if (!may && document.activeElement === disconnect) connect.focus();
    disconnect.disabled = !may;
  }
}

export function setUpVariants() {
  const variant = new Variant({
    states: testid("states"),
    state: testid("variant-state"),
    reason: testid("variant-reason"),
    messages: testid("variant-messages"),
    connect: testid("connect"),
    disconnect: testid("disconnect"),
  });
  const chosen = () => document.querySelector("input[name=means]:checked").value;
  const choose = () => {
    variant.disconnect();
    variant.reset();
    testid("code").textContent = CODE[chosen()];
  };
  for (const radio of document.querySelectorAll("input[name=means]")) {
    radio.addEventListener("change", choose);
  }
  testid("connect").addEventListener("click", () => variant.connect(chosen()));
  testid("disconnect").addEventListener("click", () => variant.disconnect());
  choose();
}
