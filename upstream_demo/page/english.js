// The page in English. Functions take values that are already formatted.

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

export const english = {
  title: "Unbuffered: see who holds a stream",
  language: "Language",
  claim: "Six messages, one a second.\nSee who holds them.",
  lead:
    "Every column reads the same event service. One goes through a hop that " +
    "compresses and never flushes, as a dev server with `compress: true` does; " +
    "one goes through Unbuffered.",
  start: "Start",
  restart: "Start again",
  third: "Third column: the same hop, with Unbuffered behind it",
  timeline: "Arrivals against time since the start",

  "held.title": "Through a compressing hop",
  "held.path": "browser → hop → event service",
  "held.lane": "Compressing hop",
  "unbuffered.title": "Through Unbuffered",
  "unbuffered.path": "browser → Unbuffered → event service",
  "unbuffered.lane": "Unbuffered",
  "behind.title": "The same hop, Unbuffered behind it",
  "behind.path": "browser → hop → Unbuffered → event service",
  "behind.lane": "Hop + Unbuffered",

  "state.idle": "not started",
  "state.connecting": "connecting",
  "state.open": "open",
  "state.error": "error",
  "state.closed": "closed",

  waiting: (time) => `nothing yet · ${time} s`,
  arriving: (count, time) => `${plural(count, "message")} · ${time} s`,
  "verdict.nothing": "No message came",
  "verdict.single": (time) => `1 message, after ${time} s`,
  "verdict.atOnce": (count, time) => `All ${count} at once, after ${time} s`,
  "verdict.steady": (count, gap) =>
    `${count} messages, one ${gap === "1.0" ? "a second" : `every ${gap} s`}`,
  "verdict.uneven": (count, time, gap) =>
    `${count} messages in ${time} s, longest gap ${gap} s`,
  "verdict.broken": (count) => `Broken off after ${plural(count, "message")}`,
  "verdict.unreachable": "The connection failed",
  "verdict.unknown": "`/settings.json` does not say where it is",

  "answer.heading": "An answer, token by token",
  "answer.lead":
    "A `POST` answered with NDJSON, read with `fetch`. The stop button aborts " +
    "the request; the AI service then says for itself whether it noticed.",
  "answer.prompt": "Your question",
  "answer.default": "Who are you?",
  "answer.ask": "Ask",
  "answer.stop": "Stop",
  "answer.reply": "Answer",
  "answer.first": "First token",
  "answer.tokens": "Tokens",
  "answer.rate": "Tokens/s",
  "answer.asking": "Asked. Waiting for the first token.",
  "answer.streaming": "Streaming.",
  "answer.complete": (time) => `Complete after ${time} s.`,
  "answer.failed": (reason) => `The AI service reports: ${reason}`,
  "answer.broken": (reason) => `Broken off: ${reason}`,
  "answer.stopped": "Stopped. Asking the AI service whether it noticed.",
  "answer.noticed": (time, left, open) =>
    `Stopped, and the AI service noticed within ${time} ms: ` +
    `${plural(left, "request")} left early, ${open} still open.`,
  "answer.unnoticed": (time) =>
    `Stopped, but after ${time} s the AI service still had not noticed.`,

  "variants.heading": "Three ways to read it",
  "variants.lead":
    "The same `/sse/events`, read by each means a browser has. Unbuffered " +
    "decides from the response, so all three get every message when it is sent.",
  "variants.means": "Means",
  "variants.connect": "Connect",
  "variants.disconnect": "Disconnect",
  "variants.code": "Source code",

  "failures.heading": "When it breaks",
  "failures.lead":
    "A proxy that hides a failure costs days. Before the response has begun, " +
    "Unbuffered says what is wrong and where; after that it cuts the connection, " +
    "so that nothing broken looks complete.",
  "failures.body": "Response body",
  "failures.refused": "A dead upstream",
  "failures.refused.lead": "Nothing listens at the target of this route.",
  "failures.refused.try": "Request it",
  "failures.refused.seen": (status, time) => `\`${status}\` after ${time} ms`,
  "failures.broken": "An upstream that dies",
  "failures.broken.lead": "It sends three messages and drops the connection.",
  "failures.broken.try": "Read it",
  "failures.broken.reading": (count) => `Reading: ${plural(count, "message")}`,
  "failures.broken.seen": (count, reason) =>
    `\`${reason}\` after ${plural(count, "message")}: an error, not a clean end.`,
  "failures.broken.hidden": (count) =>
    `A clean end after ${plural(count, "message")}: the failure was hidden.`,
  "failures.unseen": (reason) => `No response: \`${reason}\``,

  footer:
    "Every byte of this page came through the proxy, except the column that " +
    "shows what happens without it.",
};
