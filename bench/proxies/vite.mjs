// node vite.mjs PORT ORIGIN_PORT
import { createServer } from "vite";

const [port, origin] = process.argv.slice(2).map(Number);
const server = await createServer({
  root: import.meta.dirname,
  cacheDir: "node_modules/.vite",
  configFile: false,
  logLevel: "error",
  appType: "custom",
  server: {
    host: "127.0.0.1",
    port,
    strictPort: true,
    watch: null,
    proxy: { "/bench": { target: `http://127.0.0.1:${origin}` } },
  },
});
await server.listen();
