// Pages of plugins in the browser: drawn for everybody, hostile ones harmless, what was typed never lost.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { askAxe, inspect, violations } from "./access.js";
import { assertFine, CUT, openPage, startBrowser } from "./browser.js";
import { call, signIn, until } from "./screens.js";
import { startServer } from "./server.js";

const WIDTHS = [
  { width: 320, height: 640 },
  { width: 768, height: 1024 },
  { width: 1440, height: 900 },
];

const LOCALES = { sv: "sv-SE", en: "en-GB" };

/** A page is refused by the host (500); a form is refused (409, 422), or the plugin stops (502); a page is gone (404). */
const REFUSED = /\b(404|409|422|500|502)\b/;

let server;
let browser;
let acme;

before(async () => {
  server = await startServer();
  server.plug("paged", "acme");
  acme = server.url("acme");
  browser = await startBrowser();
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

const at = (path) => new URL(path, acme).href;

/** Everything a page asks for, by address. */
function asks(page) {
  const list = [];
  page.on("request", (request) => list.push(request.url()));
  return list;
}

for (const [language, locale] of Object.entries(LOCALES)) {
  for (const scheme of ["light", "dark"]) {
    test(`public pages and pages in the app in ${language}, ${scheme}, at each width`, { timeout: 900_000 }, async () => {
      const found = [];
      const nobody = await openPage(browser, { colorScheme: scheme, locale });
      for (const [name, path] of [["survey", "/p/paged/survey"], ["hostile", "/p/paged/hostile"], ["thanks", "/p/paged/survey/thanks"]]) {
        await nobody.goto(at(path));
        assert.equal(await nobody.evaluate(() => document.documentElement.lang), language);
        for (const size of WIDTHS) {
          await nobody.setViewportSize(size);
          found.push(...(await inspect(nobody, `public-${name}-${size.width}-${scheme}-${language}`, { axe: askAxe(scheme, language) })));
        }
      }
      assertFine(nobody);
      await nobody.context().close();
      await call(server, "acme", "anna", "users/update_me", { locale: language });
      const page = await openPage(browser, { colorScheme: scheme, locale });
      await signIn(page, acme, "anna");
      for (const name of ["board", "survey", "hostile"]) {
        await page.goto(at(`/x/paged/${name}`));
        for (const size of WIDTHS) {
          await page.setViewportSize(size);
          await page.getByTestId("plugin-page").waitFor();
          found.push(...(await inspect(page, `page-${name}-${size.width}-${scheme}-${language}`, { axe: askAxe(scheme, language) })));
        }
      }
      assertFine(page);
      await page.context().close();
      assert.deepEqual(found, []);
    });
  }
}

test("a public form is filled by keyboard, keeps what was typed when it is refused, and is sent without loading anew", { timeout: 400_000 }, async () => {
  const page = await openPage(browser, { locale: "en-GB" });
  await page.goto(at("/p/paged/survey"));
  await page.evaluate(() => (window.still = true));
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.getByLabel("Why?").fill("Because\nI say so");
  await page.getByLabel("Name").fill(" ");
  await page.getByLabel("Name").fill("refuse");
  await page.getByRole("radio", { name: "Red" }).check();
  await page.getByRole("group", { name: "Good ones" }).getByLabel("Blue").check();
  await page.getByLabel("Age").fill("41");
  await page.getByRole("button", { name: "Send" }).press("Enter");
  await page.getByText("The survey has just been closed.").waitFor();
  assert.equal(await page.getByLabel("Why?").inputValue(), "Because\nI say so");
  assert.ok(await page.getByRole("group", { name: "Good ones" }).getByLabel("Blue").isChecked());
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "alert");

  await page.getByLabel("Name").fill("Eva");
  await page.reload();
  assert.equal(await page.getByLabel("Why?").inputValue(), "Because\nI say so", "a reload keeps it");
  assert.equal(await page.getByLabel("Name").inputValue(), "Eva");
  await page.evaluate(() => (window.still = true));
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("The server cannot be reached.").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "Eva");
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("Your answer is saved.").waitFor();
  assert.equal(new URL(page.url()).pathname, "/p/paged/survey/thanks");
  assert.equal(await page.evaluate(() => window.still), true, "the page was not loaded anew");
  await page.goBack();
  await page.getByLabel("Name").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "", "what was sent is not kept");
  assertFine(page, new RegExp(`${CUT.source}|${REFUSED.source}`));
  await page.context().close();
});

