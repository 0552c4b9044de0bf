// The life of a plugin as an administrator has it in hand: agreeing, watching, taking back, going on, going back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations } from "./access.js";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { publisher } from "./packages.js";
import { call, signIn, until } from "./screens.js";
import { startServer } from "./server.js";

let server;
let browser;
let acme;
let nord;
let anna;
let other;

/** What the versions ask for beyond the fixture; the first is of no use to anybody without `crypto` in the second. */
const FIRST = `
[[capabilities]]
name = "http"
reason = "Copies tickets to the system that you already have"
required = false
hosts = ["api.example.com"]

[[capabilities]]
name = "schedule"
reason = "Reminds of tickets that nobody has taken"
required = false

[settings]
type = "object"
required = ["queue"]
[settings.properties.queue]
type = "string"
title = "Queue"
description = "What people see above their tickets."
minLength = 2
maxLength = 20
[settings.properties.limit]
type = "integer"
title = "Tickets per person"
minimum = 1
maximum = 50
[settings.properties.words]
type = "array"
title = "Urgent words"
[settings.properties.words.items]
type = "string"
`;

const CONNECTION = `
[[connections]]
name = "tickets"
title = "The ticket system"
kind = "api_key"
hosts = ["api.example.com"]
header = "x-key"
`;

const SECOND = `
[[capabilities]]
name = "http"
reason = "Copies tickets to the system that you already have, and shows them on a map"
required = false
hosts = ["api.example.com", "maps.example.com"]

[[capabilities]]
name = "blobs"
reason = "Keeps photos of what is broken"
`;

const optional = (name) => (manifest) => manifest.replace(new RegExp(`(name = "${name}"\\nreason = "[^"]*")`), "$1\nrequired = false");
const first = (manifest) => optional("crypto")(manifest) + FIRST + CONNECTION;
const second = (manifest) => optional("crypto")(manifest) + SECOND;

const get = async (plugin = "faulty") => call(server, "acme", "anna", "plugins/get", { plugin });
const granted = async () => (await get()).asks.filter((ask) => ask.granted).map((ask) => ask.id).sort();
const card = (page, plugin = "faulty") => page.locator(`[data-testid="plugin"][data-plugin="${plugin}"]`);
const ask = (page, id) => page.getByTestId("consent").locator(`[data-ask="${id}"]`);
const news = (page, id) => page.getByTestId("update").locator(`[data-ask="${id}"]`);
const state = (scope, wanted) => scope.locator(`[data-testid="plugin-state"][data-state="${wanted}"]`);
const open = (page, path) => page.goto(new URL(path, acme).href);

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  nord = await publisher(server, "Nordtjänst AB");
  await nord.install("1.0.0", first);
  browser = await startBrowser();
  anna = await openPage(browser);
  await signIn(anna, acme, "anna");
  other = await openPage(browser, { viewport: { width: 360, height: 740 } });
  await signIn(other, acme, "anna");
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("what a plugin asks for is read and answered item by item before it is on", async () => {
  await open(other, "/plugins");
  await state(card(other), "off").waitFor();
  await open(anna, "/plugins");
  await card(anna).getByTestId("plugin-on").click();
  // Nobody has agreed to anything yet, so the switch leads to the sheet.
  await anna.getByTestId("consent").waitFor();
  assert.equal(new URL(anna.url()).pathname, "/plugins/faulty");
  await anna.getByTestId("plugin-head").getByText("från Nordtjänst AB").waitFor();
  await ask(anna, "storage").getByText("Spara egna uppgifter").waitFor();
  await ask(anna, "storage").getByText("the tests use it").waitFor();
  await ask(anna, "storage").getByTestId("ask-required").waitFor();
  assert.equal(await ask(anna, "storage").getByTestId("ask-allow").count(), 0, "what is required is no choice");
  await ask(anna, "http").getByText("Når utanför").waitFor();
  await ask(anna, "http").getByText("api.example.com").waitFor();
  assert.equal(await ask(anna, "http").getByTestId("ask-allow").isChecked(), false, "nothing is agreed to for anybody");
  assert.deepEqual(await violations(anna), []);
  await ask(anna, "crypto").getByTestId("ask-allow").check();
  await anna.getByTestId("consent").getByText(/personer får Faulty genast/).waitFor();
  await anna.getByTestId("consent-submit").click();
  await state(anna, "on").waitFor();
  assert.deepEqual(await granted(), ["clock", "crypto", "events", "identity", "log", "storage"]);
  // The other administrator's page follows by itself.
  await state(card(other), "on").waitFor();
});

