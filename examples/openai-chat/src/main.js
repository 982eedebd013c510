import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";

// The key, where there is one, is set by Unbuffered: the browser has none.
const provider = createOpenAICompatible({
  name: "server1",
  baseURL: new URL("/server1/v1", location.href).href,
});
const model = provider("unbuffered-demo");

const messages = [];
let abort = new AbortController();

async function send(prompt) {
  abort.abort();
  abort = new AbortController();
  show("user", prompt);
  messages.push({ role: "user", content: prompt });
  const line = show("assistant", "");
  let failure = null;
  const { textStream } = streamText({
    model,
    messages: [...messages],
    abortSignal: abort.signal,
    maxRetries: 0,
    onError: ({ error }) => (failure = error),
  });
  for await (const text of textStream) line.append(text);
  if (failure) line.append(` (${failure.message})`);
  messages.push({ role: "assistant", content: line.textContent });
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
document.querySelector("#stop").addEventListener("click", () => abort.abort());