test("a public form needs no script, and the whole page is small", { timeout: 400_000 }, async () => {
  const page = await openPage(browser, { locale: "sv-SE", javaScriptEnabled: false });
  let bytes = 0;
  page.on("response", async (response) => {
    bytes += await response.request().sizes().then(({ responseBodySize }) => responseBodySize).catch(() => 0);
  });
  await page.goto(at("/p/paged/survey"));
  await page.getByLabel("Name").fill("Ulla");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("Your answer is saved.").waitFor();
  assert.ok(bytes > 0 && bytes < 60_000, `${bytes} bytes`);
  console.log(`    page, style and script: ${bytes} bytes as sent, twice the page`);
  await page.context().close();
});

const HOSTILE = ["javascript", "spaced", "data", "http", "image", "unknown-key", "html-key", "execute", "deep", "huge-text", "many", "clobber", "token", "lang", "next"];

test("a hostile page gets no token, runs no script and asks nobody else", { timeout: 600_000 }, async () => {
  await call(server, "acme", "anna", "users/update_me", { locale: "en" });
  const page = await openPage(browser, { locale: "en-GB" });
  const asked = asks(page);
  await signIn(page, acme, "anna");
  for (const [name, path] of [["app", "/x/paged/hostile"], ["public", "/p/paged/hostile"]]) {
    await page.goto(at(path));
    await page.getByRole("heading", { level: 1 }).waitFor();
    if (name === "app") await page.getByTestId("plugin-page").waitFor();
    const state = await page.evaluate(() => ({
      stolen: window.stolen,
      scripts: [...document.querySelectorAll("script")].map((script) => script.getAttribute("src")),
      elements: document.querySelectorAll("main :is(script, img, iframe, svg[onload], object, embed, style, link, meta, base)").length,
      handlers: [...document.querySelectorAll("main *")].filter((each) => [...each.attributes].some(({ name }) => name.startsWith("on") || name === "style" || name === "srcdoc")).length,
      links: [...document.querySelectorAll("main a")].map((link) => link.protocol),
    }));
    assert.equal(state.stolen, undefined);
    assert.deepEqual([state.elements, state.handlers], [0, 0], name);
    assert.ok(state.scripts.every((src) => src?.startsWith("/")), JSON.stringify(state.scripts));
    assert.ok(state.links.every((protocol) => protocol === "https:" || protocol === "http:"));
  }
  for (const name of HOSTILE) {
    await page.goto(at(`/x/paged/hostile/${name}`));
    await page.getByText("The plugin answered with something that cannot be shown.").waitFor();
  }
  // What the public page may reach of the session: nothing that a script could read, were there one.
  await page.goto(at("/p/paged/hostile"));
  const cookies = await page.evaluate(() => document.cookie);
  assert.equal(cookies, "");
  const foreign = asked.filter((url) => new URL(url).origin !== new URL(acme).origin);
  assert.deepEqual(foreign, []);
  assertFine(page, REFUSED);
  await page.context().close();
});

test("answers of /hooks/ are nothing to a browser", { timeout: 400_000 }, async () => {
  const page = await openPage(browser);
  await signIn(page, acme, "anna");
  const outcome = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.src = "/hooks/paged/worker.js";
    const ran = new Promise((done) => {
      script.onload = () => done("ran");
      script.onerror = () => done("refused");
    });
    document.head.append(script);
    const worker = await navigator.serviceWorker.register("/hooks/paged/worker.js").then(() => "registered", () => "refused");
    const answer = await fetch("/hooks/paged/html");
    return { script: await ran, worker, type: answer.headers.get("content-type"), cookie: document.cookie };
  });
  assert.deepEqual(outcome, { script: "refused", worker: "refused", type: "text/plain; charset=utf-8", cookie: "" });
  const seen = await page.evaluate(() => fetch("/hooks/paged/what", { headers: { authorization: "Bearer x" } }).then((answer) => answer.json()));
  assert.ok(!seen.headers.some((name) => /cookie|authorization|sec-|forwarded|origin|referer/.test(name)), seen.headers.join());
  await page.context().close();
});

