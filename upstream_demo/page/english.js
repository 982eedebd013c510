// The page in English. Functions take values that are already formatted.

import { counted } from "./web/quantities.js";

export const english = {
  title: "Unbuffered: see what holds back a stream",
  language: "Language",
  pages: "Pages",
  inspector: "Inspector",
  watch: "Watch in the inspector",
  claim: "Six messages, one a second.\nSee what holds them back.",
  lead:
    "Every column reads the same event service. One goes through a hop that " +
    "compresses and never flushes, like a dev server with `compress: true`; " +
    "the other goes through Unbuffered.",
  start: "Start",
  restart: "Start again",
  third: "Third column: the same hop, with Unbuffered behind it",
  timeline: "Arrival times since the start",

  "held.title": "Through a compressing hop",
  "held.path": "browser → hop → event service",
  "held.lane": "Compressing hop",
  "unbuffered.title": "Through Unbuffered",
  "unbuffered.path": "browser → Unbuffered → event service",
  "unbuffered.lane": "Unbuffered",
  "behind.title": "The same hop, with Unbuffered behind it",
  "behind.path": "browser → hop → Unbuffered → event service",
  "behind.lane": "Hop + Unbuffered",

  "state.idle": "not started",
  "state.connecting": "connecting",
  "state.open": "open",
  "state.error": "error",
  "state.closed": "closed",

  waiting: (time) => `nothing yet · ${time} s`,
  arriving: (count, time) => `${counted(count, "message")} · ${time} s`,
  "verdict.nothing": "No message arrived",
  "verdict.single": (time) => `1 message, after ${time} s`,
  "verdict.atOnce": (count, time) => `All ${count} at once, after ${time} s`,
  "verdict.steady": (count, gap) =>
    `${count} messages, one ${gap === "1.0" ? "a second" : `every ${gap} s`}`,
  "verdict.uneven": (count, time, gap) =>
    `${count} messages in ${time} s, longest gap ${gap} s`,
  "verdict.broken": (count) => `Connection lost after ${counted(count, "message")}`,
  "verdict.unreachable": "The connection failed",
  "verdict.unknown": "`/settings.json` does not contain its address",

  "answer.heading": "An answer, token by token",
  "answer.lead":
    "A `POST` with an NDJSON response, read with `fetch`. The stop button aborts " +
    "the request; then the AI service itself reports whether it noticed.",
  "answer.prompt": "Your question",
  "answer.default": "Who are you?",
  "answer.ask": "Ask",
  "answer.stop": "Stop",
  "answer.reply": "Answer",
  "answer.first": "First token",
  "answer.tokens": "Tokens",
  "answer.rate": "Tokens/s",
  "answer.asking": "Request sent. Waiting for the first token.",
  "answer.streaming": "Streaming.",
  "answer.complete": (time) => `Complete after ${time} s.`,
  "answer.failed": (reason) => `The AI service reports: ${reason}`,
  "answer.broken": (reason) => `Connection lost: ${reason}`,
  "answer.stopped": "Stopped. Asking the AI service whether it noticed.",
  "answer.noticed": (time, left, open) =>
    `Stopped. The AI service noticed within ${time} ms: ` +
    `${counted(left, "client")} left early in all, ${counted(open, "request")} still open.`,
  "answer.unnoticed": (time) =>
    `Stopped. The AI service had not noticed after ${time} s.`,

  "kept.heading": "An answer that survives",
  "kept.lead":
    "The same question on two routes, one of them with `resume`. Cut both " +
    "connections, or reload the page, in the middle of the answer: one is lost, the " +
    "other goes on.",
  "kept.prompt": "Who are you?",
  "kept.ask": "Ask on both routes",
  "kept.cut.do": "Cut both connections",
  "kept.reload": "Reload the page",
  "kept.plain": "Without resume",
  "kept.kept": "With resume",
  "kept.reading": "Streaming.",
  "kept.complete": (tokens) => `Complete: ${counted(tokens, "token")}.`,
  "kept.plain.cut": (tokens) =>
    `Connection lost after ${counted(tokens, "token")}. The rest is gone.`,
  "kept.plain.reloaded": "Gone with the page.",
  "kept.cut": (tokens) =>
    `Connection lost after ${counted(tokens, "token")}. Asking for the answer again.`,
  "kept.back": "The answer is still there: from its first token, and on.",
  "kept.survived": (tokens, cuts) =>
    `Complete: ${counted(tokens, "token")}, in spite of ${counted(cuts, "cut")}.`,
  "kept.nothing": "The answer had ended, and this page had all of it.",
  "kept.failed": (reason) => `No answer: ${reason}`,

  "variants.heading": "Three ways to read it",
  "variants.lead":
    "The same `/sse/events`, read with each API that browsers have. Unbuffered " +
    "looks at the response only, so all three get every message when it is sent.",
  "variants.means": "API",
  "variants.connect": "Connect",
  "variants.disconnect": "Disconnect",
  "variants.code": "Source code",

  "echo.heading": "A WebSocket, both ways",
  "echo.lead":
    "Unbuffered tunnels a WebSocket where the route says `ws = true`. This one, " +
    "`/echo`, sends back what it gets: the time is that of the way there and back.",
  "echo.text": "Message",
  "echo.default": "Hello",
  "echo.send": "Send",
  "echo.close": "Disconnect",
  "echo.open": "Connected.",
  "echo.closed": (code) => `Closed, with code ${code}.`,
  "echo.lost": (code) => `Connection lost: code ${code}.`,

  "failures.heading": "When it breaks",
  "failures.lead":
    "A proxy that hides a failure costs days. Before the response has started, " +
    "Unbuffered reports what failed and where; after that it aborts the " +
    "connection, so an incomplete response never looks complete.",
  "failures.body": "Response body",
  "failures.refused": "A dead upstream",
  "failures.refused.lead": "Nothing listens on the target of this route.",
  "failures.refused.try": "Send the request",
  "failures.refused.seen": (status, time) => `\`${status}\` after ${time} ms`,
  "failures.broken": "An upstream that crashes",
  "failures.broken.lead": "It sends three messages and then drops the connection.",
  "failures.broken.try": "Read the stream",
  "failures.broken.reading": (count) => `Reading: ${counted(count, "message")}`,
  "failures.broken.seen": (count, reason) =>
    `\`${reason}\` after ${counted(count, "message")}: an error, not a clean end.`,
  "failures.broken.hidden": (count) =>
    `A clean end after ${counted(count, "message")}: the failure was hidden.`,
  "failures.unseen": (reason) => `No response: \`${reason}\``,

  "own.link": "Use it on your own",
  "own.heading": "Use it on your own",
  // `port`: that of this page, which is free when the demo has ended.
  "own.lead": (port = "8080") =>
    `End this demo with Ctrl-C first: it has port ${port}, and its services may have the ` +
    "port of your back end. Neither the page nor the back end has to change.",
  "own.route": "Try it without a file",
  "own.route.lead": (port = "8080") =>
    "With the address of your back end. The browser then reads " +
    `\`http://localhost:${port}/sse/…\`.`,
  "own.file": "Keep it in config.toml",
  "own.file.lead": (port = "8080") =>
    `Everything else goes to your dev server: open port ${port} instead of its port. ` +
    "`unbuffered import vite.config.ts` converts the proxy block that you have.",
  "own.doctor": "Still late? Find the hop that holds",
  "own.doctor.lead":
    "The doctor measures a stream and names the proxy that buffers it, with the lines " +
    "to change. It works without Unbuffered in the path.",
  "own.docs": "The documentation",
  "docs.quickstart": "Quickstart",
  "docs.quickstart.file": "docs/quickstart.md",
  "docs.vue": "Ten minutes with Vue",
  "docs.vue.file": "docs/vue.md",
  "docs.streaming": "Why streams get buffered",
  "docs.streaming.file": "docs/streaming.md",
  "docs.inspector": "The inspector",
  "docs.inspector.file": "docs/inspector.md",

  footer:
    "Every byte of this page came through the proxy, except for the column that " +
    "shows the stream without it.",
};
