// node http-proxy.mjs PORT ORIGIN_PORT LINES BEFORE
// http-proxy-3 behind an Express app, as a front end's own server has it.
import http from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.env.PEERS + "/");
const express = require("express");
const compression = require("compression");
const { createProxyServer } = require("http-proxy-3");
const [port, origin] = process.argv.slice(2, 4).map(Number);
const app = express();
new Function("app", "compression", process.argv[5])(app, compression);
const proxy = createProxyServer({ target: `http://127.0.0.1:${origin}` });
new Function("proxy", process.argv[4])(proxy);
proxy.on("error", (_error, _request, response) => response.destroy?.());
app.use((request, response) => proxy.web(request, response));
app.listen(port, "127.0.0.1");
