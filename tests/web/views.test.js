// Each view: reachable for everybody (axe), in good shape at every width, in both languages, light and dark.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { askAxe, inspect, violations } from "./access.js";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { call, openConversation, signIn } from "./screens.js";
import { startServer } from "./server.js";

const WIDTHS = [
  { width: 320, height: 640 },
  { width: 768, height: 1024 },
  { width: 1440, height: 900 },
];

const LOCALES = { sv: "sv-SE", en: "en-GB" };

let server;
let browser;
let acme;
let conversation;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  browser = await startBrowser();
  const list = await call(server, "acme", "anna", "plugins/chat/conversations.list", { limit: 100 });
  conversation = list.items.find((item) => item.name === "Drift & IT") ?? list.items[0];
  await makeRoles();
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

const VIEWS = [
  { name: "chat", path: () => "/", ready: (page) => page.getByTestId("conversation").first() },
  { name: "conversation", path: () => `/chat/${conversation.id}`, ready: (page) => page.getByTestId("message").last() },
  { name: "people", path: () => "/people", ready: (page) => page.getByTestId("person").first() },
  { name: "groups", path: () => "/people/groups", ready: (page) => page.getByTestId("group").first() },
  { name: "roles", path: () => "/people/roles", ready: (page) => page.getByTestId("role").first() },
  { name: "approvals", path: () => "/people/approvals", ready: (page) => page.getByTestId("four-eyes") },
  { name: "audit", path: () => "/people/audit", ready: (page) => page.getByTestId("audit-entry").first() },
  { name: "plugins", path: () => "/plugins", ready: (page) => page.getByTestId("plugin").first() },
  { name: "plugin", path: () => "/plugins/chat", ready: (page) => page.getByTestId("ask").first() },
  { name: "plugin-settings", path: () => "/plugins/chat/settings", ready: (page) => page.getByTestId("plugin-head") },
  { name: "settings", path: () => "/settings", ready: (page) => page.getByTestId("sign-out") },
];

/** What opens over a view. */
const OVERLAYS = [
  { name: "details", path: () => `/chat/${conversation.id}`, open: (page) => page.getByTestId("details-toggle").click(), ready: (page) => page.getByTestId("details").getByRole("listitem").first(), close: (page) => page.keyboard.press("Escape") },
  { name: "reactions", path: () => `/chat/${conversation.id}`, open: reactToLast, ready: (page) => page.getByTestId("emoji-picker") },
  { name: "create", path: () => "/", open: (page) => page.getByTestId("new-conversation").click(), ready: (page) => page.getByTestId("person-option").first() },
  { name: "create-channel", path: () => "/", open: createChannel, ready: (page) => page.getByTestId("create-name") },
  { name: "palette", path: () => "/", open: (page) => page.keyboard.press("Control+k"), ready: (page) => page.getByTestId("palette-hit").first() },
  { name: "shortcuts", path: () => "/", open: (page) => page.keyboard.press("?"), ready: (page) => page.getByTestId("shortcuts") },
  { name: "invite", path: () => "/people", open: (page) => page.getByTestId("invite").click(), ready: (page) => page.getByTestId("invite-login") },
  { name: "group-members", path: () => "/people/groups", open: (page) => page.getByTestId("group-open").first().click(), ready: (page) => page.getByTestId("group-member").first() },
  { name: "group-name", path: () => "/people/groups", open: (page) => page.getByTestId("new-group").click(), ready: (page) => page.getByTestId("group-name") },
  { name: "role-inside", path: () => "/people/roles", open: (page) => page.getByTestId("role-open").first().click(), ready: (page) => page.getByTestId("role-holder").first() },
  { name: "role-built-in", path: () => "/people/roles", open: (page) => page.getByTestId("built-in-open").last().click(), ready: (page) => page.getByTestId("permission").first() },
  { name: "role-new", path: () => "/people/roles", open: (page) => page.getByTestId("new-role").click(), ready: (page) => page.getByTestId("role-permission").first() },
  { name: "role-edit", path: () => "/people/roles", open: changeRole, ready: (page) => page.getByTestId("role-changes") },
  { name: "role-add", path: () => "/people/roles", open: giveRole, ready: (page) => page.getByTestId("person-option").first() },
  { name: "role-delete", path: () => "/people/roles", open: (page) => page.getByTestId("role-delete").first().click(), ready: (page) => page.getByTestId("confirm") },
  { name: "take-away", path: () => "/plugins/chat", open: takeAway, ready: (page) => page.getByTestId("uninstall-name") },
  { name: "switch-off", path: () => "/plugins", open: (page) => page.getByTestId("plugin-off").first().click(), ready: (page) => page.getByTestId("confirm") },
];

