// Two administrators: one asks, the other approves or refuses, and the plugin stays off until then.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "./access.js";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { signIn } from "./screens.js";
import { PASSWORD, startServer } from "./server.js";

/** A refusal is what this is about. */
const REFUSED = /api\/v1\/(approvals\/require|plugins\/enable|users\/invite)\)/;

let server;
let browser;
let globex;
let greta;
let eva;

before(async () => {
  server = await startServer();
  globex = server.url("globex");
  browser = await startBrowser();
  greta = await openPage(browser);
  await signIn(greta, globex, "greta");
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Invites an administrator; answers the link, if there is one already. */
async function invite(page, name) {
  await page.goto(new URL("/people", globex).href);
  await page.getByTestId("invite").click();
  await page.getByTestId("invite-name").fill(name);
  await page.getByTestId("invite-admin").check();
  await page.getByTestId("invite-submit").click();
}

async function approvals(page) {
  await page.goto(new URL("/people/approvals", globex).href);
  await page.getByTestId("four-eyes").waitFor();
}

async function yes(page) {
  await page.getByTestId("confirm").getByRole("button").last().click();
}

test("alone one cannot require two, and is told why", async () => {
  await approvals(greta);
  await greta.getByTestId("four-eyes").click();
  await yes(greta);
  await greta.getByText("Det kräver en andra aktiv administratör.").waitFor();
});

test("a plugin is switched on when another administrator approves it", async () => {
  await invite(greta, "Eva Ek");
  const link = await greta.getByTestId("one-time-link").inputValue();
  eva = await openPage(browser);
  await eva.goto(link);
  await eva.getByTestId("new-password").fill(PASSWORD);
  await eva.getByTestId("accept").click();
  await eva.getByTestId("new-conversation").waitFor();

  await approvals(greta);
  await greta.getByTestId("four-eyes").click();
  await yes(greta);
  await greta.getByText("Nu krävs två administratörer").waitFor();
  await approvals(eva);
  await greta.goto(new URL("/plugins", globex).href);
  const chat = greta.locator("[data-plugin=chat]");
  await chat.getByTestId("plugin-off").click();
  await yes(greta);
  await chat.getByTestId("plugin-on").click();
  await greta.getByText("Begärt. Det görs när en annan administratör godkänner det").waitFor();

  // Whoever asked can only take it back.
  await approvals(greta);
  const own = greta.getByTestId("approval");
  await own.waitFor();
  assert.equal(await own.getByTestId("approval-approve").count(), 0);

  // It came by itself, and goes by itself where it was asked for.
  const waiting = eva.getByTestId("approval");
  await waiting.waitFor();
  assert.equal(await waiting.getAttribute("data-method"), "plugins/enable");
  assert.deepEqual(await inspect(eva, "approvals-waiting"), []);
  await waiting.getByTestId("approval-approve").click();
  await yes(eva);
  await eva.getByText("Godkänt och gjort").waitFor();
  await waiting.waitFor({ state: "detached" });
  await own.waitFor({ state: "detached" });
  await eva.goto(new URL("/", globex).href);
  await eva.getByTestId("new-conversation").waitFor();
});

test("an invitation that was approved comes with its link, and a refused one never was", async () => {
  await invite(eva, "Nils Ny");
  await eva.getByText("Begärt. Det görs när en annan administratör godkänner det").waitFor();
  await eva.keyboard.press("Escape");
  await invite(eva, "Olle Onödig");
  await eva.getByText("Begärt. Det görs när en annan administratör godkänner det").waitFor();

  await approvals(greta);
  await greta.getByTestId("approval").filter({ hasText: "Nils Ny" }).getByTestId("approval-approve").click();
  await yes(greta);
  await greta.getByTestId("approved-link").waitFor();
  assert.match(await greta.getByTestId("one-time-link").inputValue(), /\/invite#/);
  await greta.getByTestId("approval").filter({ hasText: "Olle Onödig" }).getByTestId("approval-refuse").click();
  await greta.getByText("Avslaget").waitFor();
  await greta.getByTestId("approval").waitFor({ state: "detached" });
  await greta.goto(new URL("/people", globex).href);
  await greta.getByTestId("person").filter({ hasText: "Nils Ny" }).waitFor();
  assert.equal(await greta.getByTestId("person").filter({ hasText: "Olle" }).count(), 0);
});

test("no page complained meanwhile", () => {
  assertFine(greta, REFUSED);
  assertFine(eva, REFUSED);
});
