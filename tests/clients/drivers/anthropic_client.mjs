// The @anthropic-ai/sdk package.
import Anthropic from "@anthropic-ai/sdk";
import { serve } from "./line.mjs";

const asked = { model: "m", max_tokens: 100, messages: [{ role: "user", content: "Hi" }] };
const client = (url) => new Anthropic({ apiKey: "none", baseURL: url, maxRetries: 0 });

await serve({
  async messages(url, got) {
    let stopped = false;
    for await (const event of await client(url).messages.create({ ...asked, stream: true })) {
      if (event.type === "content_block_delta") got.push(event.delta.text);
      stopped ||= event.type === "message_stop";
    }
    return stopped;
  },
  async "messages.helper"(url, got) {
    const stream = client(url).messages.stream(asked);
    stream.on("text", (delta) => got.push(delta));
    return (await stream.finalMessage()).stop_reason != null;
  },
});
