// node devserver.mjs vite|webpack-dev-server PORT ORIGIN_PORT OPTIONS
// A dev server with one proxied path. OPTIONS: lines of its `server` or
// `devServer` block, as a user writes them.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";

const require = createRequire(process.env.PEERS + "/");
const [kind, portText, originText, lines] = process.argv.slice(2);
const port = Number(portText);
const target = `http://127.0.0.1:${originText}`;
const block = new Function(`return {${lines}}`)();
const options = block.devServer ?? block.server ?? {};
for (const rules of Object.values(options.proxy ?? {})) {
  rules.target = target; // the printed lines say where it is in the user's chain
}

if (kind === "vite") {
  const entry = path.join(process.env.PEERS, "node_modules/vite/dist/node/index.js");
  const { createServer } = await import(pathToFileURL(entry));
  const server = await createServer({
    root: process.argv[6],
    configFile: false,
    logLevel: "error",
    server: {
      host: "127.0.0.1", port, strictPort: true, watch: null,
      proxy: { "/api": { target } }, ...options,
    },
  });
  await server.listen();
} else {
  const webpack = require("webpack");
  const WebpackDevServer = require("webpack-dev-server");
  const compiler = webpack({ mode: "development", entry: {}, stats: "none" });
  const server = new WebpackDevServer(
    {
      host: "127.0.0.1", port, hot: false, liveReload: false, client: false,
      proxy: [{ context: ["/api"], target }], ...options,
    },
    compiler,
  );
  await server.start();
}
console.log("It listens.");
