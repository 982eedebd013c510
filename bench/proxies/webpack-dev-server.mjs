// node webpack-dev-server.mjs PORT ORIGIN_PORT
// compress: false, the setting that people end with: at its default the
// stream would not come through at all.
import webpack from "webpack";
import WebpackDevServer from "webpack-dev-server";

const [port, origin] = process.argv.slice(2).map(Number);
const compiler = webpack({ mode: "development", entry: {}, stats: "none" });
const server = new WebpackDevServer(
  {
    host: "127.0.0.1",
    port,
    compress: false,
    hot: false,
    liveReload: false,
    client: false,
    proxy: [{ context: ["/bench"], target: `http://127.0.0.1:${origin}` }],
  },
  compiler,
);
await server.start();
