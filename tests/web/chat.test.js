// Two people of one organization, each in a browser of their own, chat through the real server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { act, call, composer, delivered, messages, openConversation, peopleOf, reads, row, say, signIn } from "./screens.js";
import { startServer } from "./server.js";

let server;
let browser;
let acme;
let anna;
let bertil;
let people;
let direct;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  browser = await startBrowser();
  anna = await openPage(browser);
  bertil = await openPage(browser);
  await signIn(anna, acme, "anna");
  await signIn(bertil, acme, "bertil");
  people = await peopleOf(server, "acme", "anna");
  direct = await call(server, "acme", "anna", "plugins/chat/conversations.create", { kind: "direct", members: [people.bertil] });
  await openConversation(anna, acme, direct.id);
  await openConversation(bertil, acme, direct.id);
}, { timeout: 900_000 });

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
  assert.equal(await messages(anna, "En gång räcker").count(), 1);
  await delivered(anna, "En gång räcker").waitFor();
  await reads(bertil, "En gång räcker");
  assert.equal(await messages(anna, "En gång räcker").count(), 1);
  assert.equal(await messages(bertil, "En gång räcker").count(), 1);
});

test("typing is shown to the other, until the message is there", async () => {
  await composer(anna).pressSequentially("Jag skriver");
  await bertil.getByTestId("typing").filter({ hasText: "Anna" }).waitFor();
  await composer(anna).press("Enter");
  await reads(bertil, "Jag skriver");
  await bertil.getByTestId("typing").waitFor({ state: "detached" });
});

test("a reaction counts for both, and can be taken back", async () => {
  await act(bertil, "Hej Bertil, syns jag?", "react");
  await bertil.getByTestId("emoji-picker").getByRole("button").first().click();
  const seen = delivered(anna, "Hej Bertil, syns jag?").getByTestId("reaction").first();
  await seen.filter({ hasText: "1" }).waitFor();
  assert.equal(await seen.getAttribute("aria-pressed"), "false");
  await seen.click();
  const own = delivered(bertil, "Hej Bertil, syns jag?").getByTestId("reaction").first();
  await own.filter({ hasText: "2" }).waitFor();
  assert.equal(await own.getAttribute("aria-pressed"), "true");
  await own.click();
  await seen.filter({ hasText: "1" }).waitFor();
  await seen.click();
  await own.waitFor({ state: "detached" });
});

test("a reply names what it answers", async () => {
  await act(anna, "Ja, klart och tydligt!", "reply");
  await say(anna, "Då fortsätter vi");
  const reply = delivered(bertil, "Då fortsätter vi");
  await reply.waitFor();
  await reply.filter({ hasText: "Bertil Åkesson" }).filter({ hasText: "Ja, klart och tydligt!" }).waitFor();
});

test("a mention is picked from the list and meant for the one it names", async () => {
  await anna.bringToFront();
  await composer(anna).pressSequentially("Kan du svara, @Ber");
  await anna.getByTestId("mention-list").getByRole("option", { name: /Bertil/ }).waitFor();
  await composer(anna).press("Enter");
  await composer(anna).pressSequentially("före tolv?");
  await composer(anna).press("Enter");
  const text = "Kan du svara, @Bertil Åkesson före tolv?";
  await delivered(bertil, "@Bertil Åkesson").waitFor();
  const list = await call(server, "acme", "bertil", "plugins/chat/messages.list", { conversation: direct.id, limit: 10 });
  const message = list.items.find((item) => item.text === text);
  assert.deepEqual(message?.mentions, [people.bertil]);
});

test("an edited message changes in both windows and says so", async () => {
  await say(anna, "Vi ses kl 10");
  await act(anna, "Vi ses kl 10", "edit");
  await composer(anna).fill("Vi ses kl 11");
  await composer(anna).press("Enter");
  for (const page of [bertil, anna]) {
    await page.getByTestId("message").filter({ hasText: "Vi ses kl 11" }).filter({ hasText: "ändrat" }).waitFor();
  }
  assert.equal(await messages(bertil, "Vi ses kl 10").count(), 0);
});

test("a deletion can be undone", async () => {
  await say(anna, "Detta ångrar jag nästan");
  await act(anna, "Detta ångrar jag nästan", "delete");
  await messages(anna, "Detta ångrar jag nästan").waitFor({ state: "detached" });
  await anna.getByTestId("toasts").getByRole("button", { name: "Ångra" }).click();
  await delivered(anna, "Detta ångrar jag nästan").waitFor();
  assert.equal(await messages(bertil, "Detta ångrar jag nästan").count(), 1);
});

test("a deletion that is not undone is carried out, at the latest when the page goes away", async () => {
  await say(anna, "Detta ångrar jag");
  await reads(bertil, "Detta ångrar jag");
  await act(anna, "Detta ångrar jag", "delete");
  await messages(anna, "Detta ångrar jag").waitFor({ state: "detached" });
  await anna.goto(new URL("/settings", acme).href);
  await messages(bertil, "Detta ångrar jag").waitFor({ state: "detached" });
  await bertil.getByText("Meddelandet är borttaget").last().waitFor();
  await openConversation(anna, acme, direct.id);
});

test("what is typed survives a reload", async () => {
  await composer(bertil).fill("Halvfärdig tanke");
  await bertil.reload();
  await composer(bertil).waitFor();
  assert.equal(await composer(bertil).inputValue(), "Halvfärdig tanke");
  await composer(bertil).fill("");
});