test("what is not required is given and taken back while it runs", async () => {
  await ask(anna, "crypto").getByTestId("ask-allow").uncheck();
  await ask(anna, "http").getByTestId("ask-allow").check();
  await anna.getByTestId("consent").getByText("1 sak tillåts, 1 sak nekas").waitFor();
  await open(other, "/plugins/faulty");
  assert.equal(await ask(other, "crypto").getByTestId("ask-allow").isChecked(), true);
  await anna.getByTestId("consent-save").click();
  await anna.getByTestId("consent-save").waitFor({ state: "detached" });
  assert.deepEqual(await granted(), ["clock", "events", "http", "identity", "log", "storage"]);
  await until(other, () => document.querySelector('[data-ask="http"] [data-testid="ask-allow"]')?.checked);
  assert.equal(await ask(other, "crypto").getByTestId("ask-allow").isChecked(), false);
});

test("a switch by another administrator shows at once, on whatever page of it one is", async () => {
  await open(other, "/plugins/faulty/settings");
  await other.getByTestId("plugin-off").waitFor();
  await anna.getByTestId("plugin-off").click();
  await anna.getByTestId("confirm").getByText("Anna Lindqvist och").waitFor();
  await anna.getByTestId("confirm").getByRole("button", { name: "Slå av" }).click();
  await state(anna, "off").waitFor();
  await state(other, "off").waitFor();
  // What was agreed to is not asked again.
  await open(anna, "/plugins");
  await card(anna).getByTestId("plugin-on").focus();
  await anna.keyboard.press("Enter");
  await card(anna).getByTestId("plugin-off").waitFor();
  await other.getByTestId("plugin-off").waitFor();
  await until(anna, () => document.activeElement?.dataset.testid === "plugin-off");
});

test("an update waits with what is new in it; staying is as good an answer as agreeing", async () => {
  await open(anna, "/plugins/faulty");
  await anna.getByTestId("consent").waitFor();
  await open(other, "/plugins");
  await card(other).waitFor();
  await nord.install("2.0.0", second);
  await anna.reload();
  await anna.getByTestId("update").waitFor();
  await state(anna, "waiting").waitFor();
  await news(anna, "blobs").getByText("Nytt").waitFor();
  await news(anna, "blobs").getByTestId("ask-required").waitFor();
  await news(anna, "http").getByText("Ber om mer").waitFor();
  await news(anna, "http").getByTestId("ask-added").getByText("maps.example.com").waitFor();
  assert.equal(await news(anna, "storage").count(), 0, "what is as before is not asked again");
  await anna.getByTestId("update-gone").getByText("Arbeta av sig självt").waitFor();
  assert.deepEqual(await violations(anna), []);
  assert.equal((await get()).version, "1.0.0", "nobody has agreed");

  await anna.getByTestId("update-stay").click();
  await anna.getByTestId("update-stays").getByText("Ni stannar på 1.0.0").waitFor();
  await anna.reload();
  await anna.getByTestId("update-stays").getByRole("button").click();
  await news(anna, "http").getByTestId("ask-allow").check();
  await anna.getByTestId("update-agree").click();
  await anna.getByTestId("plugin-head").getByText("Version 2.0.0").waitFor();
  assert.ok((await granted()).includes("blobs"));
  const http = (await get()).asks.find((each) => each.id === "http");
  assert.deepEqual([http.granted, http.details], [true, ["api.example.com", "maps.example.com"]]);
  await card(other).getByText("Version 2.0.0").waitFor();
});

