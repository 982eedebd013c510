// node express.mjs PORT ORIGIN_PORT BEFORE EACH
// Express with `compression`. Relays by hand, so that the response goes through
// the middleware. BEFORE: lines to run on the app. EACH: lines after each piece.
import http from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.env.PEERS + "/");
const express = require("express");
const compression = require("compression");

const [port, origin] = process.argv.slice(2, 4).map(Number);
const [before, each] = process.argv.slice(4, 6);
const app = express();
new Function("app", "compression", before)(app, compression);
const after = new Function("res", each);
app.use((req, res) => {
  const there = http.request(
    { port, host: "127.0.0.1", path: req.url, method: req.method, port: origin },
    (answer) => {
      res.statusCode = answer.statusCode;
      res.setHeader("Content-Type", answer.headers["content-type"]);
      res.setHeader("Cache-Control", answer.headers["cache-control"]);
      answer.on("data", (piece) => {
        res.write(piece);
        after(res);
      });
      answer.on("end", () => res.end());
    },
  );
  res.on("close", () => there.destroy());
  req.pipe(there);
});
app.listen(port, "127.0.0.1");
