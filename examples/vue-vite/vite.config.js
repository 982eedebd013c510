// Vite, its proxy pointed at Unbuffered.
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const unbuffered = process.env.UNBUFFERED ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [vue()],
  server: {
    port: Number(process.env.PORT ?? 5173),
    strictPort: true,
    // Not in the short form "/sse": unbuffered, which sends Unbuffered's own host
    // as Host: redirects would lead away from the page's address.
    proxy: {
      "/server1": { target: unbuffered },
      "/server2": { target: unbuffered },
      "/sse": { target: unbuffered },
      "/echo": { target: unbuffered, ws: true },
    },
  },
});
