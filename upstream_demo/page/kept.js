// An answer that outlives its connection, beside the same answer without that.
//
// The proxy keeps the answers of one route by an id that the page makes up. After a cut
// or a reload the page asks for that id, and has the whole answer again.

import { offerInspector } from "./inspector_link.js";
import { ndjsonValues } from "./streams.js";
import { markLanguage, phrase, say } from "./text.js";
import { testid } from "./web/dom.js";

const PLAIN = "/server1/open";
const KEPT = "/kept/open";
const ANSWERS = "/kept/answers/";
const STORE = "unbuffered.kept-answer";
const BACK_AFTER = 1000; // ms; so that the cut is seen
const ATTEMPTS = 10; // in a row that bring nothing

/** One of the two answers, as far as it has come. */
class Panel {
  #reply;
  #outcome;

  constructor(name) {
    this.#reply = testid(`${name}-reply`);
    this.#outcome = testid(`${name}-outcome`);
    this.tokens = 0;
  }

  clear() {
    this.tokens = 0;
    this.#reply.replaceChildren();
    this.#reply.setAttribute("aria-busy", "true");
  }

  say(key, ...values) {
    say(this.#outcome, key, ...values);
    this.#reply.setAttribute("aria-busy", "false");
  }

  /** Show a response from its beginning to its end. */
  async show(response) {
    if (!response.ok) throw new Refused(`${response.status} ${response.statusText}`.trim());
    this.clear();
    for await (const chunk of ndjsonValues(response)) {
      if (chunk.error) throw new Refused(chunk.error.message);
      const token = chunk.choices?.[0]?.delta?.content;
      if (!token) continue;
      this.tokens += 1;
      this.#reply.append(token);
      if (this.tokens === 1) markLanguage(this.#reply);
    }
  }
}

/** An answer that says no: to ask again would change nothing. */
class Refused extends Error {}

class Survival {
  #plain = new Panel("plain");
  #kept = new Panel("kept");
  #abort = new AbortController();
  #run = 0;
  #cut = testid("cut");

  ask() {
    const id = randomId();
    this.#begin();
    remember(id);
    const prompt = phrase("kept.prompt");
    this.#readPlain(post({ prompt }));
    offerInspector("plain");
    this.#readKept(id, post({ prompt, id }));
  }

  /** The page was loaded again while an answer was on its way. */
  comeBack(id) {
    this.#begin();
    this.#plain.say("kept.plain.reloaded");
    this.#readKept(id, undefined);
  }

  cut() {
    this.#abort.abort();
  }

  #begin() {
    this.#run += 1;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#cut.disabled = false;
    for (const panel of [this.#plain, this.#kept]) {
      panel.clear();
      panel.say("kept.reading");
    }
  }

  async #readPlain(request) {
    const run = this.#run;
    const told = (key, ...values) => run === this.#run && this.#plain.say(key, ...values);
    try {
      await this.#plain.show(await this.#fetch(PLAIN, request));
      told("kept.complete", this.#plain.tokens);
    } catch (error) {
      if (error instanceof Refused) told("kept.failed", error.message);
      else told("kept.plain.cut", this.#plain.tokens);
    }
  }

  async #readKept(id, request) {
    const run = this.#run;
    offerInspector("kept");
    let cuts = 0;
    for (let failed = 0; run === this.#run && failed < ATTEMPTS; failed += 1) {
      try {
        const asked = request ? this.#fetch(KEPT, request) : this.#fetch(ANSWERS + id);
        const response = await asked;
        if (run !== this.#run) return;
        if (response.status === 204) return this.#over("kept.nothing");
        if (!request && response.ok) this.#kept.say("kept.back");
        request = undefined; // from now on it is asked for by its id
        failed = 0;
        await this.#kept.show(response);
        if (run !== this.#run) return;
        const key = cuts ? "kept.survived" : "kept.complete";
        return this.#over(key, this.#kept.tokens, cuts);
      } catch (error) {
        if (run !== this.#run) return;
        if (error instanceof Refused) return this.#over("kept.failed", error.message);
        cuts += 1;
        request = undefined;
        this.#kept.say("kept.cut", this.#kept.tokens);
        await new Promise((resolve) => setTimeout(resolve, BACK_AFTER));
        if (run !== this.#run) return;
        this.#abort = new AbortController();
      }
    }
    if (run === this.#run) this.#over("kept.failed", "…");
  }

  #over(key, ...values) {
    this.#kept.say(key, ...values);
    forget();
    // Disabling the focused button would lose the keyboard focus.
    if (document.activeElement === this.#cut) testid("survive").focus();
    this.#cut.disabled = true;
  }

  #fetch(url, options = {}) {
    return fetch(url, { ...options, cache: "no-store", signal: this.#abort.signal });
  }
}

function post(body) {
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/** 128 bits that nobody can guess: who knows the id has the answer. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Storage throws where the browser forbids it: then a reload loses the answer.
function remember(id) {
  try {
    sessionStorage.setItem(STORE, id);
  } catch {
    // See above.
  }
}

function forget() {
  try {
    sessionStorage.removeItem(STORE);
  } catch {
    // Nothing was stored.
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(STORE);
  } catch {
    return null;
  }
}

export function setUpSurvival() {
  const survival = new Survival();
  testid("survive").addEventListener("click", () => survival.ask());
  testid("cut").addEventListener("click", () => survival.cut());
  testid("reload").addEventListener("click", () => location.reload());
  const id = remembered();
  if (id) survival.comeBack(id);
}
