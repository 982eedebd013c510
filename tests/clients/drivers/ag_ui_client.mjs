// The @ag-ui/client package.
import { HttpAgent } from "@ag-ui/client";
import { serve } from "./line.mjs";

await serve({
  async run(url, got) {
    const agent = new HttpAgent({ url: `${url}/agent`, threadId: "thread" });
    let finished = false;
    let failed = null;
    await agent.runAgent(
      { runId: "run" },
      {
        onTextMessageContentEvent: ({ event }) => void got.push(event.delta),
        onRunFinishedEvent: () => void (finished = true),
        onRunErrorEvent: ({ event }) => void (failed = event),
      },
    );
    if (failed) throw Object.assign(new Error(failed.message), { name: "onRunErrorEvent" });
    return finished;
  },
});
