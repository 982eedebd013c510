// node relay.mjs koa|hono|fastify|http-proxy PORT ORIGIN_PORT LINES
// A framework of Node with its compressor. Each relays by hand, so that the response goes
// through it. LINES: of its set-up, as a user writes them.
import http from "node:http";
import { PassThrough, Readable } from "node:stream";

const [kind, portText, originText, lines] = process.argv.slice(2);
const [port, origin] = [Number(portText), Number(originText)];
const Lines = Object.getPrototypeOf(async () => {}).constructor;
const run = (...names) => new Lines(...names, lines);

const asked = (url) =>
  new Promise((resolve) => {
    http.get({ host: "127.0.0.1", port: origin, path: url }, resolve);
  });
const FIELDS = ["content-type", "cache-control", "x-accel-buffering"];
const fieldsOf = (answer) =>
  Object.fromEntries(
    FIELDS.filter((name) => answer.headers[name]).map((name) => [name, answer.headers[name]]),
  );

if (kind === "koa") {
  const { default: Koa } = await import("koa");
  const { default: compress } = await import("koa-compress");
  const app = new Koa();
  await run("app", "compress")(app, compress);
  app.use(async (ctx) => {
    const answer = await asked(ctx.url);
    ctx.set(fieldsOf(answer));
    ctx.body = answer.pipe(new PassThrough());
  });
  app.listen(port, "127.0.0.1");
} else if (kind === "hono") {
  const { Hono } = await import("hono");
  const { compress } = await import("hono/compress");
  const { serve } = await import("@hono/node-server");
  const app = new Hono();
  await run("app", "compress")(app, compress);
  app.get("*", async (c) => {
    const url = new URL(c.req.url);
    const answer = await asked(url.pathname + url.search);
    return new Response(Readable.toWeb(answer), { headers: fieldsOf(answer) });
  });
  serve({ fetch: app.fetch, port, hostname: "127.0.0.1" });
} else if (kind === "fastify") {
  const { default: Fastify } = await import("fastify");
  const { default: compress } = await import("@fastify/compress");
  const app = Fastify();
  await run("app", "compress")(app, compress);
  app.get("*", async (request, reply) => {
    const answer = await asked(request.url);
    reply.headers(fieldsOf(answer));
    return reply.send(answer.pipe(new PassThrough()));
  });
  await app.listen({ port, host: "127.0.0.1" });
} else {
  const { default: httpProxy } = await import("http-proxy");
  const target = `http://127.0.0.1:${origin}`;
  const proxy = httpProxy.createProxyServer({ target });
  const createProxyServer = (options) => Object.assign(proxy.options, options, { target });
  proxy.on("error", () => {});
  await run("proxy", "createProxyServer")(proxy, createProxyServer);
  http.createServer((request, response) => proxy.web(request, response)).listen(port, "127.0.0.1");
}
