// What the browser sees when an upstream is dead, or dies.

import { offerInspector } from "./inspector_link.js";
import { appendMessage } from "./messages.js";
import { events } from "./streams.js";
import { say, show } from "./text.js";
import { testid } from "./web/dom.js";
import { indented } from "./web/json_text.js";

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
    show(body, indented(text));
    body.hidden = false;
  } catch (error) {
    say(outcome, "failures.unseen", String(error));
  }
}

async function tryBroken(outcome, list) {
  list.replaceChildren();
  const startedAt = performance.now();
  say(outcome, "failures.broken.reading", 0);
  try {
    const response = await fetch(BROKEN, { cache: "no-store" });
    for await (const { data } of events(response)) {
      appendMessage(list, data, performance.now() - startedAt);
      say(outcome, "failures.broken.reading", list.children.length);
    }
    say(outcome, "failures.broken.hidden", list.children.length);
  } catch (error) {
    say(outcome, "failures.broken.seen", list.children.length, String(error));
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
  const refused = [testid("refused-outcome"), testid("refused-body")];
  const broken = [testid("broken-outcome"), testid("broken-messages")];
  onClick(testid("refused"), () => {
    offerInspector("refused");
    return tryRefused(...refused);
  });
  onClick(testid("broken"), () => {
    offerInspector("broken");
    return tryBroken(...broken);
  });
}
