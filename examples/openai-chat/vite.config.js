import { defineConfig } from "vite";

const unbuffered = process.env.UNBUFFERED ?? "http://127.0.0.1:8080";

export default defineConfig({
  server: {
    port: Number(process.env.PORT ?? 5173),
    strictPort: true,
    proxy: {
      "/server1": { target: unbuffered },
      "/_unbuffered/streams": { target: unbuffered },
    },
  },
});
