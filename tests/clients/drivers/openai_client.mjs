// The openai package for Node.
import OpenAI from "openai";
import { serve } from "./line.mjs";

const asked = { model: "m", messages: [{ role: "user", content: "Hi" }] };
const client = (url) => new OpenAI({ apiKey: "none", baseURL: `${url}/v1`, maxRetries: 0 });

await serve({
  async chat(url, got) {
    let finished = false;
    for await (const chunk of await client(url).chat.completions.create({ ...asked, stream: true })) {
      for (const choice of chunk.choices ?? []) {
        got.push(choice.delta?.content ?? "");
        finished ||= choice.finish_reason != null;
      }
    }
    return finished;
  },
  async "chat.helper"(url, got) {
    const stream = client(url).chat.completions.stream(asked);
    stream.on("content", (delta) => got.push(delta));
    const completion = await stream.finalChatCompletion();
    return completion.choices[0].finish_reason != null;
  },
  async responses(url, got) {
    let completed = false;
    for await (const event of await client(url).responses.create({ model: "m", input: "Hi", stream: true })) {
      if (event.type === "response.output_text.delta") got.push(event.delta);
      completed ||= event.type === "response.completed";
    }
    return completed;
  },
  async "responses.helper"(url, got) {
    const stream = client(url).responses.stream({ model: "m", input: "Hi" });
    stream.on("response.output_text.delta", (event) => got.push(event.delta));
    const response = await stream.finalResponse();
    return response.status === "completed";
  },
});
