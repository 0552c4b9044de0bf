// The line between a page and the server: reloaded, cut, resumed, shared by two tabs, and ended.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CUT, assertFine, openPage, openTab, startBrowser } from "./browser.js";
import { call, composer, delivered, messages, openConversation, peopleOf, post, reads, say, signIn, until } from "./screens.js";
import { PASSWORD, startServer } from "./server.js";
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
}, { timeout: 900_000 });

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
    assert.deepEqual(await textsOf(page, /tunneln|kvar/), ["Är du kvar?", "Skrivet i tunneln, ett", "Skrivet i tunneln, två"]);
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

test("what two tabs say without a connection stands in both, outlives either of them, and arrives once and in order", async () => {
  const second = await openTab(anna.context());
  await openConversation(second, acme, direct.id);
  tunnel.cut();
  await anna.getByTestId("offline").waitFor();
  await say(anna, "I första fliken, ett");
  await say(second, "I andra fliken, två");
  await say(anna, "I första fliken, tre");
  const said = ["I första fliken, ett", "I andra fliken, två", "I första fliken, tre"];
  for (const page of [anna, second]) {
    for (const text of said) await reads(page, text);
    assert.deepEqual(await textsOf(page, /fliken,/), said);
  }
  // One tab is closed and the other begins anew: what each had said is still there.
  await second.close();
  await anna.goto("about:blank");
  const third = await openTab(anna.context());
  tunnel.mend();
  await Promise.all([openConversation(anna, acme, direct.id), openConversation(third, acme, direct.id)]);
  for (const page of [anna, third, bertil]) {
    for (const text of said) await delivered(page, text).waitFor();
    // What a page holds back stands beside what it has fetched until the two have met.
    await page.waitForFunction(() => document.querySelectorAll("[data-pending]").length === 0);
    assert.deepEqual(await textsOf(page, /fliken,/), said);
  }
  assert.deepEqual(await keptOutbox(anna), []);
  const { items } = await call(server, "acme", "bertil", "plugins/chat/messages.list", { conversation: direct.id, limit: 20 });
  assert.deepEqual(items.map((item) => item.text).filter((text) => /fliken,/.test(text)).reverse(), said);
  assertFine(second, CUT);
  assertFine(third, CUT);
  await third.close();
});

test("a message that two tabs send at the same time stands there once", async () => {
  const { access_token: bearer } = await post(server, "acme", "session/login", { login: "anna", password: PASSWORD });
  const params = { conversation: direct.id, text: "Skickat av två flikar på en gång", local_id: "samma-id" };
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => post(server, "acme", "plugins/chat/messages.send", params, bearer, { "idempotency-key": "samma-id" })),
  );
  assert.equal(new Set(answers.map((answer) => answer.id)).size, 1);
  await delivered(bertil, params.text).waitFor();
  const { items } = await call(server, "acme", "bertil", "plugins/chat/messages.list", { conversation: direct.id, limit: 20 });
  assert.equal(items.filter((item) => item.text === params.text).length, 1);
});

test("a draft stands in both tabs, and is gone from both once it is sent", async () => {
  const second = await openTab(bertil.context());
  await openConversation(second, acme, direct.id);
  await composer(bertil).fill("Påbörjat i den ena");
  await until(second, (text) => document.querySelector("[data-testid=composer]").value === text, "Påbörjat i den ena");
  await composer(second).press("End");
  await composer(second).pressSequentially(", skickat i den andra");
  await composer(second).press("Enter");
  await delivered(bertil, "Påbörjat i den ena, skickat i den andra").waitFor();
  await until(bertil, () => document.querySelector("[data-testid=composer]").value === "");
  await second.close();
});

