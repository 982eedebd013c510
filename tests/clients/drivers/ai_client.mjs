// The AI SDK: streamText in front of a provider, and the reader of its own stream.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { DefaultChatTransport, readUIMessageStream, streamText } from "ai";
import { serve } from "./line.mjs";

async function text(model, got) {
  const result = streamText({ model, prompt: "Hi", maxRetries: 0, onError() {} });
  let failed = null;
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") got.push(part.text);
    if (part.type === "error") failed ??= part.error;
  }
  if (failed) throw failed;
  const reason = await result.finishReason;
  if (reason === "error" || reason === "other") throw new Error(`finishReason is ${reason}`);
  return reason === "stop";
}

await serve({
  chat: (url, got) =>
    text(createOpenAICompatible({ name: "m", apiKey: "none", baseURL: `${url}/v1` }).chatModel("m"), got),
  "chat.openai": (url, got) =>
    text(createOpenAI({ apiKey: "none", baseURL: `${url}/v1` }).chat("m"), got),
  responses: (url, got) => text(createOpenAI({ apiKey: "none", baseURL: `${url}/v1` }).responses("m"), got),
  async ui(url, got) {
    const transport = new DefaultChatTransport({ api: `${url}/api/chat` });
    const stream = await transport.sendMessages({ chatId: "1", messages: [], trigger: "submit-message" });
    let finished = false;
    const watched = stream.pipeThrough(
      new TransformStream({
        transform(part, controller) {
          finished ||= part.type === "finish";
          controller.enqueue(part);
        },
      }),
    );
    for await (const message of readUIMessageStream({ stream: watched, terminateOnError: true })) {
      got.splice(0, got.length, ...message.parts.filter((part) => part.type === "text").map((part) => part.text));
    }
    return finished;
  },
});
