// What the browser sees when an upstream is dead, or dies.

import { EventStreamReader } from "./eventstream.js";
import { appendMessage } from "./messages.js";
import { pieces } from "./streams.js";
import { say, show } from "./text.js";

const REFUSED = "/refused";
const BROKEN = "/faults/die?after=3";

async function tryRefused(outcome, body) {
  body.hidden = true;
  outcome.replaceChildren();
  const startedAt = performance.now();
  try {
    const response = await fetch(REFUSED, { cache: "no-store" });
    const text = await response.text();
    const time = Math.ceil(performance.now() - startedAt);
    const status = `${response.status} ${response.statusText}`.trim();
    say(outcome, "failures.refused.seen", status, time);
    show(body, pretty(text));
    body.hidden = false;
  } catch (error) {
    say(outcome, "failures.unseen", String(error));
  }
}

async function tryBroken(outcome, list) {
  list.replaceChildren();
  const startedAt = performance.now();
  const reader = new EventStreamReader();
  const decoder = new TextDecoder();
  say(outcome, "failures.broken.reading", 0);
  try {
    const response = await fetch(BROKEN, { cache: "no-store" });
    for await (const piece of pieces(response)) {
      for (const { data } of reader.push(decoder.decode(piece, { stream: true }))) {
        appendMessage(list, data, performance.now() - startedAt);
      }
      say(outcome, "failures.broken.reading", list.children.length);
    }
    say(outcome, "failures.broken.hidden", list.children.length);
  } catch (error) {
    say(outcome, "failures.broken.seen", list.children.length, String(error));
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Run `attempt` on a click, and not twice at the same time. */
function onClick(button, attempt) {
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    // Not `disabled`, which would take the keyboard's focus away.
    button.setAttribute("aria-disabled", "true");
    await attempt();
    button.removeAttribute("aria-disabled");
  });
}

export function setUpFailures() {
  const find = (name) => document.querySelector(`[data-testid=${name}]`);
  const refused = [find("refused-outcome"), find("refused-body")];
  const broken = [find("broken-outcome"), find("broken-messages")];
  onClick(find("refused"), () => tryRefused(...refused));
  onClick(find("broken"), () => tryBroken(...broken));
}