test("markup in a message is text", async () => {
  const markup = '<img src=x onerror="window.hacked=1"><b>fet</b>';
  await say(anna, markup);
  await reads(bertil, markup);
  assert.equal(await bertil.evaluate(() => window.hacked), undefined);
});

test("reading on one device clears the count on another of the same person", async () => {
  const phone = await openPage(browser, { viewport: { width: 390, height: 844 } });
  await signIn(phone, acme, "bertil");
  await row(phone, direct.id).waitFor();
  await bertil.goto(acme);
  await row(bertil, direct.id).waitFor();
  await say(anna, "Läs mig");
  await row(phone, direct.id).getByTestId("unread").waitFor();
  await row(bertil, direct.id).getByTestId("unread").waitFor();
  await bertil.bringToFront();
  await row(bertil, direct.id).click();
  await reads(bertil, "Läs mig");
  await row(phone, direct.id).getByTestId("unread").waitFor({ state: "detached" });
  assertFine(phone);
  await phone.context().close();
});

test("what is said while a conversation is being opened stands in it", async () => {
  const slow = await openPage(browser);
  const passed = { ready: signal(), asked: signal(), said: signal() };
  let release;
  await slow.routeWebSocket(/\/api\/v1\/socket$/, (socket) => {
    const real = socket.connectToServer();
    const lists = new Set();
    socket.onMessage((text) => {
      const frame = JSON.parse(text);
      if (frame.method === "plugins/chat/messages.list") lists.add(frame.id);
      real.send(text);
    });
    real.onMessage((text) => {
      const frame = JSON.parse(text);
      if (lists.has(frame.id)) {
        release = () => socket.send(text);
        passed.asked.give();
        return;
      }
      socket.send(text);
      if (frame.type === "ready") passed.ready.give();
      if (frame.topic === "chat.message.created") passed.said.give();
    });
  });
  await signIn(slow, acme, "bertil");
  await passed.ready.given;
  await row(slow, direct.id).click();
  await passed.asked.given;
  await openConversation(anna, acme, direct.id);
  await say(anna, "Sagt medan du öppnade");
  await passed.said.given;
  release();
  await delivered(slow, "Sagt medan du öppnade").waitFor();
  assert.equal(await messages(slow, "Sagt medan du öppnade").count(), 1);
  await slow.context().close();
});

test("a group, a channel and a direct conversation are made, and who is in them sees them", async () => {
  await anna.bringToFront();
  for (const [kind, name] of [["group", "Julbordet"], ["channel", "Cykelgaraget"]]) {
    await anna.getByTestId("new-conversation").click();
    await anna.getByTestId(`create-${kind}`).click();
    await anna.getByTestId("create-name").fill(name);
    await anna.getByTestId("people-search").fill("Bert");
    await anna.getByTestId("person-option").filter({ hasText: "Bertil" }).click();
    await anna.getByTestId("create-submit").click();
    await anna.getByTestId("conversation-name").filter({ hasText: name }).waitFor();
    await say(anna, `Välkommen till ${name}`);
    await bertil.getByTestId("conversation").filter({ hasText: name }).filter({ hasText: `Välkommen till ${name}` }).waitFor();
  }
  await anna.getByTestId("new-conversation").click();
  await anna.getByTestId("people-search").fill("Bert");
  await anna.getByTestId("person-option").filter({ hasText: "Bertil" }).click();
  await anna.getByTestId("create-submit").click();
  await anna.waitForURL(new RegExp(`/chat/${direct.id}$`));
});

test("an open channel is found, joined, and left again", async () => {
  const carin = await openPage(browser);
  await signIn(carin, acme, "carin");
  await carin.getByTestId("new-conversation").click();
  await carin.getByTestId("create-discover").click();
  await carin.getByRole("button", { name: /Cykelgaraget/ }).click();
  await carin.getByTestId("conversation-name").filter({ hasText: "Cykelgaraget" }).waitFor();
  await reads(carin, "Välkommen till Cykelgaraget");
  await say(carin, "Får jag ställa min lådcykel här?");
  await anna.getByTestId("conversation").filter({ hasText: "Cykelgaraget" }).click();
  await reads(anna, "Får jag ställa min lådcykel här?");
  await carin.getByTestId("details-toggle").click();
  await carin.getByTestId("details").getByText("Carin Öberg").waitFor();
  await carin.getByTestId("leave").click();
  await carin.getByTestId("confirm").getByRole("button").last().click();
  await carin.getByTestId("conversation").filter({ hasText: "Cykelgaraget" }).waitFor({ state: "detached" });
  assertFine(carin);
  await carin.context().close();
});

test("the keyboard alone is enough to find a conversation and write in it", async () => {
  await anna.goto(acme);
  await row(anna, direct.id).waitFor();
  await anna.keyboard.press("Control+k");
  await anna.keyboard.type("Cykelgar");
  await anna.getByTestId("palette-hit").filter({ hasText: "Cykelgaraget" }).waitFor();
  await anna.keyboard.press("Enter");
  await anna.getByTestId("conversation-name").filter({ hasText: "Cykelgaraget" }).waitFor();
  await anna.getByTestId("messages").waitFor();
  await anna.keyboard.type("Bara tangenter");
  await anna.keyboard.press("Enter");
  await delivered(anna, "Bara tangenter").waitFor();
});

test("no page complained meanwhile", () => {
  assertFine(anna);
  assertFine(bertil);
});

/** Something that happens once, and can be waited for before and after it did. */
function signal() {
  let give;
  const given = new Promise((done) => (give = done));
  return { give, given };
}
