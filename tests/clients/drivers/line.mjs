// A driver's frame for Node; see line.py. `patience`: seconds that a client may wait
// which never learns that there is nothing more.
import { createInterface } from "node:readline";

function told(error) {
  const made = error?.constructor?.name ?? "";
  const name = /^[A-Z]\w*Error$/.test(made) ? made : (error?.name ?? typeof error);
  const cause = error?.cause?.code ?? error?.cause?.message;
  return `${name}: ${error?.message ?? JSON.stringify(error)}${cause ? ` (${cause})` : ""}`;
}

// What a library leaves unhandled ends a Node process by default; here it is told.
let unhandled = null;
process.on("unhandledRejection", (error) => (unhandled = told(error)));
const turn = () => new Promise((resolve) => setTimeout(resolve));

export async function run(call, url, patience) {
  const got = [];
  let error = null;
  let complete = false;
  try {
    complete = await call(url, got, patience);
  } catch (fault) {
    error = told(fault);
  }
  await turn();
  const result = { text: got.join(""), error, complete, unhandled };
  unhandled = null;
  return result;
}

export async function serve(calls) {
  for (const level of ["log", "info", "warn", "error"]) console[level] = () => {};
  const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  say({ ready: Object.keys(calls) });
  for await (const line of createInterface({ input: process.stdin })) {
    const { url, call, patience } = JSON.parse(line);
    say(await run(calls[call], url, patience));
  }
}
