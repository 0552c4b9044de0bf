// A day's work without a mouse: every step is a key pressed where the focus stands, and the focus is never lost or caught.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { call, delivered, openConversation, peopleOf, until } from "./screens.js";
import { PASSWORD, startServer } from "./server.js";

/** More presses of Tab than any page should need to its main action. */
const TABS_MAX = 40;

let server;
let browser;
let acme;
let people;
let group;
let anna;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  browser = await startBrowser();
  people = await peopleOf(server, "acme", "anna");
  group = (await call(server, "acme", "anna", "plugins/chat/conversations.create", { kind: "group", name: "Tangentgruppen", members: [people.bertil] })).conversation;
  await call(server, "acme", "bertil", "plugins/chat/messages.send", { conversation: group.id, text: "Vem tar kvällen?", local_id: "fraga" });
  anna = await openPage(browser);
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("signing in and opening a conversation", async () => {
  await anna.goto(new URL("/login", acme).href);
  await focused(anna, "login");
  await anna.keyboard.type("anna");
  await anna.keyboard.press("Tab");
  await focused(anna, "password");
  await anna.keyboard.type(PASSWORD);
  await anna.keyboard.press("Enter");
  await anna.getByTestId("conversation").first().waitFor();
  await tabTo(anna, "conversation-search");
  await anna.keyboard.type("tangentgr");
  await tabTo(anna, "conversation");
  await anna.keyboard.press("Enter");
  await anna.getByTestId("conversation-name").filter({ hasText: "Tangentgruppen" }).waitFor();
  await focused(anna, "composer");
});

test("sending, reacting, answering and mentioning", async () => {
  await anna.keyboard.type("Jag kan ta den");
  await anna.keyboard.press("Enter");
  await delivered(anna, "Jag kan ta den").waitFor();
  await focused(anna, "composer");

  await tabTo(anna, "message", "Shift+Tab");
  await anna.keyboard.press("ArrowUp");
  await focusedText(anna, "Vem tar kvällen?");
  await anna.keyboard.press("+");
  await anna.getByTestId("emoji-picker").waitFor();
  // Escape and Tab lead out again, and back to where one came from.
  await anna.keyboard.press("Escape");
  await anna.getByTestId("emoji-picker").waitFor({ state: "detached" });
  await focusedText(anna, "Vem tar kvällen?");
  await anna.keyboard.press("+");
  await anna.getByTestId("emoji-picker").waitFor();
  await anna.keyboard.press("ArrowRight");
  await anna.keyboard.press("Enter");
  await delivered(anna, "Vem tar kvällen?").getByTestId("reaction").waitFor();
  await focusedText(anna, "Vem tar kvällen?");

  await anna.keyboard.press("r");
  await focused(anna, "composer");
  await anna.keyboard.type("Hinner du, @Ber");
  await anna.getByTestId("mention-list").waitFor();
  await anna.keyboard.press("Enter");
  await anna.keyboard.type("annars?");
  await anna.keyboard.press("Enter");
  await anna.locator("[data-message]").filter({ hasText: "annars?" }).filter({ hasText: "Vem tar kvällen?" }).waitFor();
  const { items } = await call(server, "acme", "bertil", "plugins/chat/messages.list", { conversation: group.id, limit: 5 });
  assert.deepEqual(items[0].mentions, [people.bertil]);
  assert.equal(items[0].reply_to.text, "Vem tar kvällen?");

  // The last own message is one key away, and Escape leaves it as it was.
  await anna.keyboard.press("ArrowUp");
  await until(anna, () => document.activeElement.value?.includes("annars?"));
  await anna.keyboard.press("Escape");
  await until(anna, () => document.activeElement.dataset.testid === "composer" && document.activeElement.value === "");
});

test("what is deleted by keys leaves the focus among the messages", async () => {
  await anna.keyboard.type("Detta var fel");
  await anna.keyboard.press("Enter");
  await delivered(anna, "Detta var fel").waitFor();
  await tabTo(anna, "message", "Shift+Tab");
  await focusedText(anna, "Detta var fel");
  await tabTo(anna, "delete");
  await anna.keyboard.press("Enter");
  await delivered(anna, "Detta var fel").waitFor({ state: "detached" });
  await focused(anna, "message");
});

