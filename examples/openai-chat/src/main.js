import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";

// The key, where there is one, is set by Unbuffered: the browser has none.
const provider = createOpenAICompatible({
  name: "server1",
  baseURL: new URL("/server1/v1", location.href).href,
  async fetch(...request) {
    const response = await fetch(...request);
    stream = response.headers.get("Stream-Id");
    return response;
  },
});
const model = provider("unbuffered-demo");

// `asking`: the Idempotency-Key of an answer that is not complete. Asked again with it,
// Unbuffered gives the same answer, from its first token; the provider is not asked again.
const chat = JSON.parse(sessionStorage.getItem("chat")) ?? { messages: [], asking: null };
let abort = new AbortController();
let stream = null;

function send(prompt) {
  abort.abort();
  show("user", prompt);
  chat.messages.push({ role: "user", content: prompt });
  chat.asking = crypto.randomUUID();
  save();
  answer();
}

async function answer() {
  const { signal } = (abort = new AbortController());
  const line = show("assistant", "");
  let failure = null;
  const { textStream } = streamText({
    model,
    messages: [...chat.messages],
    headers: { "Idempotency-Key": chat.asking },
    abortSignal: signal,
    maxRetries: 0,
    onError: ({ error }) => (failure = error),
  });
  for await (const text of textStream) line.append(text);
  if (failure) line.append(` (${failure.message})`); // loaded again, the page asks again
  else done(line);
}

// To leave an answer does not end it: it is kept for who comes back.
function stop() {
  abort.abort();
  if (chat.asking && stream) fetch(`/_unbuffered/streams/${stream}`, { method: "DELETE" });
}

function done(line) {
  chat.messages.push({ role: "assistant", content: line.textContent });
  chat.asking = null;
  save();
}

function save() {
  sessionStorage.setItem("chat", JSON.stringify(chat));
}

function show(role, text) {
  const line = document.createElement("li");
  line.dataset.testid = role;
  line.append(text);
  document.querySelector("#messages").append(line);
  return line;
}

document.querySelector("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  send(new FormData(event.target).get("prompt"));
});
document.querySelector("#stop").addEventListener("click", stop);

for (const { role, content } of chat.messages) show(role, content);
if (chat.asking) answer();
