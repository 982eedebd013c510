// A WebSocket that sends back what it gets.

import { offerInspector } from "./inspector_link.js";
import { appendMessage } from "./messages.js";
import { phrase, say } from "./text.js";
import { testid } from "./web/dom.js";

const ECHO = "/echo";
const SHOWN = 6; // messages; the oldest go first

class Echo {
  #parts;
  #socket = null;
  #sentAt = []; // of what has not come back yet, which is in order

  constructor(parts) {
    this.#parts = parts;
  }

  send(text) {
    const socket = this.#socket ?? this.#open();
    const deliver = () => {
      this.#sentAt.push(performance.now());
      socket.send(text);
    };
    if (socket.readyState === WebSocket.OPEN) deliver();
    else socket.addEventListener("open", deliver, { once: true });
  }

  close() {
    this.#socket?.close(1000);
  }

  #open() {
    const socket = new WebSocket(location.origin.replace(/^http/, "ws") + ECHO);
    this.#socket = socket;
    this.#sentAt = [];
    this.#parts.close.disabled = false;
    offerInspector("echo");
    say(this.#parts.outcome, "state.connecting");
    let opened = false;
    socket.onopen = () => {
      opened = true;
      say(this.#parts.outcome, "echo.open");
    };
    socket.onmessage = ({ data }) => this.#cameBack(data);
    socket.onclose = ({ code, wasClean }) => {
      this.#socket = null;
      const lost = opened ? "echo.lost" : "verdict.unreachable";
      say(this.#parts.outcome, wasClean ? "echo.closed" : lost, code);
      const { send, close } = this.#parts;
      // Disabling the focused button would lose the keyboard focus.
      if (document.activeElement === close) send.focus();
      close.disabled = true;
    };
    return socket;
  }

  #cameBack(text) {
    const { messages } = this.#parts;
    appendMessage(messages, text, performance.now() - this.#sentAt.shift());
    if (messages.children.length > SHOWN) messages.firstElementChild.remove();
  }
}

export function setUpEcho() {
  const text = testid("echo-text");
  const echo = new Echo({
    messages: testid("echo-messages"),
    outcome: testid("echo-outcome"),
    send: testid("echo-send"),
    close: testid("echo-close"),
  });
  let suggested = "";
  const suggest = () => {
    // Keep what the user has typed.
    if (text.value !== suggested) return;
    suggested = text.value = phrase("echo.default");
  };
  testid("echo-form").addEventListener("submit", (event) => {
    event.preventDefault();
    echo.send(text.value.trim() || suggested);
  });
  testid("echo-close").addEventListener("click", () => echo.close());
  document.addEventListener("languagechange", suggest);
  suggest();
}
