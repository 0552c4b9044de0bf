// A person's own connections: found in their settings, agreed to at the other service's page, and given up again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "./access.js";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { call, signIn } from "./screens.js";
import { startOutside, startServer } from "./server.js";

/** As the stand-in for the other service knows us. */
const CLIENT = { client_id: "vaxel at outside", client_secret: "cl!ent/s3cret+" };

const SIZES = [
  { width: 320, height: 640 },
  { width: 1440, height: 900 },
];

let outside;
let server;
let browser;
let acme;

before(async () => {
  outside = await startOutside();
  server = await startServer({ config: outside.config });
  acme = server.url("acme");
  browser = await startBrowser(["--host-resolver-rules=MAP *.outside.test 127.0.0.1"]);
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
  await outside?.stop();
});

const own = (page) => page.getByTestId("own-connections").locator('[data-connection="own"]');
const inState = (page, state) => page.getByTestId("own-connections").locator(`[data-connection="own"][data-state="${state}"]`).waitFor();
const settings = (page) => page.goto(new URL("/settings", acme).href);

/** Presses on to the other service; answers its page, in a tab of its own. */
async function goesThere(page) {
  await own(page).getByTestId("connect").click();
  const opened = page.context().waitForEvent("page");
  await page.getByTestId("connect-submit").click();
  const there = await opened;
  await there.getByRole("link", { name: "Agree" }).waitFor();
  return there;
}

test("what is off asks nobody for a connection, and it comes when it is switched on", { timeout: 400_000 }, async () => {
  await call(server, "acme", "anna", "plugins/disable", { plugin: "outside" });
  const page = await openPage(browser, { ignoreHTTPSErrors: true });
  await signIn(page, acme, "bertil");
  await settings(page);
  await page.getByTestId("sign-out").waitFor();
  assert.equal(await page.getByTestId("own-connections").count(), 0);
  await call(server, "acme", "anna", "plugins/enable", { plugin: "outside" });
  await inState(page, "missing");
  assert.equal(await page.getByTestId("own-connections").getByTestId("connection").count(), 1, "the organization's are none of theirs");
  // Nobody has made us known there yet, and only an administrator can.
  await own(page).getByTestId("connect").click();
  assert.equal(await page.getByTestId("connect-name").count(), 0);
  await page.getByTestId("connect-submit").click();
  await page.getByTestId("connect-dialog").getByText(/En administratör behöver först registrera Växel/).waitFor();
  assertFine(page, /503|plugins\/connect/);
  await page.context().close();
});

test("an administrator makes us known there, and everybody agrees for themselves", { timeout: 600_000 }, async () => {
  const anna = await openPage(browser, { ignoreHTTPSErrors: true });
  await signIn(anna, acme, "anna");
  await settings(anna);
  await inState(anna, "missing");
  await own(anna).getByTestId("connect").click();
  await anna.getByTestId("connect-name").fill(CLIENT.client_id);
  await anna.getByTestId("connect-secret").fill(CLIENT.client_secret);
  const opened = anna.context().waitForEvent("page");
  await anna.getByTestId("connect-submit").click();
  const there = await opened;
  await there.getByRole("link", { name: "Agree" }).waitFor();
  assert.equal(await there.evaluate(() => window.opener), null, "the other service has no hold on this page");
  await there.getByRole("link", { name: "Agree" }).click();
  await there.getByTestId("toasts").getByText("Anslutningen är klar.").waitFor();
  assert.equal(new URL(there.url()).search, "", "nothing of it stays in the address");
  // Nobody comes back to the tab they left, and it knows.
  await inState(anna, "connected");
  assertFine(anna);
  await anna.context().close();

  for (const [language, locale] of [["sv", "sv-SE"], ["en", "en-GB"]]) {
    await call(server, "acme", "bertil", "users/update_me", { locale: language });
    const bertil = await openPage(browser, { ignoreHTTPSErrors: true, locale, colorScheme: language === "sv" ? "light" : "dark" });
    await signIn(bertil, acme, "bertil");
    await settings(bertil);
    await inState(bertil, "missing");
    const found = [];
    for (const size of SIZES) {
      await bertil.setViewportSize(size);
      await bertil.getByTestId("own-connections").scrollIntoViewIfNeeded();
      found.push(...(await inspect(bertil, `own-connection-${size.width}-${language}`)));
    }
    assert.deepEqual(found, []);
    const there = await goesThere(bertil);
    await there.getByRole("link", { name: "Agree" }).click();
    await there.getByTestId("toasts").waitFor();
    await inState(bertil, "connected");
    assert.equal((await call(server, "acme", "bertil", "plugins/outside/fetch", { url: `https://api.outside.test:${outside.port}/needs-token`, connection: "own" })).status, 200, "and it works");
    await own(bertil).getByTestId("disconnect").click();
    await bertil.getByTestId("confirm").getByRole("button").last().click();
    await inState(bertil, "missing");
    assertFine(bertil);
    await bertil.context().close();
  }
});

test("whoever says no there has no connection, and is told so", { timeout: 400_000 }, async () => {
  await call(server, "acme", "bertil", "users/update_me", { locale: "en" });
  const page = await openPage(browser, { ignoreHTTPSErrors: true, locale: "en-GB" });
  await signIn(page, acme, "bertil");
  await settings(page);
  await inState(page, "missing");
  const there = await goesThere(page);
  await there.getByRole("link", { name: "Refuse" }).click();
  await there.getByTestId("toasts").getByText("The connection was not made.").waitFor();
  await own(page).getByText("Not connected").waitFor();
  const { items } = await call(server, "acme", "bertil", "plugins/connections", { plugin: "outside" });
  assert.equal(items[0].state, "missing");
  assertFine(page);
  await page.context().close();
});
