// Node's client of HTTP/2, driven line by line: a request or an order comes in as JSON
// on standard input, and each thing that happens goes out as JSON on standard output.
import http2 from "node:http2";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [url, authority] = process.argv.slice(2);
const session = http2.connect(url, authority ? { ca: readFileSync(authority) } : {});
const streams = new Map();

function say(id, event, value) {
  process.stdout.write(JSON.stringify({ id, event, value }) + "\n");
}

function watch(id, stream) {
  streams.set(id, stream);
  stream.on("headers", (fields) => say(id, "interim", fields));
  stream.on("response", (fields) => say(id, "response", fields));
  stream.on("data", (data) => say(id, "data", data.toString("latin1")));
  stream.on("trailers", (fields) => say(id, "trailers", fields));
  stream.on("end", () => say(id, "end", null));
  stream.on("error", (error) => say(id, "error", error.code));
  stream.on("close", () => say(id, "close", stream.rstCode));
}

session.on("remoteSettings", (settings) => say(0, "settings", settings));
session.on("goaway", (code) => say(0, "goaway", code));
session.on("error", (error) => say(0, "error", error.code));
session.on("close", () => say(0, "close", null));

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, order, value } = JSON.parse(line);
  if (order === "ask") watch(id, session.request(value.fields, { endStream: value.end }));
  if (order === "write") streams.get(id).write(Buffer.from(value, "latin1"));
  if (order === "end") streams.get(id).end();
  if (order === "cancel") streams.get(id).close(http2.constants.NGHTTP2_CANCEL);
  if (order === "leave") session.destroy();
});
