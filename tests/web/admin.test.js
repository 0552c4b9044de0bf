// What administrators do, what a new person sees first, and what each decides about themselves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { act, call, delivered, openConversation, peopleOf, reads, say, signIn, until } from "./screens.js";
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
}, { timeout: 900_000 });

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

test("an invitation that nobody has used is renewed, withdrawn and given again", async () => {
  await anna.getByTestId("place-people").click();
  await anna.getByTestId("invite").click();
  await anna.getByTestId("invite-name").fill("Tora Väntande");
  await anna.getByTestId("invite-submit").click();
  const first = await anna.getByTestId("one-time-link").inputValue();
  await anna.keyboard.press("Escape");
  const line = anna.getByTestId("person").filter({ hasText: "Tora Väntande" });
  await line.getByText("Inbjuden, har inte kommit än").waitFor();
  assert.equal(await line.getByText("Avstängd").count(), 0);
  await line.getByTestId("reset").click();
  await anna.getByTestId("confirm").getByRole("button", { name: "Skapa länk" }).click();
  const second = await anna.getByTestId("one-time-link").inputValue();
  assert.notEqual(second, first);
  await anna.keyboard.press("Escape");
  await line.getByTestId("deactivate").click();
  await anna.getByTestId("confirm").getByRole("button", { name: "Ta tillbaka" }).click();
  await line.getByText("Avstängd").waitFor();
  // Letting in somebody who never had a password means giving a link.
  await line.getByTestId("reactivate").click();
  await anna.getByTestId("confirm").getByRole("button", { name: "Skapa länk" }).click();
  const third = await anna.getByTestId("one-time-link").inputValue();
  await anna.keyboard.press("Escape");
  const tora = await openPage(browser);
  await tora.goto(second);
  await tora.getByRole("link", { name: /Till inloggningen|Logga in/ }).waitFor();
  await tora.goto("about:blank");
  await tora.goto(third);
  await tora.getByTestId("new-password").fill("kastanj-spade-moln-nio");
  await tora.getByTestId("accept").click();
  await tora.getByTestId("new-conversation").waitFor();
  await tora.context().close();
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

test("a plugin that is switched off is gone for everybody at once, and returns with everything in it", async () => {
  await bertil.goto(acme);
  await bertil.getByTestId("conversation").first().waitFor();
  const before = await bertil.getByTestId("conversation").count();
  assert.ok(before > 0);
  await bertil.getByTestId("conversation").first().click();
  await bertil.getByTestId("composer").waitFor();
  const address = bertil.url();
  await bertil.evaluate(() => (window.sameDocument = true));
  await anna.goto(new URL("/plugins", acme).href);
  const other = await openPage(browser);
  await signIn(other, acme, "anna");
  await other.goto(new URL("/plugins", acme).href);
  const card = anna.locator('[data-testid="plugin"][data-plugin="chat"]');
  // What it may do is there to be read at any time.
  await card.getByTestId("plugin-open").click();
  await anna.getByText("Keeps conversations, members and messages").waitFor();
  await anna.getByTestId("plugins-back").click();
  await card.getByTestId("plugin-off").click();
  await anna.getByTestId("confirm").getByRole("button").last().click();
  await card.getByTestId("plugin-on").waitFor();
  await anna.getByTestId("place-chat").waitFor({ state: "detached" });
  // Nobody reloads: the other person's page loses it, and the other administrator's list follows.
  await bertil.getByTestId("place-chat").waitFor({ state: "detached" });
  await bertil.getByTestId("place-home").waitFor();
  await bertil.getByTestId("toasts").getByText("Chatt är av").waitFor();
  assert.equal(await bertil.getByTestId("composer").count(), 0);
  const theirs = other.locator('[data-testid="plugin"][data-plugin="chat"]');
  await theirs.getByTestId("plugin-on").waitFor();
  await card.getByTestId("plugin-on").click();
  await anna.getByTestId("place-chat").waitFor();
  await theirs.getByTestId("plugin-off").waitFor();
  await bertil.getByTestId("place-chat").waitFor();
  await bertil.getByTestId("composer").waitFor();
  assert.equal(bertil.url(), address, "whoever was in a conversation is back in it");
  assert.equal(await bertil.evaluate(() => window.sameDocument), true, "without a reload");
  await bertil.goto(acme);
  await bertil.getByTestId("conversation").first().waitFor();
  assert.equal(await bertil.getByTestId("conversation").count(), before);
  await other.context().close();
});

test("groups are made, named, filled, emptied and deleted", async () => {
  const greta = await openPage(browser);
  await signIn(greta, server.url("globex"), "greta");
  await greta.getByTestId("place-people").click();
  await greta.getByTestId("tab-groups").click();
  await greta.getByText("Inga grupper än").waitFor();
  await greta.getByTestId("new-group").click();
  await greta.getByTestId("group-name").fill("Jour");
  await greta.getByTestId("group-submit").click();
  const group = greta.getByTestId("group").filter({ hasText: "Jour" });
  // A new group stands open, with people to add.
  await group.getByTestId("no-members").waitFor();
  await group.getByTestId("group-add").click();
  for (const name of ["Gunnar", "Greta"]) {
    await greta.getByTestId("people-search").fill(name);
    await greta.getByTestId("person-option").filter({ hasText: name }).click();
  }
  await greta.getByTestId("group-add-submit").click();
  await group.getByText("2 medlemmar").waitFor();
  assert.equal(await group.getByTestId("group-member").count(), 2);

  await greta.getByTestId("new-group").click();
  await greta.getByTestId("group-name").fill("jour");
  await greta.getByTestId("group-submit").click();
  await greta.getByRole("alert").getByText("En annan grupp har det namnet.").waitFor();
  await greta.keyboard.press("Escape");
  await group.getByTestId("group-rename").click();
  assert.equal(await greta.getByTestId("group-name").inputValue(), "Jour");
  await greta.getByTestId("group-name").fill("Beredskap");
  await greta.getByTestId("group-name").press("Enter");
  const renamed = greta.getByTestId("group").filter({ hasText: "Beredskap" });

  await renamed.getByTestId("group-member").filter({ hasText: "Gunnar" }).getByTestId("group-remove").click();
  await renamed.getByText("1 medlem", { exact: true }).waitFor();
  await greta.getByTestId("toasts").getByRole("button", { name: "Ångra" }).click();
  await renamed.getByText("2 medlemmar").waitFor();

  // Another page of theirs reads the same from the server.
  await greta.reload();
  await renamed.getByText("2 medlemmar").waitFor();
  await renamed.getByTestId("group-open").click();
  await renamed.getByTestId("group-member").filter({ hasText: "Gunnar" }).waitFor();
  await renamed.getByTestId("group-delete").click();
  await greta.getByTestId("confirm").getByText("dess 2 medlemmar blir kvar").waitFor();
  await greta.getByTestId("confirm").getByRole("button").last().click();
  await greta.getByText("Inga grupper än").waitFor();
  assertFine(greta, /status of 409/);
  await greta.context().close();
});

test("groups are kept with keys alone, on a phone and in English", async () => {
  const phone = await openPage(browser, { viewport: { width: 360, height: 740 }, locale: "en-GB" });
  await signIn(phone, acme, "anna");
  await phone.evaluate(() => localStorage.setItem("vaxel:locale", "en"));
  await phone.goto(new URL("/people", acme).href);
  const go = async (testid, scope = phone) => {
    await scope.getByTestId(testid).focus();
    await phone.keyboard.press("Enter");
  };
  await go("tab-groups");
  await go("new-group");
  // The name has the focus; Enter makes the group.
  await phone.getByTestId("group-name").waitFor();
  await phone.keyboard.type("Receptionen på bottenvåningen i Stadshuset");
  await phone.keyboard.press("Enter");
  const group = phone.getByTestId("group").filter({ hasText: "Stadshuset" });
  await group.waitFor();
  await go("group-add", group);
  await phone.getByTestId("people-search").waitFor();
  await phone.keyboard.type("carin");
  await phone.keyboard.press("Enter");
  await go("group-add-submit");
  await group.getByTestId("group-member").filter({ hasText: "Carin" }).waitFor();
  const wide = await phone.evaluate(() => document.scrollingElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing sticks out");
  await go("group-remove", group);
  await group.getByTestId("no-members").waitFor();
  const focused = () => document.activeElement?.dataset.testid;
  assert.equal(await phone.evaluate(focused), "group-add", "the focus stays near");
  await go("group-delete", group);
  await phone.getByTestId("confirm").getByRole("button").last().focus();
  await phone.keyboard.press("Enter");
  await group.waitFor({ state: "detached" });
  await until(phone, () => document.activeElement?.dataset.testid === "new-group");
  assertFine(phone);
  await phone.context().close();
});

test("a role lets somebody tidy up in a channel, in the page they have open", async () => {
  const people = await peopleOf(server, "acme", "anna");
  const { conversation } = await call(server, "acme", "anna", "plugins/chat/conversations.create", { kind: "channel", name: "Anslagstavlan", members: [people.bertil, people.carin] });
  for (const [local_id, text] of [["first", "Säljer cykel"], ["second", "Köper cykel"]]) {
    await call(server, "acme", "carin", "plugins/chat/messages.send", { conversation: conversation.id, text, local_id });
  }
  await openConversation(bertil, acme, conversation.id);
  await delivered(bertil, "Säljer cykel").focus();
  await delivered(bertil, "Säljer cykel").getByTestId("reply").waitFor();
  assert.equal(await bertil.getByTestId("delete").count(), 0, "not without the role");
  await bertil.evaluate(() => (window.sameDocument = true));

  await anna.goto(new URL("/people", acme).href);
  await anna.getByTestId("tab-roles").click();
  await anna.getByText("Inga egna roller än").waitFor();
  // What is there by itself is read, not changed.
  const builtIn = anna.locator('[data-testid="built-in"][data-role="admin"]');
  await builtIn.getByTestId("built-in-open").click();
  await builtIn.locator('[data-permission="chat.moderate"]').waitFor();
  assert.equal(await builtIn.locator('[data-permission="chat.read"]').count(), 0, "members have that");
  assert.equal(await builtIn.getByRole("button").count(), 1);

  await anna.getByTestId("first-role").click();
  await anna.getByTestId("role-name").fill("Moderator");
  await permission(anna, "chat.read").check();
  await anna.getByTestId("role-submit").click();
  const role = anna.getByTestId("role").filter({ hasText: "Moderator" });
  // A new role stands open, to be given to somebody.
  await role.getByTestId("no-holders").waitFor();
  await role.getByTestId("role-add").click();
  await anna.getByTestId("people-search").fill("Bertil");
  await anna.getByTestId("person-option").filter({ hasText: "Bertil" }).click();
  await anna.getByTestId("role-add-submit").click();
  await role.getByTestId("role-holder").filter({ hasText: "Bertil" }).waitFor();

  // What is about to change is said before, and what has changed after.
  await role.getByTestId("role-edit").click();
  await anna.getByTestId("role-changes").getByText("Inget är ändrat än.").waitFor();
  assert.equal(await anna.getByTestId("role-submit").isDisabled(), true);
  await permission(anna, "chat.moderate").check();
  await permission(anna, "chat.read").uncheck();
  await anna.getByTestId("role-changes").getByText("1 rättighet till och 1 rättighet mindre").waitFor();
  await anna.getByTestId("role-submit").click();
  await anna.getByTestId("toasts").getByText("Moderator är sparad: 1 rättighet till och 1 rättighet mindre").waitFor();
  await role.locator('[data-permission="chat.moderate"]').waitFor();

  await anna.getByTestId("new-role").click();
  await anna.getByTestId("role-name").fill("moderator");
  await anna.getByTestId("role-submit").click();
  await anna.getByRole("alert").getByText("En annan roll har det namnet.").waitFor();
  await until(anna, () => document.activeElement?.dataset.testid === "role-name");
  await anna.keyboard.press("Escape");

  await comeBack(bertil);
  await act(bertil, "Säljer cykel", "delete");
  await delivered(bertil, "Säljer cykel").waitFor({ state: "detached" });
  assert.equal(await bertil.evaluate(() => window.sameDocument), true, "without a reload");
  // Leaving the page is the end of the time for undo.
  await bertil.goto(acme);
  const carin = await openPage(browser);
  await signIn(carin, acme, "carin");
  await openConversation(carin, acme, conversation.id);
  await delivered(carin, "Köper cykel").waitFor();
  await until(carin, () => document.querySelector("[data-testid=messages]").textContent.includes("borttaget"));
  assert.equal(await delivered(carin, "Säljer cykel").count(), 0);
  await carin.context().close();

  await openConversation(bertil, acme, conversation.id);
  await delivered(bertil, "Köper cykel").focus();
  await delivered(bertil, "Köper cykel").getByTestId("delete").waitFor();
  await role.getByTestId("role-delete").click();
  await anna.getByTestId("confirm").getByText("1 person förlorar genast det som rollen ger.").waitFor();
  await anna.getByTestId("confirm").getByRole("button").last().click();
  await anna.getByText("Inga egna roller än").waitFor();
  await comeBack(bertil);
  await delivered(bertil, "Köper cykel").getByTestId("delete").waitFor({ state: "detached" });
});

test("roles are kept with keys alone, on a phone and in English", async () => {
  const phone = await openPage(browser, { viewport: { width: 360, height: 740 }, locale: "en-GB" });
  await signIn(phone, acme, "anna");
  await phone.evaluate(() => localStorage.setItem("vaxel:locale", "en"));
  await phone.goto(new URL("/people", acme).href);
  const focused = (testid) => until(phone, (wanted) => document.activeElement?.dataset.testid === wanted, testid);
  const go = async (testid, scope = phone) => {
    await scope.getByTestId(testid).focus();
    await phone.keyboard.press("Enter");
  };
  await call(server, "acme", "anna", "groups/create", { name: "Tidskrivarna" });
  await go("tab-roles");
  await go("new-role");
  // The name has the focus, then what can be given; Enter makes the role.
  await focused("role-name");
  await phone.keyboard.type("Keeping order in the channels of the whole municipality");
  await phone.keyboard.press("Tab");
  await focused("role-permission");
  await phone.keyboard.press("Space");
  assert.equal(await phone.getByTestId("role-permission").first().isChecked(), true);
  await phone.keyboard.press("Enter");
  const role = phone.getByTestId("role").filter({ hasText: "municipality" });
  await role.getByTestId("no-holders").waitFor();
  await go("role-add", role);
  for (const name of ["carin", "tidskriv"]) {
    await focused("people-search");
    await phone.keyboard.type(name);
    await phone.keyboard.press("Enter");
  }
  await go("role-add-submit");
  await role.getByTestId("role-holder").filter({ hasText: "Carin" }).waitFor();
  await role.getByTestId("role-holder").filter({ hasText: "Group of 0 members" }).waitFor();
  await role.getByText("given to 2 people and groups").waitFor();
  await focused("role-add");
  assert.equal(await phone.evaluate(() => document.scrollingElement.scrollWidth > innerWidth), false, "nothing sticks out");

  const carin = role.getByTestId("role-holder").filter({ hasText: "Carin" });
  await go("role-remove", carin);
  await carin.waitFor({ state: "detached" });
  await focused("role-add");
  await phone.getByTestId("toasts").getByRole("button", { name: "Undo" }).focus();
  await phone.keyboard.press("Enter");
  await carin.waitFor();

  await go("role-delete", role);
  await phone.getByTestId("confirm").getByText("1 person and everybody in Tidskrivarna (0) lose what the role gives at once.").waitFor();
  await phone.keyboard.press("Escape");
  await focused("role-delete");
  await phone.keyboard.press("Enter");
  await phone.getByTestId("confirm").getByRole("button").last().focus();
  await phone.keyboard.press("Enter");
  await role.waitFor({ state: "detached" });
  await focused("new-role");
  assertFine(phone);
  await phone.context().close();
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
  // Browsers report each refused call; refusing is what some tests above are about.
  assertFine(anna, /status of 409/);
  assertFine(bertil, /status of (401|403|404|422)/);
});

/** The box of a permission in the window where a role is made. */
function permission(page, name) {
  return page.locator(`[data-testid="role-permission"][value="${name}"]`);
}

/** As when somebody turns back to their window: headless pages never lose the focus. */
function comeBack(page) {
  return page.evaluate(() => window.dispatchEvent(new Event("focus")));
}
