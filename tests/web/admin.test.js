// What administrators do, what a new person sees first, and what each decides about themselves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { delivered, reads, say, signIn, until } from "./screens.js";
import { PASSWORD, startServer } from "./server.js";

let server;
let browser;
let acme;
let anna;
let bertil;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  browser = await startBrowser();
  anna = await openPage(browser);
  bertil = await openPage(browser);
  await signIn(anna, acme, "anna");
  await signIn(bertil, acme, "bertil");
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("somebody invited by link chooses a password and chats", async () => {
  await anna.getByTestId("place-people").click();
  await anna.getByTestId("invite").click();
  await anna.getByTestId("invite-name").fill("Åsa Öhman-Ek");
  assert.equal(await anna.getByTestId("invite-login").inputValue(), "asa.ohman.ek");
  await anna.getByTestId("invite-submit").click();
  const link = await anna.getByTestId("one-time-link").inputValue();
  assert.ok(link.startsWith(new URL("/invite#", acme).href), link.replace(/#.*/, "#…"));
  await anna.keyboard.press("Escape");
  await anna.getByTestId("person").filter({ hasText: "Åsa Öhman-Ek" }).waitFor();

  const asa = await openPage(browser);
  await asa.goto(link);
  await asa.getByText("Åsa Öhman-Ek").first().waitFor();
  assert.equal(new URL(asa.url()).hash, "", "the token leaves the address");
  await asa.getByTestId("new-password").fill("kort");
  await asa.getByTestId("accept").click();
  await asa.getByRole("alert").waitFor();
  await asa.getByTestId("new-password").fill("cykel-hjul-tratt-moln");
  await asa.getByTestId("accept").click();
  await asa.getByTestId("new-conversation").waitFor();
  await asa.getByTestId("new-conversation").click();
  await asa.getByTestId("people-search").fill("Anna");
  await asa.getByTestId("person-option").filter({ hasText: "Anna Lindqvist" }).click();
  await asa.getByTestId("create-submit").click();
  await asa.getByTestId("composer").waitFor();
  await say(asa, "Hej, jag är ny här");
  await anna.getByTestId("place-chat").click();
  await anna.getByTestId("conversation").filter({ hasText: "Åsa Öhman-Ek" }).click();
  await reads(anna, "Hej, jag är ny här");
  await say(anna, "Välkommen!");
  await delivered(asa, "Välkommen!").waitFor();
  assertFine(asa);
  await asa.context().close();
});

test("a link works once", async () => {
  await anna.getByTestId("place-people").click();
  await anna.getByTestId("person").filter({ hasText: "Gustav" }).getByTestId("reset").click();
  await anna.getByTestId("confirm").getByRole("button").last().click();
  const link = await anna.getByTestId("one-time-link").inputValue();
  await anna.keyboard.press("Escape");
  const first = await openPage(browser);
  await first.goto(link);
  await first.getByTestId("new-password").fill("lampa-skog-sten-bok");
  await first.getByTestId("accept").click();
  await first.getByTestId("conversations").waitFor();
  assertFine(first);
  await first.context().close();
  const second = await openPage(browser);
  await second.goto(link);
  await second.getByRole("link", { name: /Till inloggningen|Logga in/ }).waitFor();
  assert.equal(await second.getByTestId("new-password").count(), 0);
  await second.context().close();
});

test("who is switched off is out at once, and comes back", async () => {
  const david = await openPage(browser);
  await signIn(david, acme, "david");
  await anna.getByTestId("place-people").click();
  const line = anna.getByTestId("person").filter({ hasText: "David" });
  await line.getByTestId("deactivate").click();
  await anna.getByTestId("confirm").getByRole("button").last().click();
  await david.getByTestId("login").waitFor();
  await line.getByTestId("reactivate").click();
  await line.getByTestId("deactivate").waitFor();
  await signIn(david, acme, "david");
  await david.context().close();
});

test("a plugin that is switched off is gone for everybody, and returns with everything in it", async () => {
  await bertil.goto(acme);
  await bertil.getByTestId("conversation").first().waitFor();
  const before = await bertil.getByTestId("conversation").count();
  assert.ok(before > 0);
  await anna.goto(new URL("/plugins", acme).href);
  const card = anna.locator('[data-testid="plugin"][data-plugin="chat"]');
  await card.getByTestId("plugin-off").click();
  await anna.getByTestId("confirm").getByRole("button").last().click();
  await card.getByTestId("plugin-on").waitFor();
  await anna.getByTestId("place-chat").waitFor({ state: "detached" });
  await bertil.reload();
  await bertil.getByTestId("open-palette").waitFor();
  assert.equal(await bertil.getByTestId("place-chat").count(), 0);
  await card.getByTestId("plugin-on").click();
  await anna.getByTestId("place-chat").waitFor();
  await bertil.reload();
  await bertil.getByTestId("conversation").first().waitFor();
  assert.equal(await bertil.getByTestId("conversation").count(), before);
});

test("who is no administrator finds no page for administrators", async () => {
  await bertil.goto(acme);
  await bertil.getByTestId("conversations").waitFor();
  assert.equal(await bertil.getByTestId("place-people").count(), 0);
  assert.equal(await bertil.getByTestId("place-plugins").count(), 0);
});

test("language and theme change at once, and stay after a reload", async () => {
  await bertil.goto(new URL("/settings", acme).href);
  await bertil.getByText("English", { exact: true }).click();
  await bertil.getByRole("heading", { name: "Settings" }).waitFor();
  await bertil.getByText("Dark", { exact: true }).click();
  const dark = () => document.documentElement.lang === "en" && getComputedStyle(document.documentElement).colorScheme === "dark";
  await until(bertil, dark);
  await bertil.reload();
  await bertil.getByRole("heading", { name: "Settings" }).waitFor();
  await until(bertil, dark);
  // The language is the person's, so another device of theirs speaks it as well.
  const other = await openPage(browser);
  await signIn(other, acme, "bertil");
  await until(other, () => document.documentElement.lang === "en");
  await other.context().close();
});

test("a name changes for everybody", async () => {
  await bertil.getByTestId("display-name").fill("Bertil Åkesson-Lind");
  await bertil.getByTestId("display-name").press("Enter");
  await bertil.getByTestId("toasts").getByText("Saved").waitFor();
  await anna.goto(new URL("/people", acme).href);
  await anna.getByTestId("person").filter({ hasText: "Bertil Åkesson-Lind" }).waitFor();
});

test("a password is changed with the old one only", async () => {
  const change = async (old, fresh) => {
    await bertil.getByLabel("Current password").fill(old);
    await bertil.getByLabel("New password").fill(fresh);
    await bertil.getByRole("button", { name: "Change password" }).click();
  };
  await change("not-the-old-one", "tåg-blomma-regn-häst");
  await bertil.getByRole("alert").waitFor();
  await change(PASSWORD, "tåg-blomma-regn-häst");
  await bertil.getByRole("alert").waitFor({ state: "detached" });
  const other = await openPage(browser);
  await signIn(other, acme, "bertil", "tåg-blomma-regn-häst");
  await other.context().close();
});

test("a wrong password says so and tells nothing more", async () => {
  const stranger = await openPage(browser);
  await stranger.goto(new URL("/login", acme).href);
  await stranger.getByTestId("login").fill("nobody.here");
  await stranger.getByTestId("password").fill("something-wrong");
  await stranger.getByTestId("sign-in").click();
  const said = await stranger.getByTestId("login-problem").innerText();
  await stranger.getByTestId("login").fill("carin");
  await stranger.getByTestId("sign-in").click();
  await until(stranger, () => !document.querySelector("[data-testid=sign-in]").disabled);
  assert.equal(await stranger.getByTestId("login-problem").innerText(), said);
  await stranger.context().close();
});

test("no page complained meanwhile", () => {
  // Browsers report each refused call; refusing is what two tests above are about.
  assertFine(anna);
  assertFine(bertil, /status of (401|403|404|422)/);
});
