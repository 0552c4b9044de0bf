// The line between a page and the server: reloaded, cut, resumed, shared by two tabs, and ended.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CUT, assertFine, openPage, openTab, startBrowser } from "./browser.js";
import { call, delivered, messages, openConversation, peopleOf, reads, say, signIn } from "./screens.js";
import { startServer } from "./server.js";
import { openTunnel } from "./tunnel.js";

let server;
let acme;
let tunnel;
let browser;
let faraway;
let anna;
let bertil;
let direct;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  tunnel = await openTunnel(server.port);
  browser = await startBrowser();
  // Anna's browser reaches the server through the tunnel; the address she sees stays the same.
  faraway = await startBrowser([`--host-resolver-rules=MAP acme.localhost:${server.port} 127.0.0.1:${tunnel.port}`]);
  anna = await openPage(faraway);
  bertil = await openPage(browser);
  await signIn(anna, acme, "anna");
  await signIn(bertil, acme, "bertil");
  const people = await peopleOf(server, "acme", "anna");
  direct = await call(server, "acme", "anna", "plugins/chat/conversations.create", { kind: "direct", members: [people.bertil] });
  await openConversation(anna, acme, direct.id);
  await openConversation(bertil, acme, direct.id);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await faraway?.close();
  await tunnel?.close();
  await server?.stop();
});

test("the session stands in a cookie that no script and no other site can use", async () => {
  const [cookie, ...others] = (await anna.context().cookies()).filter((each) => each.name.includes("vaxel"));
  assert.deepEqual(others, []);
  assert.equal(cookie.name, "__Host-vaxel_refresh");
  assert.ok(cookie.httpOnly && cookie.secure);
  assert.equal(cookie.sameSite, "Strict");
  assert.equal(cookie.domain, "acme.localhost");
  const kept = await anna.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]));
  assert.doesNotMatch(kept, /eyJ/, "no token is kept where a script could read it later");
});

test("a reload signs nobody out and keeps what was said", async () => {
  await say(anna, "Före omladdningen");
  await delivered(anna, "Före omladdningen").waitFor();
  for (let round = 0; round < 3; round += 1) {
    await anna.reload();
    await reads(anna, "Före omladdningen");
  }
});

test("what is written and said while the line is cut arrives when it stands again, in order and once", async () => {
  tunnel.cut();
  await anna.getByTestId("offline").waitFor();
  await say(anna, "Skrivet i tunneln, ett");
  await say(anna, "Skrivet i tunneln, två");
  await say(bertil, "Är du kvar?");
  await delivered(bertil, "Är du kvar?").waitFor();
  await anna.locator('[data-pending="queued"]').first().waitFor();
  assert.equal(await messages(bertil, "Skrivet i tunneln, ett").count(), 0);
  tunnel.mend();
  await delivered(anna, "Är du kvar?").waitFor();
  await delivered(anna, "Skrivet i tunneln, två").waitFor();
  await reads(bertil, "Skrivet i tunneln, två");
  await anna.getByTestId("offline").waitFor({ state: "detached" });
  for (const page of [anna, bertil]) {
    const texts = await page.getByTestId("message-text").allInnerTexts();
    const said = texts.filter((text) => /tunneln|kvar/.test(text)).map((text) => text.trim());
    assert.deepEqual(said, ["Är du kvar?", "Skrivet i tunneln, ett", "Skrivet i tunneln, två"]);
  }
});

test("what was not sent yet survives a reload without a connection", async () => {
  tunnel.cut();
  await say(anna, "Sagt innan sidan lades bort");
  await anna.locator('[data-pending="queued"]').first().waitFor();
  tunnel.mend();
  await anna.reload();
  await reads(bertil, "Sagt innan sidan lades bort");
  await delivered(anna, "Sagt innan sidan lades bort").waitFor();
  assert.equal(await messages(bertil, "Sagt innan sidan lades bort").count(), 1);
});

test("a browser that reports being offline and online again misses nothing", async () => {
  await bertil.context().setOffline(true);
  await say(anna, "Hör du mig?");
  await delivered(anna, "Hör du mig?").waitFor();
  await bertil.context().setOffline(false);
  await delivered(bertil, "Hör du mig?").waitFor();
  assert.equal(await messages(bertil, "Hör du mig?").count(), 1);
});

test("a restart of the server loses nothing, and nobody signs in again", { timeout: 240_000 }, async () => {
  await say(bertil, "Strax före omstarten");
  await delivered(anna, "Strax före omstarten").waitFor();
  await server.restart();
  await say(bertil, "Strax efter omstarten");
  await delivered(anna, "Strax efter omstarten").waitFor();
  await say(anna, "Och tillbaka");
  await delivered(bertil, "Och tillbaka").waitFor();
  assert.equal(await messages(anna, "Strax efter omstarten").count(), 1);
});

test("two tabs of one person show the same, and signing out of one signs out of both", async () => {
  const second = await openTab(bertil.context());
  await openConversation(second, acme, direct.id);
  await say(second, "Från den andra fliken");
  await delivered(bertil, "Från den andra fliken").waitFor();
  await delivered(anna, "Från den andra fliken").waitFor();
  await bertil.bringToFront();
  await say(bertil, "Från den första");
  await delivered(second, "Från den första").waitFor();
  // Both renew with the same cookie, at the same time.
  await Promise.all([bertil.reload(), second.reload()]);
  await reads(bertil, "Från den första");
  await reads(second, "Från den första");
  await second.goto(new URL("/settings", acme).href);
  await second.getByTestId("sign-out").click();
  await second.getByTestId("login").waitFor();
  await bertil.getByTestId("login").waitFor();
  await bertil.reload();
  await bertil.getByTestId("login").waitFor();
  assertFine(second);
});

test("no page complained but about the connection that was cut", () => {
  assertFine(anna, CUT);
  // Told that the session was revoked, a tab asks once whether it still lives; the browser notes the no.
  assertFine(bertil, new RegExp(`${CUT.source}|status of 401`));
});