test("a board in the app: refused, kept, saved, and news of others come by themselves", { timeout: 600_000 }, async () => {
  await call(server, "acme", "anna", "users/update_me", { locale: "en" });
  const page = await openPage(browser, { locale: "en-GB" });
  await signIn(page, acme, "anna");
  await page.getByTestId("place-page:paged/board").click();
  await page.getByTestId("plugin-page").waitFor();
  const text = page.getByLabel("Text");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByTestId("page-mistakes").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "page-mistakes");
  await page.getByRole("link", { name: /Write something first/ }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "field-text");
  await text.fill("please refuse this");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByTestId("page-trouble").waitFor();
  assert.equal(await text.inputValue(), "please refuse this");
  await page.reload();
  await text.waitFor();
  assert.equal(await text.inputValue(), "please refuse this", "a reload keeps it");
  await text.fill("The lift is out of order");
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByTestId("page-trouble").waitFor({ timeout: 240_000 });
  assert.equal(await text.inputValue(), "The lift is out of order");
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByText("The lift is out of order").waitFor();
  assert.equal(new URL(page.url()).pathname, "/x/paged/board/saved");

  // Anna types while Bertil changes the board.
  await text.fill("half a sen");
  await call(server, "acme", "anna", "plugins/paged/change", { text: "The lift runs again" });
  await page.getByText("The lift runs again").waitFor();
  assert.equal(await text.inputValue(), "half a sen", "news do not take what is being typed");
  assertFine(page, new RegExp(`${CUT.source}|${REFUSED.source}`));
  await page.context().close();
});

test("switched off, a page and its place are gone within a second with a kind word, and back with what was typed", { timeout: 600_000 }, async () => {
  const page = await openPage(browser, { locale: "en-GB" });
  let heardAt;
  page.on("websocket", (line) => line.on("framereceived", ({ payload }) => String(payload).includes("plugins.switched") && (heardAt ??= Date.now())));
  await signIn(page, acme, "anna");
  await page.getByTestId("place-page:paged/board").click();
  await page.getByLabel("Text").fill("unfinished");
  await page.evaluate(() => {
    new MutationObserver(() => {
      const now = performance.timeOrigin + performance.now();
      if (document.querySelector("[data-testid=page-gone]")) window.goneAt ??= now;
      if (!document.querySelector('[data-testid="place-page:paged/board"]')) window.placeGoneAt ??= now;
    }).observe(document.body, { childList: true, subtree: true });
  });
  await call(server, "acme", "anna", "plugins/disable", { plugin: "paged" });
  await page.getByTestId("page-gone").waitFor();
  await until(page, () => window.placeGoneAt);
  // From when the browser was told: how long a loaded machine takes to switch is another matter.
  const took = await page.evaluate((heard) => Math.max(window.goneAt, window.placeGoneAt) - heard, heardAt);
  assert.ok(took < 1_000, `${took} ms`);
  console.log(`    gone ${Math.round(took)} ms after the page was told`);
  assert.deepEqual(await violations(page), []);
  await call(server, "acme", "anna", "plugins/enable", { plugin: "paged" });
  await page.getByTestId("plugin-page").waitFor();
  assert.equal(await page.getByLabel("Text").inputValue(), "unfinished");
  await page.getByTestId("place-page:paged/board").waitFor();
  assertFine(page, REFUSED);
  await page.context().close();
});

