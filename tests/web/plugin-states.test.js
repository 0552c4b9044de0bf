// The pages of plugins in every state that there is: fit to look at, fit for everybody, and true to what is answered.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { askAxe, inspect } from "./access.js";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { signIn, until } from "./screens.js";
import { startServer } from "./server.js";
import { stand, world } from "./standin.js";

const SIZES = [
  { width: 320, height: 640 },
  { width: 768, height: 1024 },
  { width: 1440, height: 900 },
];

let server;
let browser;
let acme;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  browser = await startBrowser();
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page of an administrator over made-up answers. */
async function standing(options = {}, language = "sv") {
  const page = await openPage(browser, options);
  const answers = world();
  const line = await stand(page, answers);
  await signIn(page, acme, "anna");
  await page.evaluate((locale) => localStorage.setItem("vaxel:locale", locale), language);
  return { page, answers, line };
}

const go = (page, path) => page.goto(new URL(path, acme).href);
const setting = (page, key) => page.locator(`[data-setting="${key}"]`).getByRole("textbox");

const VIEWS = [
  { name: "plugins-all", path: "/plugins", ready: (page) => page.getByTestId("plugin").nth(5) },
  { name: "plugin-first", path: "/plugins/enkater", ready: (page) => page.getByTestId("ask").last() },
  { name: "plugin-would", path: "/plugins/enkater", open: (page) => page.getByTestId("would-touch-ask").click(), ready: (page) => page.getByTestId("would-touch") },
  { name: "plugin-update", path: "/plugins/arenden", ready: (page) => page.getByTestId("update") },
  { name: "plugin-stopped", path: "/plugins/schema", ready: (page) => page.getByTestId("rollout") },
  { name: "plugin-unavailable", path: "/plugins/gammal", ready: (page) => page.getByTestId("plugin-said") },
  { name: "plugin-form", path: "/plugins/arenden/settings", ready: (page) => page.getByTestId("settings-form") },
  { name: "plugin-wrong", path: "/plugins/arenden/settings", open: fillWrong, ready: (page) => page.getByTestId("setting-problem").last() },
  { name: "plugin-connect", path: "/plugins/arenden/settings", open: (page) => page.getByTestId("connect").first().click(), ready: (page) => page.getByTestId("connect-secret") },
  { name: "plugin-agree", path: "/plugins/arenden/settings", open: (page) => page.getByTestId("connect").nth(1).click(), ready: (page) => page.getByTestId("connect-dialog") },
  { name: "own-connections", path: "/settings", ready: (page) => page.getByTestId("own-connections") },
  { name: "plugin-week", path: "/plugins/arenden/use", ready: (page) => page.getByTestId("use-bars") },
  { name: "plugin-figures", path: "/plugins/arenden/use", open: (page) => page.locator("summary").click(), ready: (page) => page.getByTestId("use-table") },
  { name: "plugin-unused", path: "/plugins/enkater/use", ready: (page) => page.getByText(/Inget under|Nothing in this/) },
  { name: "plugin-letters", path: "/plugins/arenden/health", ready: (page) => page.getByTestId("dead-letter").last() },
];

for (const [language, scheme] of [["sv", "light"], ["en", "dark"], ["en", "light"], ["sv", "dark"]]) {
  test(`every state of plugins in ${language}, ${scheme}, at each width`, { timeout: 900_000 }, async () => {
    const { page } = await standing({ colorScheme: scheme }, language);
    const found = [];
    for (const { name, path, open, ready } of VIEWS) {
      await go(page, path);
      await page.getByRole("main").getByRole("heading").first().waitFor();
      await open?.(page);
      for (const size of SIZES) {
        await page.setViewportSize(size);
        await ready(page).waitFor();
        found.push(...(await inspect(page, `${name}-${size.width}-${scheme}-${language}`, { axe: askAxe(scheme, language) })));
      }
    }
    assert.deepEqual(found, []);
    assertFine(page);
    await page.context().close();
  });
}

test("what waits for somebody stands first, and every state has a word of its own", async () => {
  const { page, answers, line } = await standing();
  await go(page, "/plugins");
  const states = () => page.locator('[data-testid="plugin-state"]').evaluateAll((chips) => chips.map((chip) => chip.dataset.state));
  await page.getByTestId("plugin").nth(5).waitFor();
  assert.deepEqual(await states(), ["suspended", "waiting", "resting", "migrating", "off", "unavailable"]);
  await page.getByText("Går inte att använda").waitFor();
  await page.getByText("its publisher is no longer trusted").waitFor();
  // What another administrator does is there without a reload.
  answers["plugins/enable"]({ plugin: "enkater" });
  line.tell("plugins.switched", { plugin: "enkater", enabled: true });
  await page.locator('[data-plugin="enkater"] [data-state="on"]').waitFor();
  await page.context().close();
});

test("what it would have touched stands beside each thing that it asks for", async () => {
  const { page } = await standing();
  await go(page, "/plugins/enkater");
  await page.getByTestId("would-touch-ask").click();
  const used = (id) => page.locator(`[data-ask="${id}"]`).getByTestId("ask-used");
  await used("http").getByText("Skulle ha använts 12 gånger förra veckan (api.arenden.example).").waitFor();
  await used("interop").getByText("Skulle inte ha använts förra veckan.").waitFor();
  await page.getByTestId("would-touch").getByText(/1\s204 händelser och 312 anrop/).waitFor();
  await page.context().close();
});

