import { expect, test } from "@playwright/test";
import { replay, serve } from "./unbuffered.js";

let upstream;
let proxy;

test.afterEach(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

test("the page reconnects when its stream is cut inside event 3", async ({ page }) => {
  // Both are answers to the same request, so they take turns: the whole stream, of
  // which the first request gets two events and a half, then the rest.
  upstream = await replay("records", "--speed", "max",
    "--fault", "kind=fin,after=3,inside=true,times=1");
  proxy = await serve(upstream.url);
  const asked = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/api/events")) asked.push(request);
  });

  await page.goto(proxy.url);
  await expect(page.getByRole("listitem")).toHaveText(
    ["event 1", "event 2", "event 3", "event 4", "event 5"]);
  await expect(page.getByRole("status")).toHaveText("open");
  expect(asked).toHaveLength(2);
  expect(await asked[1].headerValue("last-event-id")).toBe("2");
});
