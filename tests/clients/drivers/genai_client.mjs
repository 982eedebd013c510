// The @google/genai package.
import { GoogleGenAI } from "@google/genai";
import { serve } from "./line.mjs";

await serve({
  async generate(url, got) {
    const client = new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl: url } });
    let finished = false;
    for await (const chunk of await client.models.generateContentStream({ model: "m", contents: "Hi" })) {
      got.push(chunk.text ?? "");
      finished ||= chunk.candidates?.[0]?.finishReason != null;
    }
    return finished;
  },
});
