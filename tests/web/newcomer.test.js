// What somebody new stumbles over: a newcomer who is not found, a deletion that is lost, a language that is forgotten.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { act, call, composer, delivered, messages, openConversation, peopleOf, reads, row, say, signIn } from "./screens.js";
import { PASSWORD, startServer } from "./server.js";

let server;
let browser;
let acme;
let anna;
let bertil;
let direct;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  browser = await startBrowser();
  anna = await openPage(browser);
  bertil = await openPage(browser);
  await signIn(anna, acme, "anna");
  await signIn(bertil, acme, "bertil");
  const people = await peopleOf(server, "acme", "anna");
  direct = await call(server, "acme", "anna", "plugins/chat/conversations.create", { kind: "direct", members: [people.bertil] });
  await openConversation(anna, acme, direct.id);
  await openConversation(bertil, acme, direct.id);
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

async function deleteOnScreen(page, text) {
  await say(page, text);
  await reads(bertil, text);
  await act(page, text, "delete");
  await messages(page, text).waitFor({ state: "detached" });
}

test("a deletion is not called done while the other can still read the message", async () => {
  await deleteOnScreen(anna, "Borta om en stund");
  const toast = anna.getByTestId("toasts");
  await toast.getByText("Meddelandet tas bort om några sekunder").waitFor();
  assert.equal(await messages(bertil, "Borta om en stund").count(), 1);
  await toast.getByText("Meddelandet är borttaget").waitFor();
  await messages(bertil, "Borta om en stund").waitFor({ state: "detached" });
});

test("the notice about it does not cover what is being written", async () => {
  await anna.setViewportSize({ width: 1280, height: 800 });
  await deleteOnScreen(anna, "Täck inte min text");
  const toast = await anna.getByTestId("toasts").boundingBox();
  const box = await composer(anna).boundingBox();
  assert.ok(toast.y + toast.height <= box.y, `${toast.y} + ${toast.height} over ${box.y}`);
  await anna.getByTestId("toasts").getByRole("button", { name: "Ångra" }).click();
  await delivered(anna, "Täck inte min text").waitFor();
  await anna.setViewportSize({ width: 1440, height: 900 });
});

test("closing the page carries a deletion out", async () => {
  const tab = await openPage(browser);
  await signIn(tab, acme, "anna");
  await openConversation(tab, acme, direct.id);
  await deleteOnScreen(tab, "Stängd flik");
  await tab.close({ runBeforeUnload: true });
  await messages(bertil, "Stängd flik").waitFor({ state: "detached" });
  await tab.context().close();
});

test("signing out carries a deletion out", async () => {
  const tab = await openPage(browser);
  await signIn(tab, acme, "anna");
  await openConversation(tab, acme, direct.id);
  await deleteOnScreen(tab, "Loggar ut nu");
  // By the page's own links: loading another page would carry it out as well.
  await tab.locator("a.me").click();
  await tab.getByTestId("sign-out").click();
  await tab.getByTestId("login").waitFor();
  await messages(bertil, "Loggar ut nu").waitFor({ state: "detached" });
  assertFine(tab);
  await tab.context().close();
});

test("what an edited message said before is one press away", async () => {
  await say(anna, "Mötet är kl 9");
  await act(anna, "Mötet är kl 9", "edit");
  await composer(anna).fill("Mötet är kl 14");
  await composer(anna).press("Enter");
  const edited = bertil.getByTestId("message").filter({ hasText: "Mötet är kl 14" });
  await edited.getByTestId("edited").click();
  const history = bertil.getByTestId("history");
  await history.getByTestId("former-text").filter({ hasText: "Mötet är kl 9" }).waitFor();
  await bertil.keyboard.press("Escape");
  await history.waitFor({ state: "detached" });
});

test("who takes an invitation is found at once by those who are here, and finds channels first", async () => {
  await call(server, "acme", "anna", "plugins/chat/conversations.create", { kind: "channel", name: "Öppet hus", members: [], public: true });
  const { link } = await call(server, "acme", "anna", "users/invite", { login: "nora", display_name: "Nora Nykomling" });
  const invitation = new URL(link);
  const nora = await openPage(browser);
  await nora.goto(new URL(`/invite${invitation.hash}`, acme).href);
  await nora.getByTestId("new-password").fill(PASSWORD);
  await nora.getByTestId("accept").click();
  await nora.getByTestId("find-channels").click();
  await nora.getByTestId("create-dialog").getByText("Öppet hus").waitFor();
  await anna.getByTestId("new-conversation").click();
  await anna.getByTestId("people-search").fill("Nora");
  await anna.getByTestId("person-option").filter({ hasText: "Nora Nykomling" }).click();
  await anna.getByTestId("create-submit").click();
  await anna.getByTestId("conversation-name").filter({ hasText: "Nora Nykomling" }).waitFor();
  assertFine(nora);
  await nora.context().close();
  await openConversation(anna, acme, direct.id);
});

test("the audit log says who did what about whom, by action and as a file", async () => {
  const page = await openPage(browser);
  await signIn(page, acme, "anna");
  await page.goto(new URL("/people", acme).href);
  await page.getByTestId("tab-audit").click();
  const invited = page.locator('[data-action="users.invite"]').first();
  await invited.filter({ hasText: "Nora Nykomling" }).filter({ hasText: "Anna" }).filter({ hasText: "Gjort" }).waitFor();
  await page.getByTestId("audit-filter").selectOption("users.invite");
  const actions = await page.getByTestId("audit-entry").evaluateAll((rows) => rows.map((each) => each.dataset.action));
  assert.deepEqual([...new Set(actions)], ["users.invite"]);
  const saved = async (kind) => {
    const waiting = page.waitForEvent("download");
    await page.getByTestId(`audit-${kind}`).click();
    const file = await waiting;
    assert.match(file.suggestedFilename(), new RegExp(`^audit-acme-[0-9-]+[.]${kind}$`));
    return readFileSync(await file.path(), "utf8");
  };
  const entries = JSON.parse(await saved("json"));
  assert.equal(entries.length, actions.length);
  assert.equal(entries[0].action, "users.invite");
  const csv = await saved("csv");
  assert.match(csv, /"at","actor","actor_name","action","target","target_name","outcome"/);
  assert.match(csv, /"Nora Nykomling"/);
  await page.getByTestId("audit-filter").selectOption("");
  assertFine(page);
  await page.context().close();
});

test("an english browser reads english from the start page into the app, and after signing out", async () => {
  const page = await openPage(browser, { locale: "en-GB" });
  await page.goto(server.start);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  await page.getByTestId("demo-person").first().click();
  await page.getByTestId("conversations").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  await page.locator("a.me").click();
  await page.getByTestId("sign-out").click();
  await page.getByTestId("login").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  await page.reload();
  await page.getByTestId("login").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  assertFine(page);
  await page.context().close();
});

test("on a phone the search is at hand and says what it finds", async () => {
  const phone = await openPage(browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await signIn(phone, acme, "bertil");
  await row(phone, direct.id).waitFor();
  await phone.getByTestId("open-palette-narrow").tap();
  await phone.getByTestId("palette-input").fill("Mötet är kl 14");
  await phone.getByTestId("palette").getByText("inte texten i meddelanden").waitFor();
  assertFine(phone);
  await phone.context().close();
});

test("no page complained meanwhile", () => {
  assertFine(anna);
  assertFine(bertil);
});
