// The AI answer: asked with fetch, read as NDJSON, stopped for real.

import { NdjsonReader } from "./ndjson.js";
import { pieces } from "./streams.js";
import { markLanguage, phrase, say } from "./text.js";
import { Strip } from "./timeline.js";
import { seconds } from "./verdict.js";

const OPEN = "/server1/open";
const STATUS = "/server1/status";
const STATUS_EVERY = 50; // ms; also how exact the shown time can be
const STATUS_FOR = 2000; // ms

/** The service itself says that it cannot answer. */
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
      this.#conclude(run, "answer.complete", seconds(performance.now() - run.askedAt));
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
      say(this.#parts.outcome, "answer.unnoticed", seconds(time));
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
    const reader = new NdjsonReader();
    for await (const piece of pieces(response)) {
      reader.push(piece).forEach((chunk) => this.#take(chunk, run));
    }
    reader.finish().forEach((chunk) => this.#take(chunk, run));
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
    this.#parts.first.textContent = `${seconds(first, 3)} s`;
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
    // A disabled button would lose the keyboard's place.
    if (document.activeElement === stop) ask.focus();
    stop.disabled = true;
  }
}

async function status() {
  const response = await fetch(STATUS, { cache: "no-store" });
  if (!response.ok) throw new Error(`${STATUS}: ${response.status}`);
  return response.json();
}

/** The service's status once it counts one more that left; null: it never did. */
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
  const find = (name) => document.querySelector(`[data-testid=${name}]`);
  const prompt = find("prompt");
  const answer = new Answer({
    reply: find("answer"),
    strip: document.querySelector(".strip"),
    first: find("first-token"),
    tokens: find("tokens"),
    rate: find("rate"),
    outcome: find("answer-outcome"),
    ask: find("ask"),
    stop: find("stop"),
  });
  let suggested = "";
  const suggest = () => {
    // What someone has typed stays.
    if (prompt.value !== suggested) return;
    suggested = prompt.value = phrase("answer.default");
  };
  find("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    answer.ask(prompt.value.trim() || suggested);
  });
  find("stop").addEventListener("click", () => answer.stop());
  document.addEventListener("languagechange", suggest);
  suggest();
}
