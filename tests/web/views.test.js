// Each view: reachable for everybody (axe), in good shape at every width, and within its budget.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations } from "./access.js";
import { openPage, screenshot, startBrowser } from "./browser.js";
import { PATIENCE_MS, call, composer, signIn } from "./screens.js";
import { startServer } from "./server.js";

const WIDTHS = [
  { width: 320, height: 640 },
  { width: 768, height: 1024 },
  { width: 1440, height: 900 },
];

/** From the first request to the first conversation on the screen, on a machine that builds beside it. */
const FIRST_VIEW_MS_MAX = 5_000;

/** What comes over the wire before anything is asked for, compressed. */
const FIRST_LOAD_BYTES_MAX = 200_000;

let server;
let browser;
let conversation;

before(async () => {
  server = await startServer();
  browser = await startBrowser();
  const list = await call(server, "acme", "anna", "plugins/chat/conversations.list", { limit: 100 });
  conversation = list.items.find((item) => item.kind === "channel") ?? list.items[0];
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

const VIEWS = [
  { name: "chat", path: () => "/", ready: (page) => page.getByTestId("conversations") },
  { name: "conversation", path: () => `/chat/${conversation.id}`, ready: (page) => composer(page) },
  { name: "people", path: () => "/people", ready: (page) => page.locator("main h1, main h2").first() },
  { name: "settings", path: () => "/settings", ready: (page) => page.locator("main h1, main h2").first() },
];

for (const language of ["sv", "en"]) {
  for (const scheme of ["light", "dark"]) {
    test(`every view in ${language}, ${scheme}, at each width`, { timeout: 240_000 }, async () => {
      await call(server, "acme", "anna", "users/update_me", { locale: language });
      const page = await openPage(browser, { colorScheme: scheme, locale: language === "sv" ? "sv-SE" : "en-GB" });
      await signIn(page, server.url("acme"), "anna");
      const found = [];
      for (const view of VIEWS) {
        for (const size of WIDTHS) {
          await page.setViewportSize(size);
          await page.goto(new URL(view.path(), server.url("acme")).href);
          await view.ready(page).waitFor({ timeout: PATIENCE_MS });
          await settled(page);
          await screenshot(page, `${view.name}-${size.width}-${scheme}-${language}`);
          for (const violation of await violations(page)) found.push(`${view.name} at ${size.width}: ${violation}`);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (wide > 0) found.push(`${view.name} at ${size.width}: ${wide} px stick out to the side`);
        }
      }
      assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      assert.deepEqual([...new Set(found)], []);
      assert.deepEqual(page.faults, []);
      await page.context().close();
    });
  }
}

test("the start page and the login page are open to everybody", { timeout: 120_000 }, async () => {
  const found = [];
  for (const scheme of ["light", "dark"]) {
    const page = await openPage(browser, { colorScheme: scheme });
    for (const [name, url] of [["start", server.start], ["login", new URL("/login", server.url("acme")).href]]) {
      for (const size of WIDTHS) {
        await page.setViewportSize(size);
        await page.goto(url);
        await page.locator("h1").first().waitFor({ timeout: PATIENCE_MS });
        await settled(page);
        await screenshot(page, `${name}-${size.width}-${scheme}-sv`);
        for (const violation of await violations(page)) found.push(`${name} at ${size.width}: ${violation}`);
      }
    }
    assert.deepEqual(page.faults.filter((fault) => !fault.includes("401")), []);
    await page.context().close();
  }
  assert.deepEqual([...new Set(found)], []);
});

test("one click on the start page signs a person in", { timeout: 60_000 }, async () => {
  const page = await openPage(browser);
  await page.goto(server.start);
  const person = page.getByRole("link", { name: /Bertil/ }).or(page.getByRole("button", { name: /Bertil/ })).first();
  await person.waitFor({ timeout: PATIENCE_MS });
  const [opened] = await Promise.all([
    page.context().waitForEvent("page", { timeout: 3_000 }).catch(() => page),
    person.click(),
  ]);
  await opened.getByTestId("conversations").waitFor({ timeout: PATIENCE_MS });
  assert.equal(new URL(opened.url()).hostname, "acme.localhost");
  await page.context().close();
});

test("the first load keeps its budget", { timeout: 60_000 }, async () => {
  const page = await openPage(browser);
  let bytes = 0;
  page.on("response", async (response) => {
    const size = await response.request().sizes().catch(() => undefined);
    bytes += size?.responseBodySize ?? 0;
  });
  await page.goto(server.url("acme"));
  await page.locator('input[type="password"]').waitFor({ timeout: PATIENCE_MS });
  await page.waitForLoadState("networkidle");
  assert.ok(bytes > 10_000, `${bytes} bytes were counted`);
  assert.ok(bytes <= FIRST_LOAD_BYTES_MAX, `the first load is ${bytes} bytes`);
  await signIn(page, server.url("acme"), "anna");
  const began = Date.now();
  await page.reload();
  await page.getByTestId("conversation").first().waitFor({ timeout: PATIENCE_MS });
  const took = Date.now() - began;
  assert.ok(took <= FIRST_VIEW_MS_MAX, `a returning person waits ${took} ms for the list`);
  const shift = await page.evaluate(
    () =>
      new Promise((done) => {
        let sum = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done(sum), 300);
      }),
  );
  assert.ok(shift < 0.1, `the layout shifts by ${shift}`);
  await page.context().close();
});

test("the pages carry a strict policy and what never changes is kept", { timeout: 60_000 }, async () => {
  const page = await openPage(browser);
  const response = await page.goto(server.url("acme"));
  const policy = response.headers()["content-security-policy"];
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe-eval|script-src[^;]*unsafe-inline/);
  const script = await page.locator("script[src]").first().getAttribute("src");
  const asset = await page.request.get(new URL(script, server.url("acme")).href);
  assert.match(asset.headers()["cache-control"], /immutable/);
  assert.ok(["br", "gzip"].includes(asset.headers()["content-encoding"]), "compressed ahead of time");
  await page.context().close();
});

/** Fonts are there and skeletons are gone. */
async function settled(page) {
  await page.evaluate(() => document.fonts.ready);
  await page.getByTestId("skeleton").first().waitFor({ state: "detached", timeout: PATIENCE_MS }).catch(() => {});
}