test("the palette leads to people and pages, and never opens over another window", async () => {
  await anna.keyboard.press("Control+k");
  await focused(anna, "palette-input");
  await anna.keyboard.type("carin");
  await anna.getByTestId("palette-hit").filter({ hasText: "Carin" }).first().waitFor();
  await anna.keyboard.press("Enter");
  await anna.getByTestId("conversation-name").filter({ hasText: "Carin" }).waitFor();
  await focused(anna, "composer");

  await anna.keyboard.press("Control+Alt+n");
  await anna.getByTestId("create-dialog").waitFor();
  await anna.keyboard.press("Control+k");
  assert.equal(await anna.getByTestId("palette").count(), 0);
  await anna.keyboard.press("Escape");
  await anna.getByTestId("create-dialog").waitFor({ state: "detached" });
  await focused(anna, "composer");
});

test("inviting somebody from the people page", async () => {
  await anna.keyboard.press("Control+k");
  await anna.keyboard.type("personer");
  await anna.getByTestId("palette-hit").filter({ hasText: "Personer" }).first().waitFor();
  await anna.keyboard.press("Enter");
  await anna.getByTestId("person").first().waitFor();
  await until(anna, () => document.activeElement.id === "content");
  await tabTo(anna, "invite");
  await anna.keyboard.press("Enter");
  await focused(anna, "invite-name");
  await anna.keyboard.type("Tage Tangent");
  await anna.keyboard.press("Enter");
  await anna.getByTestId("one-time-link").waitFor();
  await focused(anna, "copy-link");
  await anna.keyboard.press("Escape");
  await anna.getByTestId("invite-dialog").waitFor({ state: "detached" });
  await focused(anna, "invite");
  await anna.getByTestId("person").filter({ hasText: "Tage Tangent" }).waitFor();
});

test("groups, and back out of everything that was opened", async () => {
  await tabTo(anna, "tab-groups");
  await anna.keyboard.press("Enter");
  await anna.getByTestId("new-group").waitFor();
  await tabTo(anna, "new-group", "Shift+Tab");
  await anna.keyboard.press("Enter");
  await focused(anna, "group-name");
  await anna.keyboard.type("Nattlaget");
  await anna.keyboard.press("Enter");
  await anna.getByTestId("group").filter({ hasText: "Nattlaget" }).waitFor();
  await focused(anna, "new-group");
  await tabTo(anna, "group-add");
  await anna.keyboard.press("Enter");
  await focused(anna, "people-search");
  await anna.keyboard.type("tage");
  await anna.keyboard.press("Enter");
  await tabTo(anna, "group-add-submit");
  await anna.keyboard.press("Enter");
  await anna.getByTestId("group-member").filter({ hasText: "Tage" }).waitFor();
  await focused(anna, "group-add");
  assertFine(anna);
});

test("the skip link is the first stop, and Tab comes round the whole page", async () => {
  await openConversation(anna, acme, group.id);
  await anna.evaluate(() => document.activeElement.blur());
  await anna.keyboard.press("Control+Home");
  const seen = new Set();
  for (let press = 0; press < TABS_MAX; press += 1) {
    await anna.keyboard.press("Tab");
    seen.add(await anna.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.className));
  }
  for (const stop of ["skip", "place-chat", "conversation", "message", "composer"]) {
    assert.ok([...seen].some((each) => each.split(" ").includes(stop)), `${stop} is not among ${[...seen]}`);
  }
});

/** Presses Tab until an element with this test id has the focus. */
async function tabTo(page, testid, key = "Tab") {
  const passed = [];
  for (let press = 0; press < TABS_MAX; press += 1) {
    await page.keyboard.press(key);
    const now = await page.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.tagName);
    if (now === testid) {
      await isSeen(page);
      return;
    }
    passed.push(now);
  }
  assert.fail(`${testid} was not reached; the focus went over ${passed}`);
}

/** Whoever goes by keys sees where the focus stands: a ring of 2 px and more on it or on what holds it. */
async function isSeen(page) {
  const ringed = await page.evaluate(() => {
    for (let at = document.activeElement, up = 0; at && up < 3; at = at.parentElement, up += 1) {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(at);
      if ((outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) || (up > 0 && boxShadow !== "none")) return true;
    }
    return false;
  });
  assert.ok(ringed, "no focus ring is to be seen");
}

function focused(page, testid) {
  return until(page, (wanted) => document.activeElement?.dataset.testid === wanted, testid);
}

/** The focus stands on the message with this text, or on something in it. */
function focusedText(page, text) {
  return until(page, (wanted) => document.activeElement?.closest("[data-message]")?.textContent.includes(wanted), text);
}