test("going back is one press, and can be taken back", async () => {
  await anna.getByTestId("versions").getByText("Version 1.0.0 användes före den").waitFor();
  await anna.getByTestId("rollback").click();
  await anna.getByTestId("plugin-head").getByText("Version 1.0.0").waitFor();
  assert.equal((await get()).version, "1.0.0");
  await anna.getByTestId("toasts").getByRole("button", { name: "Ångra" }).click();
  await anna.getByTestId("plugin-head").getByText("Version 2.0.0").waitFor();
  assert.equal((await get()).version, "2.0.0");
  await anna.getByTestId("rollback").click();
  await anna.getByTestId("plugin-head").getByText("Version 1.0.0").waitFor();
  // It was left a moment ago: it is not pressed upon anybody again.
  await anna.getByTestId("update-stays").waitFor();
});

test("settings are a form of the plugin's own, and what is wrong stands at the field", async () => {
  const field = (page, key) => page.locator(`[data-setting="${key}"]`);
  await anna.getByTestId("plugin-tab-settings").click();
  assert.equal(await anna.getByTestId("settings-save").isDisabled(), true);
  await field(anna, "limit").getByRole("textbox").fill("99");
  await anna.getByTestId("settings-save").click();
  await field(anna, "queue").getByTestId("setting-problem").getByText("Det här måste fyllas i.").waitFor();
  await field(anna, "limit").getByTestId("setting-problem").getByText("Högst 50.").waitFor();
  await until(anna, () => document.activeElement?.closest("[data-setting]")?.dataset.setting === "queue");
  assert.deepEqual(await violations(anna), []);
  // Going away with something unsaved is asked about, whichever way one goes.
  await anna.getByTestId("plugin-tab-overview").click();
  await anna.getByTestId("confirm").getByRole("button", { name: "Avbryt" }).click();
  await anna.goBack();
  await anna.getByTestId("confirm").getByRole("button", { name: "Avbryt" }).click();
  assert.equal(new URL(anna.url()).pathname, "/plugins/faulty/settings");
  await field(anna, "queue").getByRole("textbox").fill("Felanmälan");
  await field(anna, "limit").getByRole("textbox").fill("12");
  await field(anna, "words").getByTestId("setting-add").click();
  await anna.keyboard.type("akut");
  await anna.keyboard.press("Enter");
  await anna.keyboard.type("vatten");
  await anna.getByTestId("settings-save").click();
  await anna.getByTestId("toasts").getByText("Inställningarna är sparade").waitFor();
  assert.deepEqual((await get()).settings.values, { queue: "Felanmälan", limit: 12, words: ["akut", "vatten"] });
  await anna.reload();
  assert.equal(await field(anna, "queue").getByRole("textbox").inputValue(), "Felanmälan");
});

test("a credential is entered once, held by the server, and given up again", async () => {
  const tickets = anna.locator('[data-connection="tickets"]');
  await tickets.getByText("Skickas bara till api.example.com").waitFor();
  await tickets.getByTestId("connect").click();
  await anna.getByTestId("connect-secret").fill("a-key-that-nobody-reads");
  await anna.keyboard.press("Enter");
  await tickets.getByText("Ansluten", { exact: true }).waitFor();
  assert.ok(!JSON.stringify(await get()).includes("a-key-that-nobody-reads"));
  await tickets.getByTestId("disconnect").click();
  await anna.getByTestId("confirm").getByRole("button", { name: "Koppla från" }).click();
  await tickets.getByText("Inte ansluten").waitFor();
});

test("what it did and what that took stands on a page of its own, as the server counted it", async () => {
  await call(server, "acme", "anna", "plugins/faulty/ok", {});
  const { items, budget } = await call(server, "acme", "anna", "plugins/use", { plugin: "faulty", days: 7 });
  assert.ok(items.length > 0 && budget.stored_bytes_max > 0);
  await open(anna, "/plugins/faulty/use");
  await anna.getByTestId("use-sums").getByText("Anrop").waitFor();
  await anna.getByTestId("use-bars").waitFor();
});

/** One more than it counted before, which is all that it has stored. */
const counts = async () => (await call(server, "acme", "anna", "plugins/faulty/read_modify_write", { key: "visits" })).value;

