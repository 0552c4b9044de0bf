// Two people of one organization, each in a browser of their own, chat through the real server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, startBrowser } from "./browser.js";
import { PATIENCE_MS, call, composer, messages, reads, say, signIn } from "./screens.js";
import { startServer } from "./server.js";

let server;
let browser;
let anna;
let bertil;
let direct;

before(async () => {
  server = await startServer();
  browser = await startBrowser();
  anna = await openPage(browser);
  bertil = await openPage(browser);
  await signIn(anna, server.url("acme"), "anna");
  await signIn(bertil, server.url("acme"), "bertil");
  const people = (await call(server, "acme", "anna", "users/list", { limit: 100 })).items;
  const id = (name) => people.find((person) => person.display_name.toLowerCase().startsWith(name)).id;
  direct = await call(server, "acme", "anna", "plugins/chat/conversations.create", {
    kind: "direct",
    members: [id("bertil")],
  });
  await anna.goto(new URL(`/chat/${direct.id}`, server.url("acme")).href);
  await bertil.goto(new URL(`/chat/${direct.id}`, server.url("acme")).href);
  await composer(anna).waitFor({ timeout: PATIENCE_MS });
  await composer(bertil).waitFor({ timeout: PATIENCE_MS });
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("what anna writes stands in bertil's window, and the other way round", async () => {
  await say(anna, "Hej Bertil, syns jag?");
  await reads(bertil, "Hej Bertil, syns jag?");
  await say(bertil, "Ja, klart och tydligt!");
  await reads(anna, "Ja, klart och tydligt!");
});

test("a message stands there at once and once, before and after the server has it", async () => {
  await say(anna, "En gång räcker");
  await reads(anna, "En gång räcker");
  await reads(bertil, "En gång räcker");
  assert.equal(await messages(anna, "En gång räcker").count(), 1);
});

test("a reload signs nobody out and keeps what was said", async () => {
  await anna.reload();
  await reads(anna, "Hej Bertil, syns jag?");
});

test("typing is shown to the other", async () => {
  await composer(anna).pressSequentially("Jag skriver");
  await bertil.getByTestId("typing").filter({ hasText: /\S/ }).waitFor({ timeout: PATIENCE_MS });
  await composer(anna).fill("");
});

test("what is typed survives a reload", async () => {
  await composer(bertil).fill("Halvfärdig tanke");
  await bertil.waitForTimeout(600);
  await bertil.reload();
  await composer(bertil).waitFor({ timeout: PATIENCE_MS });
  assert.equal(await composer(bertil).inputValue(), "Halvfärdig tanke");
  await composer(bertil).fill("");
});

test("messages written without a connection go out when it is back, once", async () => {
  await anna.context().setOffline(true);
  await say(anna, "Skrivet i tunneln");
  await reads(anna, "Skrivet i tunneln");
  await anna.context().setOffline(false);
  await reads(bertil, "Skrivet i tunneln");
  assert.equal(await messages(anna, "Skrivet i tunneln").count(), 1);
  assert.equal(await messages(bertil, "Skrivet i tunneln").count(), 1);
});

test("markup in a message is text", async () => {
  const markup = '<img src=x onerror="window.hacked=1"><b>fet</b>';
  await say(anna, markup);
  await reads(bertil, markup);
  assert.equal(await bertil.evaluate(() => window.hacked), undefined);
});

test("reading in one window clears the count in another of the same person", async () => {
  const phone = await openPage(browser, { viewport: { width: 390, height: 844 } });
  await signIn(phone, server.url("acme"), "bertil");
  const row = () => phone.locator(`[data-conversation="${direct.id}"]`);
  await row().waitFor({ timeout: PATIENCE_MS });
  await bertil.goto(server.url("acme"));
  await bertil.getByTestId("conversations").waitFor({ timeout: PATIENCE_MS });
  await say(anna, "Läs mig");
  await row().getByTestId("unread").waitFor({ timeout: PATIENCE_MS });
  await bertil.goto(new URL(`/chat/${direct.id}`, server.url("acme")).href);
  await reads(bertil, "Läs mig");
  await row().getByTestId("unread").waitFor({ state: "detached", timeout: PATIENCE_MS });
  await phone.context().close();
});

test("the keyboard alone is enough to find a conversation and write in it", async () => {
  await anna.goto(server.url("acme"));
  const first = anna.getByTestId("conversation").first();
  await first.waitFor({ timeout: PATIENCE_MS });
  await first.focus();
  await anna.keyboard.press("Enter");
  await composer(anna).focus();
  await anna.keyboard.type("Bara tangenter");
  await anna.keyboard.press("Enter");
  await reads(anna, "Bara tangenter");
});

test("no page complained meanwhile", () => {
  // A cut connection is reported by the browser itself, and is part of a test above.
  const real = [...anna.faults, ...bertil.faults].filter((fault) => !/ERR_INTERNET_DISCONNECTED|WebSocket/.test(fault));
  assert.deepEqual(real, []);
});
