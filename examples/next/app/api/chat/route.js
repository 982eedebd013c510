import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { convertToModelMessages, streamText } from "ai";

const provider = createOpenAICompatible({
  name: "demo",
  baseURL: `${process.env.AI ?? "http://127.0.0.1:3001"}/v1`,
});

// All that the back end has: no store, no stream ids, no GET to resume.
export async function POST(request) {
  const { messages } = await request.json();
  const result = streamText({
    model: provider("unbuffered-demo"),
    messages: await convertToModelMessages(messages),
    abortSignal: request.signal,
    maxRetries: 0,
  });
  return result.toUIMessageStreamResponse();
}