test("taken away with what it stored left where it is, a plugin comes back as it was at one press", async () => {
  assert.equal(await counts(), 1);
  const before = await granted();
  await open(anna, "/plugins/faulty");
  await open(other, "/plugins");
  await state(card(other), "on").or(state(card(other), "waiting")).waitFor();
  await anna.getByTestId("uninstall").click();
  const dialog = anna.getByTestId("uninstall-dialog");
  assert.equal(await dialog.getByTestId("uninstall-keep").isChecked(), true, "nothing is destroyed unless it is asked for");
  assert.equal(await dialog.getByTestId("uninstall-name").count(), 0);
  await anna.getByTestId("uninstall-submit").click();
  await state(card(anna), "off").waitFor();
  assert.equal(new URL(anna.url()).pathname, "/plugins");
  await state(card(other), "off").waitFor();
  assert.deepEqual(await granted(), [], "what was agreed to is forgotten");
  assert.equal((await get()).has_data, true);
  // A newer version is offered by now; taking it back brings the one that was there.
  await anna.getByTestId("toasts").getByRole("button", { name: "Ångra" }).click();
  await card(anna).getByText("Version 1.0.0").waitFor();
  await state(card(other), "off").waitFor({ state: "detached" });
  assert.deepEqual([(await get()).version, await granted()], ["1.0.0", before]);
  assert.equal(await counts(), 2, "it goes on where it was");
});

test("erased only by whoever writes its name, and then nothing of it is left", async () => {
  await open(anna, "/plugins/faulty/settings");
  const tickets = anna.locator('[data-connection="tickets"]');
  await tickets.getByTestId("connect").click();
  await anna.getByTestId("connect-secret").fill("a-key-that-nobody-reads");
  await anna.keyboard.press("Enter");
  await tickets.getByText("Ansluten", { exact: true }).waitFor();
  await anna.getByTestId("plugin-tab-overview").click();
  await anna.getByTestId("uninstall").click();
  await anna.getByTestId("uninstall-erase").check();
  const destroys = anna.getByTestId("uninstall-destroys");
  for (const what of [/uppgifter och filer/, /nycklarna/, /inställningarna/, /anslutningarna/]) await destroys.getByText(what).waitFor();
  assert.deepEqual(await violations(anna), []);
  const submit = anna.getByTestId("uninstall-submit");
  assert.equal(await submit.isDisabled(), true);
  await anna.getByTestId("uninstall-name").fill("faulty");
  assert.equal(await submit.isDisabled(), true, "its name, letter by letter");
  await anna.getByTestId("uninstall-name").fill("Faulty");
  await anna.keyboard.press("Enter");
  await state(card(anna), "off").waitFor();
  await anna.getByTestId("toasts").getByText("är raderat").waitFor();
  assert.equal(await anna.getByTestId("toasts").getByRole("button", { name: "Ångra" }).count(), 0, "nobody can take that back");
  assert.equal((await get()).has_data, false);
  await open(anna, "/plugins/faulty");
  await anna.getByTestId("consent").waitFor();
  assert.equal(await anna.getByTestId("uninstall").count(), 0, "there is nothing to take away");
  await call(server, "acme", "anna", "plugins/enable", { plugin: "faulty", version: "1.0.0" });
  const anew = await get();
  assert.deepEqual([anew.settings.values, anew.connections.map((each) => each.state)], [{}, ["missing"]]);
  assert.equal(await counts(), 1, "it begins anew");
});

test("what a plugin left is erased after it was taken away", async () => {
  await call(server, "acme", "anna", "plugins/uninstall", { plugin: "faulty", erase: false });
  await open(anna, "/plugins/faulty");
  await anna.getByTestId("uninstall-section").getByText("Det som ligger kvar").waitFor();
  await anna.getByTestId("uninstall").click();
  assert.equal(await anna.getByTestId("uninstall-keep").count(), 0);
  await anna.getByTestId("uninstall-name").fill("Faulty");
  await anna.getByTestId("uninstall-submit").click();
  await anna.getByTestId("toasts").getByText("är raderat").last().waitFor();
  assert.equal((await get()).has_data, false);
});

test("no page complained meanwhile", () => {
  assertFine(anna);
  assertFine(other);
});