test("the palette finds pages, those outside the navigation too, and for administrators plugins", { timeout: 400_000 }, async () => {
  await call(server, "acme", "anna", "users/update_me", { locale: "en" });
  const find = async (page, words) => {
    await page.keyboard.press("Control+k");
    await page.getByTestId("palette-input").fill(words);
  };
  const hit = (page, name) => page.getByTestId("palette-hit").getByText(name, { exact: true });
  const anna = await openPage(browser, { locale: "en-GB" });
  await signIn(anna, acme, "anna");
  assert.equal(await anna.getByTestId("place-page:paged/survey").count(), 0);
  await find(anna, "surv");
  await hit(anna, "Survey").click();
  await anna.getByTestId("plugin-page").waitFor();
  assert.equal(new URL(anna.url()).pathname, "/x/paged/survey");
  // One that shows nothing without more behind its address is offered to nobody.
  await find(anna, "echo");
  await anna.getByText("Nothing found").waitFor();
  await anna.keyboard.press("Escape");
  await find(anna, "paged");
  await hit(anna, "Paged").click();
  await anna.getByTestId("plugin-head").waitFor();
  assert.equal(new URL(anna.url()).pathname, "/plugins/paged");
  await find(anna, "paged");
  await hit(anna, "Paged").waitFor();
  assert.deepEqual(await violations(anna), []);
  assertFine(anna, /api\/v1\/plugins\/use\)/);
  await anna.context().close();

  await call(server, "acme", "bertil", "users/update_me", { locale: "sv" });
  const bertil = await openPage(browser, { locale: "sv-SE" });
  await signIn(bertil, acme, "bertil");
  await find(bertil, "surv");
  await hit(bertil, "Survey").waitFor();
  await bertil.getByTestId("palette-input").fill("paged");
  await bertil.getByText("Inget hittades").waitFor();
  assertFine(bertil);
  await bertil.context().close();
});

/** Numbers that look random and are the same each time. */
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const SAYINGS = ["plain", "", "<script>window.stolen=1</script>", "\"><img src=x onerror=window.stolen=1>", "javascript:window.stolen=1", "{{constructor.constructor('window.stolen=1')()}}", "å".repeat(300), "\u202eabc", "</textarea><svg onload=window.stolen=1>", "__proto__"];
const KINDS = ["TextBlock", "Heading", "Container", "ColumnSet", "FactSet", "Table", "ActionSet", "Input.Text", "Input.Number", "Input.Date", "Input.Toggle", "Input.ChoiceSet", "Vaxel.Progress", "Vaxel.Notice", "Vaxel.List", "Odd"];

function tree(roll) {
  let count = 0;
  const say = () => SAYINGS[roll(SAYINGS.length)];
  const some = (depth) => Array.from({ length: roll(4) }, () => element(depth + 1));
  const id = () => (roll(12) === 0 ? say() : `field${(count += 1)}`);
  const maybe = (key, value) => (roll(2) === 0 ? { [key]: value } : {});
  const url = () => [`https://x.example/${encodeURIComponent(say())}`, "page:survey/thanks", "page:board", say()][roll(6)] ?? "page:echo";
  const action = () => (roll(2) === 0 ? { type: "Action.Submit", id: id(), title: say() } : { type: "Action.OpenUrl", title: say(), url: url() });
  function element(depth) {
    const kind = KINDS[depth > 4 ? 7 + roll(6) : roll(KINDS.length)];
    const asked = () => ({ type: kind, id: id(), label: say(), ...maybe("Vaxel.hint", say()), ...maybe("Vaxel.error", say()), ...maybe("isRequired", true) });
    switch (kind) {
      case "Heading":
        return { type: "TextBlock", style: "heading", text: say(), size: ["small", "medium", "large", "default"][roll(4)] };
      case "Container":
        return { type: kind, items: some(depth), ...maybe("style", ["good", "attention", "warning"][roll(3)]) };
      case "ColumnSet":
        return { type: kind, columns: [{ items: some(depth) }, { items: some(depth), width: "auto" }] };
      case "FactSet":
        return { type: kind, facts: [{ title: say(), value: say() }] };
      case "Table":
        return { type: kind, rows: Array.from({ length: 1 + roll(3) }, () => ({ cells: [{ items: some(depth) }, { items: some(depth) }] })) };
      case "ActionSet":
        return { type: kind, actions: [action()] };
      case "Input.Text":
        return { ...asked(), value: say(), isMultiline: roll(2) === 0 };
      case "Input.Number":
        return { ...asked(), value: roll(100) };
      case "Input.Date":
        return { ...asked(), value: say() };
      case "Input.Toggle":
        return { type: kind, id: id(), title: say() };
      case "Input.ChoiceSet":
        return { ...asked(), choices: [{ title: say(), value: "a" }, { title: say(), value: "b" }], isMultiSelect: roll(2) === 0, style: ["compact", "expanded"][roll(2)] };
      case "Vaxel.Progress":
        return { type: kind, label: say(), value: roll(9), max: 8 };
      case "Vaxel.Notice":
        return { type: kind, text: say(), ...maybe("title", say()) };
      case "Vaxel.List":
        return { type: kind, items: [{ title: say(), text: say(), url: url() }, { title: say() }] };
      case "Odd":
        return roll(4) === 0 ? { type: say(), html: say() } : { type: "TextBlock", text: say() };
      default:
        return { type: "TextBlock", text: say() };
    }
  }
  return { type: "Page", title: `Tree ${say()}`, body: Array.from({ length: 1 + roll(6) }, () => element(1)), actions: roll(2) === 0 ? [action()] : [] };
}

