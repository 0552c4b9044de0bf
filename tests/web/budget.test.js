// What the client may cost: bytes before anything shows, and what an interaction draws when much is in memory. How long that
// takes is a matter of the machine: `cargo xtask bench client`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { CONVERSATIONS, crowd, MESSAGES, message } from "./crowd.js";
import { composer, delivered, signIn } from "./screens.js";
import { startServer } from "./server.js";

const FIRST_SCRIPT_BYTES_MAX = 120_000;
const FIRST_LOAD_BYTES_MAX = 200_000;
const LATER_ROUTE_BYTES_MAX = 60_000;

/** What stands in the page is what is seen and some screens around it, however much there is. */
const ELEMENTS_MAX = 6_000;

/** Elements that come, go or change in the page for an interaction: what is seen of it, never what is in memory. */
const CHANGES_MAX = {
  "open the long conversation": 1_200,
  "leave it": 1_200,
  "type a letter": 12,
  "say something": 120,
  "somebody says something": 60,
  "scroll a screen up": 1_000,
  "filter the list": 1_500,
};

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

test("the first load and each later route keep their budgets", { timeout: 400_000 }, async () => {
  const page = await openPage(browser);
  const loaded = weigh(page);
  await signIn(page, acme, "anna");
  await page.getByTestId("conversation").first().waitFor();
  const first = await loaded.next();
  assert.ok(first.script > 10_000, `${first.script} bytes of script were counted`);
  assert.ok(first.script <= FIRST_SCRIPT_BYTES_MAX, `the first load has ${first.script} bytes of script`);
  assert.ok(first.all <= FIRST_LOAD_BYTES_MAX, `the first load is ${first.all} bytes`);
  for (const [place, item] of [["people", "person"], ["plugins", "plugin"], ["surveys", "survey"]]) {
    await page.getByTestId(`place-${place}`).click();
    await page.getByTestId(item).first().waitFor();
    const route = await loaded.next();
    assert.ok(route.all <= LATER_ROUTE_BYTES_MAX, `${place} is ${route.all} bytes`);
  }
  loaded.stop();
  await page.goto(acme);
  await page.getByTestId("conversation").first().click();
  await page.getByTestId("message").last().waitFor();
  const shift = await page.evaluate(() => window.layoutShift);
  assert.ok(shift < 0.1, `the layout shifts by ${shift}`);
  assertFine(page);
  await page.context().close();
});

test("the pages carry a strict policy, and what never changes is kept", { timeout: 240_000 }, async () => {
  const page = await openPage(browser);
  const asset = page.waitForResponse((response) => /\/assets\/.+\.js$/.test(response.url()));
  const response = await page.goto(acme);
  const policy = response.headers()["content-security-policy"];
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe-eval|unsafe-inline/);
  const headers = (await asset).headers();
  assert.match(headers["cache-control"], /immutable/);
  assert.ok(["br", "gzip"].includes(headers["content-encoding"]), "compressed ahead of time");
  assert.doesNotMatch(response.headers()["cache-control"] ?? "", /immutable/);
  await page.context().close();
});

test(`with ${MESSAGES} messages and ${CONVERSATIONS} conversations in memory an interaction touches what it changes`, { timeout: 900_000 }, async (t) => {
  const page = await openPage(browser);
  const { own, line, enter, leave } = await crowd(page, server);
  assert.equal(await page.getByTestId("conversations").getByRole("listitem").first().getAttribute("aria-setsize"), String(CONVERSATIONS));
  const counts = {};
  const touches = async (what, interaction) => {
    await settled(page);
    const counted = await page.evaluateHandle(countChanges);
    await interaction();
    await settled(page);
    counts[what] = await counted.evaluate((each) => each.stop());
  };
  await touches("open the long conversation", enter);
  await touches("leave it", leave);
  await enter();
  await touches("type a letter", () => composer(page).press("a"));
  await touches("say something", async () => {
    await composer(page).fill("Sagt");
    await composer(page).press("Enter");
    await delivered(page, "Sagt").waitFor();
  });
  await touches("somebody says something", async () => {
    line.send([message(own, "late", "Nyss", Date.now() + 1000)]);
    await page.getByText("Nyss", { exact: true }).last().waitFor();
  });
  await touches("scroll a screen up", () => page.getByTestId("message-scroll").evaluate((box) => box.scrollBy(0, -box.clientHeight)));
  await touches("filter the list", () => page.getByTestId("conversation-search").fill("Samtal 12"));
  const elements = await page.evaluate(() => document.querySelectorAll("*").length);
  t.diagnostic(`changes in the page: ${JSON.stringify(counts)}; ${elements} elements`);
  const over = Object.entries(counts).filter(([what, count]) => count > CHANGES_MAX[what]);
  assert.deepEqual(over, [], "an interaction draws more than it changes");
  assert.deepEqual(Object.keys(counts).sort(), Object.keys(CHANGES_MAX).sort());
  assert.ok(elements <= ELEMENTS_MAX, `${elements} elements stand in the page`);
  assertFine(page);
  await page.context().close();
});

/** Two frames, so that what an interaction asks for is drawn. */
const settled = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** Counts the elements that come, go or change from now on. Runs in the page. */
function countChanges() {
  let count = 0;
  const size = (nodes) => [...nodes].reduce((sum, node) => sum + 1 + (node.querySelectorAll?.("*").length ?? 0), 0);
  const add = (records) => {
    for (const record of records) count += record.type === "childList" ? size(record.addedNodes) + size(record.removedNodes) : 1;
  };
  const observer = new MutationObserver(add);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  return {
    stop() {
      add(observer.takeRecords());
      observer.disconnect();
      return count;
    },
  };
}

/** Adds up what answers weigh when compressed with gzip, since the last time it was asked. */
function weigh(page) {
  let waiting = [];
  const hear = (response) => {
    if (response.status() !== 200 || new URL(response.url()).pathname.startsWith("/api/")) return;
    waiting.push(
      response.body().then((body) => {
        const type = response.headers()["content-type"] ?? "";
        const size = /font|image\/(png|webp)/.test(type) ? body.length : gzipSync(body, { level: 9 }).length;
        return { script: type.includes("javascript") ? size : 0, all: size };
      }),
    );
  };
  page.on("response", hear);
  return {
    async next() {
      await page.waitForLoadState("networkidle");
      const sizes = await Promise.all(waiting);
      waiting = [];
      return sizes.reduce((sum, size) => ({ script: sum.script + size.script, all: sum.all + size.all }), { script: 0, all: 0 });
    },
    stop: () => page.off("response", hear),
  };
}