test("a week of use is read as bars and as a table", async () => {
  const { page } = await standing({}, "en");
  await go(page, "/plugins/arenden/use");
  await page.getByTestId("use-bars").waitFor();
  assert.equal(await page.getByTestId("use-bars").getByRole("row").count(), 8, "a day without calls is a day as well");
  await page.getByTestId("use-measure").getByText("Failed").click();
  await page.getByTestId("use-bars").getByRole("cell", { name: "41" }).waitFor();
  await page.getByTestId("use-days").getByText("30 days").click();
  await until(page, () => document.querySelectorAll("[data-testid=use-bars] tr").length === 31);
  await page.getByTestId("use-touched").getByText("Store data of its own").waitFor();
  await page.context().close();
});

test("what failed for good is tried again, or thrown away when asked twice", async () => {
  const { page } = await standing({}, "en");
  await go(page, "/plugins/arenden/health");
  await page.getByTestId("health").getByText("It says that it is well").waitFor();
  const letters = page.getByTestId("dead-letter");
  await letters.first().getByText("Reminds of tickets nobody has taken").waitFor();
  await letters.first().getByTestId("dead-letter-retry").click();
  await until(page, () => document.querySelectorAll("[data-testid=dead-letter]").length === 1);
  await until(page, () => document.activeElement?.id === "letters-title");
  await letters.getByTestId("dead-letter-discard").click();
  await page.getByTestId("confirm").getByRole("button", { name: "Throw away" }).click();
  await page.getByText("Nothing has been set aside").waitFor();
  await page.context().close();
});

test("a credential is entered once and never shown; agreeing elsewhere opens another page", async () => {
  const { page, answers } = await standing();
  const asked = [];
  const connect = answers["plugins/connect"];
  answers["plugins/connect"] = (params) => (asked.push(params), connect(params));
  await go(page, "/plugins/arenden/settings");
  const connection = (name) => page.locator(`[data-connection="${name}"]`);
  await connection("helpdesk").getByTestId("connect").click();
  await page.getByTestId("connect-secret").fill("k-123");
  await page.keyboard.press("Enter");
  await page.locator('[data-connection="helpdesk"][data-state="connected"]').waitFor();
  assert.deepEqual(asked, [{ plugin: "arenden", connection: "helpdesk", key: "k-123" }]);
  await connection("helpdesk").getByTestId("disconnect").click();
  await page.getByTestId("confirm").getByRole("button", { name: "Koppla från" }).click();
  await page.locator('[data-connection="helpdesk"][data-state="missing"]').waitFor();
  answers["plugins/connect"] = () => ({ url: new URL("/login", acme).href });
  await connection("calendar").getByTestId("connect").click();
  const [opened] = await Promise.all([page.waitForEvent("popup"), page.getByTestId("connect-submit").click()]);
  await opened.waitForURL(/\/login$/);
  assert.equal(await opened.evaluate(() => window.opener), null);
  // Who comes back is told how it went, and the address says it no longer.
  await go(opened, "/?connection=made");
  await opened.getByTestId("toasts").getByText("Anslutningen är klar.").waitFor();
  assert.equal(new URL(opened.url()).search, "");
  await page.context().close();
});

test("what the server refuses of a setting stands at its field", async () => {
  const { page } = await standing();
  await go(page, "/plugins/arenden/settings");
  await setting(page, "queue").fill("Fel");
  await page.getByTestId("settings-save").click();
  await page.locator('[data-setting="queue"]').getByText("this queue is used by another plugin").waitFor();
  await until(page, () => document.activeElement?.closest("[data-setting]")?.dataset.setting === "queue");
  await page.context().close();
});

test("taking it away with everything in it needs its name", async () => {
  const { page, answers } = await standing();
  const asked = [];
  const uninstall = answers["plugins/uninstall"];
  answers["plugins/uninstall"] = (params) => (asked.push(params), uninstall(params));
  await go(page, "/plugins/arenden");
  await page.getByTestId("uninstall").click();
  await page.getByTestId("uninstall-erase").check();
  await page.getByTestId("uninstall-name").fill("arenden");
  assert.equal(await page.getByTestId("uninstall-submit").isDisabled(), true);
  await page.getByTestId("uninstall-name").fill("Ärenden");
  await page.getByTestId("uninstall-submit").click();
  await page.locator('[data-plugin="arenden"] [data-state="off"]').waitFor();
  assert.deepEqual(asked, [{ plugin: "arenden", erase: true }]);
  await page.context().close();
});

test("what cannot be fetched says so, and is asked for again", async () => {
  const { page, answers } = await standing({}, "en");
  const { "plugins/list": list, "plugins/get": get } = answers;
  const broken = () => {
    throw Object.assign(new Error("broken"), { problem: { status: 503, code: "unavailable", detail: "not now", retry_after_ms: 1 } });
  };
  Object.assign(answers, { "plugins/list": broken, "plugins/get": broken });
  for (const [path, ready] of [["/plugins", "plugins"], ["/plugins/arenden", "consent"]]) {
    await go(page, path);
    await page.getByText("That did not work").waitFor();
    // Held before the answers are good again: by then the page may have asked by itself.
    const again = await page.getByRole("button", { name: "Try again" }).elementHandle();
    Object.assign(answers, { "plugins/list": list, "plugins/get": get });
    await again.evaluate((button) => button.click());
    await page.getByTestId(ready).waitFor();
    Object.assign(answers, { "plugins/list": broken, "plugins/get": broken });
  }
  answers["plugins/list"] = () => ({ items: [] });
  await go(page, "/plugins");
  await page.getByText("No plugin is installed").waitFor();
  await page.context().close();
});

async function fillWrong(page) {
  await setting(page, "queue").fill("F");
  await setting(page, "limit").fill("1,5");
  await page.getByTestId("settings-save").click();
}
