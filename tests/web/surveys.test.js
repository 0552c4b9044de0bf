// A survey from idea to export, as an administrator makes it in the client and somebody answers it on a phone.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { inspect } from "./access.js";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { call, signIn, until } from "./screens.js";
import { startServer } from "./server.js";

const WIDTHS = [
  { width: 320, height: 640 },
  { width: 768, height: 1024 },
  { width: 1440, height: 900 },
];

const PHONE = { width: 390, height: 844 };

let server;
let browser;
let acme;

before(async () => {
  server = await startServer();
  acme = server.url("acme");
  browser = await startBrowser();
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

const at = (path) => new URL(path, acme).href;
const saved = (page) => until(page, () => document.querySelector("[data-testid=survey-saving]")?.dataset.saving === "saved");

async function addQuestion(page, kind, label, options = []) {
  await page.getByTestId("add-question").last().click();
  await page.locator(`[data-testid=kind][data-kind=${kind}]`).click();
  const editor = page.getByTestId("question-editor");
  await editor.getByTestId("question-label").fill(label);
  const fields = editor.getByTestId("options").getByTestId("option");
  for (const [number, option] of options.entries()) {
    if (number >= (await fields.count())) await fields.last().press("Enter");
    await fields.nth(number).fill(option);
  }
  return editor;
}

/** Sends a page of a survey, on which everything is answered. */
const goOn = (page) => page.locator("form button[type=submit]").first().click();

test("an administrator takes a survey from idea to export, and people answer it on their phones", { timeout: 900_000 }, async () => {
  const anna = await openPage(browser);
  await signIn(anna, acme, "anna");
  await anna.getByTestId("place-surveys").click();
  await anna.getByTestId("new-survey").click();
  await anna.getByTestId("survey-title").fill("Lunchen");
  await anna.getByTestId("survey-create").click();
  await anna.getByTestId("builder").waitFor();

  let editor = await addQuestion(anna, "single_choice", "Vad åt du?", ["Soppa", "Sallad", "Inget"]);
  await editor.getByTestId("question-required").check();
  editor = await addQuestion(anna, "scale", "Hur var maten?");
  await editor.getByTestId("condition-add").click();
  await editor.getByTestId("condition-is").selectOption("not_equals");
  await editor.getByTestId("condition-value").selectOption({ label: "Inget" });
  editor = await addQuestion(anna, "long_text", "Något mer om {q1}?");
  await saved(anna);

  // By keyboard a question goes up and comes back, and the step is undone.
  const order = () => anna.getByTestId("question").evaluateAll((list) => list.map((each) => each.dataset.question).join(" "));
  await anna.locator("#open-q3").focus();
  await anna.keyboard.press("Alt+ArrowUp");
  await until(anna, () => document.activeElement?.id === "open-q3");
  assert.equal(await order(), "q1 q3 q2");
  await saved(anna);
  await anna.keyboard.press("Control+z");
  assert.equal(await order(), "q1 q2 q3");
  await anna.locator("[data-question=q3]").getByTestId("question-remove").click();
  assert.equal(await order(), "q1 q2");
  await anna.getByTestId("toasts").getByRole("button", { name: "Ångra" }).click();
  assert.equal(await order(), "q1 q2 q3");

  // What is wrong stands at its question, and keeps it from being published.
  await addQuestion(anna, "email", "Din e-post?");
  await saved(anna);
  await anna.locator("[data-question=q4]").getByTestId("question-fault").waitFor();
  await anna.getByTestId("survey-publish").click();
  await anna.getByTestId("publish-dialog").getByText("Det här behöver rättas först").waitFor();
  assert.equal(await anna.getByTestId("publish-confirm").count(), 0);
  await anna.keyboard.press("Escape");
  await anna.locator("[data-question=q4]").getByTestId("question-remove").click();
  await saved(anna);

  await anna.getByTestId("survey-tab-settings").click();
  await anna.getByTestId("group-min").fill("2");
  await anna.getByTestId("divide-by").first().check();
  await saved(anna);
  await anna.reload();
  await anna.getByTestId("survey-settings").waitFor();
  assert.equal(await anna.getByTestId("group-min").inputValue(), "2");

  // Tried first: page by page as others will meet it, and nothing is taken.
  await anna.getByTestId("survey-preview").click();
  await anna.getByText("Förhandsgranskning").waitFor();
  await anna.getByRole("radio", { name: "Soppa" }).check();
  await anna.getByRole("button", { name: "Nästa" }).click();
  await anna.getByText("Något mer om Soppa?").waitFor();
  await anna.goBack();
  await anna.goBack();

  await anna.getByTestId("survey-publish").click();
  await anna.getByTestId("publish-confirm").click();
  const address = await anna.getByTestId("one-time-link").inputValue();
  await anna.keyboard.press("Escape");
  await until(anna, () => document.querySelector("[data-testid=survey-state]")?.dataset.state === "open");
  await anna.getByTestId("promised").waitFor();
  assert.ok(await anna.getByTestId("access-link").isDisabled(), "what people are told stands");

  await anna.getByTestId("survey-tab-results").click();
  await anna.getByText("Inga svar än").waitFor();
  const answers = [["Soppa", "4", "God"], ["Soppa", "5", "Varm"], ["Inget", undefined, "Ingen hunger"]];
  for (const [number, [lunch, stars, more]] of answers.entries()) {
    const guest = await openPage(browser, { viewport: PHONE, hasTouch: true, isMobile: true });
    await guest.goto(address);
    await guest.getByText("Ingen frågar vem du är").waitFor();
    if (number === 0) assert.deepEqual(await inspect(guest, "survey-answer-390-light-sv"), []);
    await goOn(guest);
    assert.equal(guest.url(), address, "nobody goes on without an answer that is needed");
    await guest.getByRole("radio", { name: lunch }).check();
    await goOn(guest);
    await guest.getByLabel(`Något mer om ${lunch}?`).fill(more);
    if (stars) await guest.getByRole("radio", { name: stars, exact: true }).check();
    else assert.equal(await guest.getByText("Hur var maten?").count(), 0, "asked only where it makes sense");
    await goOn(guest);
    await guest.getByText("Tack för ditt svar").waitFor();
    assertFine(guest);
    await guest.context().close();
  }

  await anna.getByTestId("results-refresh").click();
  await until(anna, () => document.querySelector("[data-testid=results]")?.dataset.came === "3");
  await anna.getByTestId("results-waiting").getByText("1 svar väntar tills minst 2").waitFor();
  const soup = anna.locator("[data-testid=question-result][data-question=q1]").getByTestId("result-bars").getByRole("row", { name: /Soppa/ });
  assert.match(await soup.innerText(), /2 \(100/);
  await anna.locator("[data-testid=question-result][data-question=q3]").getByTestId("read-texts").click();
  await anna.getByTestId("result-texts").getByText("Varm").waitFor();
  assert.equal(await anna.getByText("Ingen hunger").count(), 0, "who is alone in a group is not read");
  await anna.getByTestId("filter").selectOption({ label: "Sallad" });
  await anna.getByText("För få svar för att visas").waitFor();
  await anna.getByTestId("filter").selectOption("");

  const [file] = await Promise.all([anna.waitForEvent("download"), anna.getByTestId("export-csv").click()]);
  const csv = readFileSync(await file.path(), "utf8");
  assert.ok(csv.startsWith("\ufeff") && csv.includes('"q1","2","o1","2"') && !csv.includes("hunger"), csv);

  const [book] = await Promise.all([anna.waitForEvent("download"), anna.getByTestId("export-xlsx").click()]);
  const sheet = readFileSync(await book.path(), "utf8");
  assert.ok(sheet.startsWith("PK") && book.suggestedFilename().endsWith(".xlsx"), book.suggestedFilename());
  assert.match(sheet, />Vad åt du\?<\/t>.*<v>2<\/v>.*>Soppa<\/t>.*<v>2<\/v>/);

  await anna.getByTestId("survey-close").click();
  await anna.getByTestId("confirm").getByRole("button", { name: "Stäng" }).last().click();
  await until(anna, () => document.querySelector("[data-testid=survey-state]")?.dataset.state === "closed");
  assertFine(anna);
  await anna.context().close();
});

/** An open survey that is answered with personal links. */
async function linked() {
  const settings = { access: "link", step_up: [], linkage: "confidential", group_min: 5, divide_by: [], quotas: [] };
  const { id } = await call(server, "acme", "anna", "plugins/surveys/create", { template: "pulse" });
  const { definition } = await call(server, "acme", "anna", "plugins/surveys/get", { survey: id });
  await call(server, "acme", "anna", "plugins/surveys/save", { survey: id, definition: { ...definition, settings } });
  await call(server, "acme", "anna", "plugins/surveys/publish", { survey: id });
  return id;
}

test("people are invited by personal links, which are shown once, and those who have not answered are reminded", { timeout: 400_000 }, async () => {
  const id = await linked();
  const anna = await openPage(browser);
  await signIn(anna, acme, "anna");
  await anna.goto(at(`/surveys/${id}/invitations`));
  await anna.getByTestId("recipients").fill("Eva Ek\nnils@example.org\n");
  await anna.getByTestId("make-links").click();
  await anna.getByTestId("personal-link").first().waitFor();
  const links = await anna.getByTestId("personal-link").allInnerTexts();
  assert.equal(links.length, 2);
  const eva = await openPage(browser, { viewport: PHONE });
  await eva.goto(links[0]);
  for (const group of await eva.getByRole("group").all()) await group.getByRole("radio", { name: "4" }).check();
  await goOn(eva);
  await eva.getByText("Tack för ditt svar").waitFor();
  await eva.context().close();
  await anna.reload();
  await anna.getByTestId("answered-of").getByText("1 av 2 har svarat").waitFor();
  assert.equal(await anna.getByTestId("personal-link").count(), 0, "shown once");
  await anna.getByTestId("remind").click();
  await anna.getByTestId("personal-link").first().waitFor();
  assert.deepEqual(await anna.getByTestId("personal-link").allInnerTexts(), [links[1]]);

  await anna.getByTestId("survey-tab-sharing").click();
  await anna.getByTestId("share-add").click();
  await anna.getByTestId("people-search").fill("Bertil");
  await anna.getByTestId("person-option").first().click();
  await anna.getByTestId("share-confirm").click();
  await anna.getByTestId("share").getByText("Bertil Åkesson").waitFor();
  const { items } = await call(server, "acme", "bertil", "plugins/surveys/list", {});
  assert.deepEqual(items.map((item) => [item.id, item.may_edit]), [[id, false]]);
  assertFine(anna);
  await anna.context().close();
});

test("two who write at once both keep what they wrote, and so does one whose line is cut", { timeout: 400_000 }, async () => {
  const { id } = await call(server, "acme", "anna", "plugins/surveys/create", { template: "nps" });
  const anna = await openPage(browser);
  await signIn(anna, acme, "anna");
  // When the line stands it is fetched for the last time; what changes behind that is a conflict.
  const fetched = new Promise((done) => anna.on("websocket", (line) => line.on("framereceived", ({ payload }) => String(payload).includes('"faults"') && done())));
  await anna.goto(at(`/surveys/${id}`));
  await fetched;
  await anna.getByTestId("survey-name").waitFor();
  const { definition } = await call(server, "acme", "anna", "plugins/surveys/get", { survey: id });
  await call(server, "acme", "anna", "plugins/surveys/save", { survey: id, definition: { ...definition, title: { sv: "Den andras", en: "The other's" } } });
  await anna.getByTestId("survey-name").fill("Min");
  await anna.getByTestId("survey-conflict").waitFor();
  await anna.getByTestId("survey-conflict").getByRole("button", { name: "Hämta det sparade" }).click();
  await until(anna, () => document.querySelector("[data-testid=survey-name]")?.value === "Den andras");
  await anna.getByTestId("survey-undo").click();
  assert.equal(await anna.getByTestId("survey-name").inputValue(), "Min");
  await saved(anna);

  await anna.context().setOffline(true);
  await anna.getByTestId("survey-name").fill("Skrivet utan nät");
  await until(anna, () => document.querySelector("[data-testid=survey-saving]")?.dataset.saving !== "saved");
  await anna.context().setOffline(false);
  await saved(anna);
  const { summary } = await call(server, "acme", "anna", "plugins/surveys/get", { survey: id });
  assert.equal(summary.title.sv, "Skrivet utan nät");
  await anna.context().close();
});

test("every view of surveys in both languages, at each width", { timeout: 900_000 }, async () => {
  const { items } = await call(server, "acme", "anna", "plugins/surveys/list", {});
  const demo = items.find((survey) => survey.slug === "ditt-besok");
  assert.equal(demo.answers, 300, "the demo's survey is there from the start");
  const pulse = await linked();
  await call(server, "acme", "anna", "plugins/surveys/invitations.create", { survey: pulse, recipients: ["Eva Ek", "Nils Nord, vårdcentralen i Östra Göinge"] });
  const found = [];
  for (const [language, locale, scheme] of [["sv", "sv-SE", "light"], ["en", "en-GB", "dark"]]) {
    await call(server, "acme", "anna", "users/update_me", { locale: language });
    const page = await openPage(browser, { locale, colorScheme: scheme });
    await signIn(page, acme, "anna");
    const VIEWS = [
      { name: "list", path: "/surveys", ready: () => page.getByTestId("survey").first() },
      { name: "new", path: "/surveys", open: () => page.getByTestId("new-survey").click(), ready: () => page.getByTestId("survey-template").last() },
      { name: "builder", path: `/surveys/${demo.id}`, open: () => page.getByTestId("question-open").nth(2).click(), ready: () => page.getByTestId("rows") },
      { name: "kinds", path: `/surveys/${demo.id}`, open: () => page.getByTestId("add-question").first().click(), ready: () => page.getByTestId("kind").first() },
      { name: "settings", path: `/surveys/${demo.id}/settings`, ready: () => page.getByTestId("survey-settings") },
      { name: "results", path: `/surveys/${demo.id}/results`, ready: () => page.getByTestId("question-result").last() },
      { name: "invitations", path: `/surveys/${pulse}/invitations`, open: () => page.getByTestId("remind").click(), ready: () => page.getByTestId("personal-link").last() },
      { name: "sharing", path: `/surveys/${demo.id}/sharing`, ready: () => page.getByTestId("looks") },
      { name: "preview", path: `/x/surveys/preview/${demo.id}`, ready: () => page.getByTestId("plugin-page") },
    ];
    for (const view of VIEWS) {
      await page.goto(at(view.path));
      if (view.open) await view.open();
      for (const size of WIDTHS) {
        await page.setViewportSize(size);
        await view.ready().waitFor();
        found.push(...(await inspect(page, `survey-${view.name}-${size.width}-${scheme}-${language}`, { axe: size.width === 320 })));
      }
    }
    assertFine(page);
    await page.context().close();
  }
  assert.deepEqual(found, []);
});
