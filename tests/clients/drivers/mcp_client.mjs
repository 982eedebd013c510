// The @modelcontextprotocol/client package: one tool call over Streamable HTTP.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { serve } from "./line.mjs";

async function call(url, got, patience, options) {
  const client = new Client({ name: "test", version: "1" }, options);
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));
  try {
    const result = await client.callTool({ name: "greet", arguments: {} }, { timeout: patience * 1000 });
    got.push(...result.content.map((part) => part.text));
    return !result.isError;
  } finally {
    await client.close();
  }
}

await serve({
  2025: (url, got, patience) => call(url, got, patience, {}),
  2026: (url, got, patience) => call(url, got, patience, { versionNegotiation: { mode: { pin: "2026-07-28" } } }),
});
