// node http-proxy-3.mjs PORT ORIGIN_PORT
import http from "node:http";
import { createProxyServer } from "http-proxy-3";

const [port, origin] = process.argv.slice(2).map(Number);
const proxy = createProxyServer({
  target: `http://127.0.0.1:${origin}`,
  agent: new http.Agent({ keepAlive: true, maxSockets: Infinity }),
});
proxy.on("error", (_error, _request, response) => response.destroy?.());
http
  .createServer((request, response) => proxy.web(request, response))
  .listen(port, "127.0.0.1");
