// Unbuffered for a test: an upstream that replays records, and the proxy before it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

// Another command may be given in full, as a JSON list.
const command = JSON.parse(process.env.UNBUFFERED ?? '["unbuffered"]');

/** Start a command; the first line of `stream` that matches, and what ends it. */
async function start(args, stream, pattern, env = {}) {
  const program = spawn(command[0], [...command.slice(1), ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = async () => {
    const ended = once(program, "exit");
    if (program.exitCode === null && program.kill()) await ended;
  };
  for (const other of ["stdout", "stderr"]) if (other !== stream) program[other].resume();
  const said = [];
  for await (const line of createInterface({ input: program[stream] })) {
    said.push(line);
    const found = line.match(pattern);
    if (found) {
      program[stream].resume();
      return { found, stop };
    }
  }
  throw new Error(`${args.join(" ")} ended:\n${said.join("\n")}`);
}

/** An upstream that replays records: `{ url, stop }`. */
export async function replay(...args) {
  const { found, stop } = await start(["replay", "--port", "0", "--json", ...args],
    "stdout", /^\{.*\}$/);
  return { ...JSON.parse(found[0]), stop };
}

/** The proxy of config.toml, before another API: `{ url, stop }`. */
export async function serve(api) {
  const devServer = `http://localhost:${process.env.PORT ?? 5173}`;
  const { found, stop } = await start(["serve", "--port", "0"], "stderr",
    /on (http:\/\/[\d.]+:\d+)\//, { API_URL: api, DEV_SERVER: devServer });
  return { url: found[1], stop };
}