for (const [language, locale] of Object.entries(LOCALES)) {
  for (const scheme of ["light", "dark"]) {
    test(`every view in ${language}, ${scheme}, at each width`, { timeout: 900_000 }, async () => {
      await call(server, "acme", "anna", "users/update_me", { locale: language });
      const page = await openPage(browser, { colorScheme: scheme, locale });
      await signIn(page, acme, "anna");
      const found = [];
      for (const view of VIEWS) {
        await page.goto(new URL(view.path(), acme).href);
        for (const size of WIDTHS) {
          await page.setViewportSize(size);
          await view.ready(page).waitFor();
          found.push(...(await inspect(page, `${view.name}-${size.width}-${scheme}-${language}`, { axe: askAxe(scheme, language) })));
        }
      }
      assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      assert.deepEqual(found, []);
      assertFine(page);
      await page.context().close();
    });
  }
}

for (const [language, scheme] of [["sv", "light"], ["en", "dark"]]) {
  test(`everything that opens over a view in ${language}, ${scheme}`, { timeout: 900_000 }, async () => {
    await call(server, "acme", "anna", "users/update_me", { locale: language });
    const page = await openPage(browser, { colorScheme: scheme, locale: LOCALES[language] });
    await signIn(page, acme, "anna");
    const found = [];
    for (const size of [WIDTHS[0], WIDTHS[2]]) {
      await page.setViewportSize(size);
      for (const overlay of OVERLAYS) {
        await page.goto(new URL(overlay.path(), acme).href);
        await page.getByRole("main").getByRole("heading").first().waitFor();
        if (overlay.path().startsWith("/chat/")) await page.getByTestId("message").last().waitFor();
        await overlay.open(page);
        await overlay.ready(page).waitFor();
        found.push(...(await inspect(page, `${overlay.name}-${size.width}-${scheme}-${language}`)));
        await overlay.close?.(page);
      }
    }
    assert.deepEqual(found, []);
    assertFine(page);
    await page.context().close();
  });
}

test("roles before there is any", { timeout: 400_000 }, async () => {
  const found = [];
  for (const scheme of ["light", "dark"]) {
    const page = await openPage(browser, { colorScheme: scheme });
    await signIn(page, server.url("globex"), "greta");
    await page.goto(new URL("/people/roles", server.url("globex")).href);
    await page.getByTestId("first-role").waitFor();
    for (const size of WIDTHS) {
      await page.setViewportSize(size);
      found.push(...(await inspect(page, `roles-none-${size.width}-${scheme}-sv`)));
    }
    assertFine(page);
    await page.context().close();
  }
  assert.deepEqual(found, []);
});

test("the start page and the login page are open to everybody", { timeout: 600_000 }, async () => {
  const found = [];
  for (const [language, locale] of Object.entries(LOCALES)) {
    for (const scheme of ["light", "dark"]) {
      const page = await openPage(browser, { colorScheme: scheme, locale });
      for (const [name, url] of [["start", server.start], ["login", new URL("/login", acme).href]]) {
        await page.goto(url);
        await page.getByRole("heading", { level: 1 }).waitFor();
        if (name === "login") await page.getByTestId("demo-person").first().waitFor();
        // Before anybody is known the organization's language counts; choosing another is one press.
        if (language === "en") await page.getByRole("button", { name: "English" }).click();
        for (const size of WIDTHS) {
          await page.setViewportSize(size);
          found.push(...(await inspect(page, `${name}-${size.width}-${scheme}-${language}`, { axe: askAxe(scheme, language) })));
        }
        assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      }
      assertFine(page);
      await page.context().close();
    }
  }
  assert.deepEqual(found, []);
});