test("two messages stand in the same order live and after a reload, whatever their times say", async () => {
  // As where two people send at the same moment, and what began later is written first.
  const later = await openPage(browser);
  await everyFrame(later, (text) =>
    text.replaceAll(/\{[^{}]*"text":"Först skriven"[^{}]*/g, (message) => message.replace(/"created_at":\d+/, `"created_at":${Date.now() + 90_000}`)),
  );
  await signIn(later, acme, "bertil");
  await openConversation(later, acme, direct.id);
  await say(anna, "Först skriven");
  await delivered(later, "Först skriven").waitFor();
  await say(anna, "Sedan skriven");
  await delivered(later, "Sedan skriven").waitFor();
  const times = await later.locator("[data-message] time").evaluateAll((all) => all.slice(-2).map((each) => each.dateTime));
  assert.ok(times[0] > times[1], `the times are ${times}`);
  const order = ["Först skriven", "Sedan skriven"];
  assert.deepEqual(await textsOf(later, / skriven$/), order);
  const preview = later.locator(`[data-conversation="${direct.id}"]`);
  await preview.filter({ hasText: "Sedan skriven" }).waitFor();
  await later.reload();
  await delivered(later, "Sedan skriven").waitFor();
  assert.deepEqual(await textsOf(later, / skriven$/), order);
  await preview.filter({ hasText: "Sedan skriven" }).waitFor();
  assertFine(later);
  await later.context().close();
});

test("an own message gives way to what the server took before it", async () => {
  const slow = await openPage(browser);
  let held;
  let real;
  await slow.routeWebSocket(/\/api\/v1\/socket$/, (socket) => {
    real = socket.connectToServer();
    socket.onMessage((text) => real.send(text));
    real.onMessage((text) => {
      const { topic } = JSON.parse(text);
      if (held && topic === "chat.message.created") held.push(() => socket.send(text));
      else socket.send(text);
    });
  });
  await signIn(slow, acme, "bertil");
  await openConversation(slow, acme, direct.id);
  await say(anna, "Innan ordningen prövas");
  await delivered(slow, "Innan ordningen prövas").waitFor();
  held = [];
  await say(anna, "Ordning: hennes");
  await delivered(anna, "Ordning: hennes").waitFor();
  await say(slow, "Ordning: mitt");
  await delivered(slow, "Ordning: mitt").waitFor();
  await delivered(anna, "Ordning: mitt").waitFor();
  for (const release of held) release();
  await delivered(slow, "Ordning: hennes").waitFor();
  for (const page of [slow, anna]) assert.deepEqual(await textsOf(page, /^Ordning/), ["Ordning: hennes", "Ordning: mitt"]);
  await slow.reload();
  await delivered(slow, "Ordning: mitt").waitFor();
  assert.deepEqual(await textsOf(slow, /^Ordning/), ["Ordning: hennes", "Ordning: mitt"]);
  await slow.context().close();
});

test("a browser that reports being offline and online again misses nothing", async () => {
  await bertil.context().setOffline(true);
  await say(anna, "Hör du mig?");
  await delivered(anna, "Hör du mig?").waitFor();
  await bertil.context().setOffline(false);
  await delivered(bertil, "Hör du mig?").waitFor();
  assert.equal(await messages(bertil, "Hör du mig?").count(), 1);
});

test("a restart of the server loses nothing, and nobody signs in again", { timeout: 600_000 }, async () => {
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

/** What stands in the page and fits, from top to bottom. */
async function textsOf(page, pattern) {
  const texts = await page.getByTestId("message-text").allInnerTexts();
  return texts.map((text) => text.trim()).filter((text) => pattern.test(text));
}

function keptOutbox(page) {
  return page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("vaxel:outbox:")));
}

/** Lets everything that the server tells a page pass through `change`, on the socket and over HTTP. */
async function everyFrame(page, change) {
  await page.routeWebSocket(/\/api\/v1\/socket$/, (socket) => {
    const real = socket.connectToServer();
    socket.onMessage((text) => real.send(text));
    real.onMessage((text) => socket.send(change(text)));
  });
  await page.route("**/api/v1/plugins/chat/**", async (route) => {
    const request = route.request();
    const { authorization, "idempotency-key": key } = request.headers();
    const method = new URL(request.url()).pathname.replace("/api/v1/", "");
    const answer = await post(server, "acme", method, request.postDataJSON(), authorization.replace("Bearer ", ""), key ? { "idempotency-key": key } : {});
    await route.fulfill({ contentType: "application/json", body: change(JSON.stringify(answer)) });
  });
}
