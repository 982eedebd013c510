import { defineConfig } from "vite";

const port = process.env.PORT; // set by playwright.config.js

export default defineConfig({
  // Else Vite may find one of them late, and load the page anew in the middle of a test.
  optimizeDeps: { include: ["react", "react-dom/client", "react/jsx-dev-runtime"] },
  server: { port: Number(port ?? 5173), strictPort: true, hmr: port === undefined },
});