test("random trees never bring a script and never break the page", { timeout: 900_000 }, async () => {
  await call(server, "acme", "anna", "users/update_me", { locale: "en" });
  const page = await openPage(browser, { locale: "en-GB" });
  const asked = asks(page);
  await signIn(page, acme, "anna");
  const outcomes = { drawn: 0, refused: 0 };
  await page.goto(at("/x/paged/echo/0"));
  for (let seed = 1; seed <= 64; seed += 1) {
    const made = JSON.stringify(tree(dice(seed)));
    await call(server, "acme", "anna", "plugins/show_page", { plugin: "paged", page: "echo", sent: { action: "put", inputs: { tree: made } } });
    // Within the app: an address of its own for each.
    await page.evaluate((path) => {
      const link = Object.assign(document.createElement("a"), { href: path });
      document.body.append(link);
      link.click();
      link.remove();
    }, `/x/paged/echo/${seed}`);
    await page.locator(`[data-path="${seed}"]`).waitFor({ state: "attached" });
    const drawn = await page.getByTestId("plugin-page").count();
    outcomes[drawn ? "drawn" : "refused"] += 1;
    const state = await page.evaluate(() => ({
      stolen: window.stolen,
      bad: document.querySelectorAll(".shell main :is(script, img, iframe, object, embed, style)").length,
      handlers: [...document.querySelectorAll("[data-testid=plugin-page] *")].filter((each) => [...each.attributes].some(({ name }) => name.startsWith("on"))).length,
      rail: document.querySelectorAll("nav.rail a").length > 0,
    }));
    assert.deepEqual(state, { stolen: undefined, bad: 0, handlers: 0, rail: true }, `seed ${seed}: ${made}`);
    const answer = await fetchPublic(page, "/p/paged/echo");
    assert.equal(answer.stolen, 0, `seed ${seed}`);
    assert.equal(answer.status === 200, drawn === 1, `seed ${seed}: both draw it or neither: ${made}`);
  }
  console.log(`    ${outcomes.drawn} drawn, ${outcomes.refused} refused`);
  assert.ok(outcomes.drawn > 5 && outcomes.refused > 5, JSON.stringify(outcomes));
  assert.deepEqual(asked.filter((url) => new URL(url).origin !== new URL(acme).origin), []);
  assertFine(page, REFUSED);
  await page.context().close();
});

/** The same tree as the public renderer draws it, parsed and never shown. */
function fetchPublic(page, path) {
  return page.evaluate(async (path) => {
    const answer = await fetch(path, { credentials: "omit" });
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const bad = parsed.querySelectorAll("main :is(script, img, iframe, svg, object, embed, style)").length;
    const handlers = [...parsed.querySelectorAll("*")].filter((each) => [...each.attributes].some(({ name }) => name.startsWith("on") || name === "style")).length;
    return { status: answer.status, stolen: bad + handlers };
  }, path);
}
