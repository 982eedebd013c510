import { defineConfig } from "@playwright/test";

const port = process.env.PORT ?? "5173";

export default defineConfig({
  testDir: "tests",
  forbidOnly: true,
  use: {
    launchOptions: {
      executablePath: process.env.CHROMIUM, // not set: Playwright's own
      args: process.env.CHROMIUM ? ["--no-sandbox"] : [],
    },
  },
  webServer: {
    command: `${JSON.stringify(process.execPath)} node_modules/vite/bin/vite.js`,
    port: Number(port),
    env: { PORT: port },
  },
});
