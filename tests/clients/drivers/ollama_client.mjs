// The ollama package for Node.
import { Ollama } from "ollama";
import { serve } from "./line.mjs";

await serve({
  async chat(url, got) {
    let done = false;
    const messages = [{ role: "user", content: "Hi" }];
    for await (const part of await new Ollama({ host: url }).chat({ model: "m", messages, stream: true })) {
      got.push(part.message.content);
      done ||= part.done;
    }
    return done;
  },
});
