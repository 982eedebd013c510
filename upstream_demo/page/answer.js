// The AI answer: asked with fetch, read as NDJSON, stopped for real.

import { Strip } from "./arrival_chart.js";
import { offerInspector } from "./inspector_link.js";
import { ndjsonValues } from "./streams.js";
import { markLanguage, phrase, say } from "./text.js";
import { testid } from "./web/dom.js";
import { seconds } from "./web/quantities.js";

const OPEN = "/server1/open";
const STATUS = "/server1/status";
const STATUS_EVERY = 50; // ms; also how exact the shown time can be
const STATUS_FOR = 2000; // ms

/** The AI service reports that it cannot answer. */
class ProviderError extends Error {}

class Answer {
  #parts;
  #strip;
  #run = null;

  constructor(parts) {
    this.#parts = parts;
    this.#strip = new Strip(parts.strip);
  }

  async ask(prompt) {
    this.#run?.abort.abort();
    const run = { abort: new AbortController(), askedAt: performance.now(), tokens: [] };
    run.before = status().catch(() => null);
    this.#run = run;
    this.#begin();
    try {
      await this.#read(prompt, run);
      const took = (performance.now() - run.askedAt) / 1000;
      this.#conclude(run, "answer.complete", seconds(took, 1));
    } catch (error) {
      const failed = error instanceof ProviderError;
      const reason = failed ? error.message : String(error);
      this.#conclude(run, failed ? "answer.failed" : "answer.broken", reason);
    }
  }

  async stop() {
    const run = this.#run;
    if (!run) return;
    const stoppedAt = performance.now();
    run.abort.abort();
    this.#end();
    say(this.#parts.outcome, "answer.stopped");
    const seen = await whenNoticed(await run.before, stoppedAt);
    if (this.#run) return; // asked again meanwhile
    const time = performance.now() - stoppedAt;
    if (seen) {
      const { left_early: left, open_streams: open } = seen;
      say(this.#parts.outcome, "answer.noticed", Math.ceil(time), left, open);
    } else {
      say(this.#parts.outcome, "answer.unnoticed", seconds(time / 1000, 1));
    }
  }

  async #read(prompt, run) {
    const response = await fetch(OPEN, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ prompt }),
      signal: run.abort.signal,
    });
    if (!response.ok) throw new ProviderError(await reasonOf(response));
    for await (const chunk of ndjsonValues(response)) this.#take(chunk, run);
  }

  #take(chunk, run) {
    if (chunk.error) throw new ProviderError(chunk.error.message);
    const token = chunk.choices?.[0]?.delta?.content;
    if (!token || run !== this.#run) return;
    run.tokens.push(performance.now() - run.askedAt);
    this.#parts.reply.append(token);
    if (run.tokens.length === 1) {
      say(this.#parts.outcome, "answer.streaming");
      markLanguage(this.#parts.reply);
    }
    this.#parts.reply.scrollTop = this.#parts.reply.scrollHeight;
    this.#measure(run.tokens);
  }

  #measure(tokens) {
    const [first, last] = [tokens[0], tokens.at(-1)];
    this.#strip.mark(last - first);
    this.#parts.first.textContent = `${seconds(first / 1000)} s`;
    this.#parts.tokens.textContent = tokens.length;
    if (last === first) return;
    const perSecond = ((tokens.length - 1) * 1000) / (last - first);
    this.#parts.rate.textContent = perSecond.toFixed(1);
  }

  #begin() {
    const { reply, first, tokens, rate, outcome, stop } = this.#parts;
    reply.replaceChildren();
    for (const figure of [first, tokens, rate]) figure.textContent = "–";
    // Read out when complete, not token by token.
    reply.setAttribute("aria-busy", "true");
    this.#strip.begin();
    stop.disabled = false;
    offerInspector("answer");
    say(outcome, "answer.asking");
  }

  #conclude(run, key, ...values) {
    if (run !== this.#run) return;
    this.#end();
    say(this.#parts.outcome, key, ...values);
  }

  #end() {
    this.#run = null;
    const { reply, ask, stop } = this.#parts;
    reply.setAttribute("aria-busy", "false");
    // Disabling the focused button would lose the keyboard focus.
    if (document.activeElement === stop) ask.focus();
    stop.disabled = true;
  }
}

async function status() {
  const response = await fetch(STATUS, { cache: "no-store" });
  if (!response.ok) throw new Error(`${STATUS}: ${response.status}`);
  return response.json();
}

/** The status of the service once it counts one more `left_early`; null: it never did. */
async function whenNoticed(before, since) {
  while (before && performance.now() - since < STATUS_FOR) {
    const now = await status().catch(() => before);
    if (now.left_early > before.left_early) return now;
    await new Promise((resolve) => setTimeout(resolve, STATUS_EVERY));
  }
  return null;
}

async function reasonOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message ?? text;
  } catch {
    return `${response.status} ${text.slice(0, 200)}`;
  }
}

export function setUpAnswer() {
  const prompt = testid("prompt");
  const answer = new Answer({
    reply: testid("answer"),
    strip: document.querySelector(".strip"),
    first: testid("first-token"),
    tokens: testid("tokens"),
    rate: testid("rate"),
    outcome: testid("answer-outcome"),
    ask: testid("ask"),
    stop: testid("stop"),
  });
  let suggested = "";
  const suggest = () => {
    // Keep what the user has typed.
    if (prompt.value !== suggested) return;
    suggested = prompt.value = phrase("answer.default");
  };
  testid("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    answer.ask(prompt.value.trim() || suggested);
  });
  testid("stop").addEventListener("click", () => answer.stop());
  document.addEventListener("languagechange", suggest);
  suggest();
}