test("more contrast, when asked for, means AAA for text", { timeout: 400_000 }, async () => {
  for (const scheme of ["light", "dark"]) {
    const page = await openPage(browser, { colorScheme: scheme, contrast: "more" });
    await signIn(page, acme, "anna");
    await openConversation(page, acme, conversation.id);
    assert.deepEqual(await violations(page, { rules: ["color-contrast-enhanced"] }), []);
    await page.context().close();
  }
});

test("one click on the start page signs a person in", { timeout: 400_000 }, async () => {
  const page = await openPage(browser);
  await page.goto(server.start);
  await page.getByTestId("demo-person").filter({ hasText: "Bertil" }).click();
  await page.getByTestId("conversations").waitFor();
  const address = new URL(page.url());
  assert.equal(address.hostname, "acme.localhost");
  assert.equal(address.hash, "");
  await page.reload();
  await page.getByTestId("conversations").waitFor();
  assertFine(page);
  await page.context().close();
});

test("on a narrow phone the place where one is stays in sight, and the next looks out", { timeout: 400_000 }, async () => {
  const page = await openPage(browser, { viewport: WIDTHS[0] });
  await signIn(page, acme, "anna");
  const places = page.locator("nav.rail li");
  const inSight = (box) => box.x >= 0 && box.x + box.width <= WIDTHS[0].width;
  assert.ok((await places.count()) > 5, "an administrator has more places than the bar is wide");
  const sixth = await places.nth(5).boundingBox();
  assert.ok(sixth.x < WIDTHS[0].width - 10 && !inSight(sixth), `the sixth begins at ${sixth.x}`);
  await page.goto(new URL("/settings", acme).href);
  await page.getByTestId("sign-out").waitFor();
  assert.ok(inSight(await page.getByTestId("place-settings").boundingBox()));
  await page.goto(acme);
  await page.getByTestId("conversation").first().waitFor();
  assert.ok(inSight(await page.getByTestId("place-chat").boundingBox()));
  assert.deepEqual(await violations(page), []);
  await page.context().close();
});

test("what was unread stands in sight under its divider when a conversation is opened", { timeout: 240_000 }, async () => {
  const page = await openPage(browser, { viewport: WIDTHS[0] });
  await signIn(page, acme, "carin");
  await page.getByTestId("conversation").filter({ has: page.getByTestId("unread") }).first().click();
  const divider = page.getByTestId("unread-divider");
  await divider.waitFor();
  const box = await page.getByTestId("message-scroll").boundingBox();
  const line = await divider.boundingBox();
  assert.ok(line.y >= box.y && line.y + line.height <= box.y + box.height, `the divider is at ${line.y}, the messages begin at ${box.y}`);
  await page.context().close();
});

async function reactToLast(page) {
  const last = page.locator("[data-message]").last();
  await last.focus();
  await last.getByTestId("react").click();
}

async function createChannel(page) {
  await page.getByTestId("new-conversation").click();
  await page.getByTestId("create-channel").click();
}

/** Two roles as an organization may have them, one held by people and a group. */
async function makeRoles() {
  const as = (method, params) => call(server, "acme", "anna", method, params);
  const { id } = await as("roles/create", { name: "Kanalvärdar på förvaltningen för stadsbyggnad", permissions: ["chat.moderate", "chat.create"] });
  await as("roles/create", { name: "Vikarier", permissions: [] });
  const groups = await as("groups/list", { limit: 1 });
  const people = await as("users/list", { limit: 100 });
  await as("roles/assign", { role: id, group: groups.items[0].id });
  for (const person of people.items.slice(0, 2)) await as("roles/assign", { role: id, user: person.id });
}

async function changeRole(page) {
  await page.getByTestId("role-edit").first().click();
  await page.locator('[data-testid="role-permission"][value="chat.moderate"]').uncheck();
  await page.locator('[data-testid="role-permission"][value="chat.read"]').check();
}

async function takeAway(page) {
  await page.getByTestId("uninstall").click();
  await page.getByTestId("uninstall-erase").check();
}

async function giveRole(page) {
  await page.getByTestId("role-open").first().click();
  await page.getByTestId("role-holder").first().waitFor();
  await page.getByTestId("role-add").click();
}
