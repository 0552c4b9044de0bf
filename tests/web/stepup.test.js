// A survey on a phone, behind a PIN, behind BankID, and anonymously: what is on the screen is what a person has, and the
// stand-in's phone reads the code from the screen.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { askAxe, inspect } from "./access.js";
import { assertFine, openPage, startBrowser } from "./browser.js";
import { call } from "./screens.js";
import { BINARY, startServer } from "./server.js";

const PHONE = { width: 390, height: 844 };
const LOCALES = { sv: "sv-SE", en: "en-GB" };
const WORDS = {
  sv: { go: "Fortsätt", elsewhere: "BankID på en annan enhet", pin: "PIN-kod, 6 siffror", send: "Skicka svar", red: "Röd", thanks: "Tack för ditt svar" },
  en: { go: "Continue", elsewhere: "BankID on another device", pin: "PIN, 6 digits", send: "Send answer", red: "Red", thanks: "Thank you for your answer" },
};

let standin;
let server;
let browser;
let acme;

/** BankID as the stand-in plays it; answers where its API and its phone are. */
async function startStandin() {
  const folder = mkdtempSync(join(tmpdir(), "vaxel-bankid-"));
  const child = spawn(join(dirname(BINARY), "bankid-standin"), [folder], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value.replace("ready ", "");
  const [api, phone] = [await next(), await next()];
  const read = (name) => readFileSync(join(folder, name), "utf8");
  return {
    api,
    folder,
    party: { certificate: read("party.pem"), key: read("party.key") },
    /** Presses something on the phone. */
    press(path, body) {
      return new Promise((done, failed) => {
        const sent = request(new URL(path, phone), { method: "POST" }, (answer) => {
          let text = "";
          answer.on("data", (chunk) => (text += chunk));
          answer.on("end", () => (answer.statusCode === 200 ? done(JSON.parse(text)) : failed(new Error(text))));
        });
        sent.on("error", failed);
        sent.end(JSON.stringify(body));
      });
    },
    stop() {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

before(async () => {
  standin = await startStandin();
  const config = `[eid.bankid]\nurl = "${standin.api}/rp/v6.0"\napi_root = "${standin.folder}/api-root.pem"\nsignature_root = "${standin.folder}/people-root.pem"\n`;
  server = await startServer({ config });
  acme = server.url("acme");
  await call(server, "acme", "anna", "stepup/set_bankid", standin.party);
  browser = await startBrowser();
}, { timeout: 900_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
  standin?.stop();
});

/** Publishes a survey with one question; answers it. */
async function asks(title, settings) {
  const questions = [{ id: "colour", kind: "single_choice", required: true, label: { sv: "Vilken färg?", en: "Which colour?" }, options: [{ id: "red", label: { sv: "Röd", en: "Red" } }, { id: "blue", label: { sv: "Blå", en: "Blue" } }] }];
  const definition = { title: { sv: title, en: title }, languages: ["sv", "en"], settings: { group_min: 1, ...settings }, sections: [{ id: "first", questions }] };
  const { id } = await call(server, "acme", "anna", "plugins/surveys/create", { definition });
  const { address } = await call(server, "acme", "anna", "plugins/surveys/publish", { survey: id });
  return { id, address };
}

async function counted(survey) {
  const results = await call(server, "acme", "anna", "plugins/surveys/results", { survey: survey.id, refresh: true });
  return results.groups[0].questions[0].counts.find(({ of }) => of === "red").count;
}

/** What the phone's camera sees of the screen, in grey. */
async function photo(page) {
  await page.locator("#code").waitFor();
  await page.waitForFunction(() => document.getElementById("code").naturalWidth > 0).catch(() => {});
  const png = (await page.locator("#code").screenshot()).toString("base64");
  const camera = await browser.newPage();
  const seen = await camera.evaluate(async (png) => {
    const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const { width, height } = picture;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    let grey = "";
    for (let at = 0; at < data.length; at += 4) grey += String.fromCharCode((data[at] + data[at + 1] + data[at + 2]) / 3);
    return { width, grey: btoa(grey) };
  }, png);
  await camera.close();
  return seen;
}

/** Somebody scans what is on the screen and agrees. */
async function identifies(page, language, person) {
  await page.getByRole("button", { name: WORDS[language].elsewhere }).click();
  const { order, text } = await standin.press("/photo", await photo(page));
  assert.ok(text.includes("Acme") || text.includes("acme"), text);
  await standin.press("/approve", { order, person });
}

async function answers(page, language) {
  await page.getByRole("radio", { name: WORDS[language].red }).check();
  await page.getByRole("button", { name: WORDS[language].send }).click();
  await page.getByRole("heading", { name: WORDS[language].thanks }).waitFor();
}

for (const [language, scheme] of [["sv", "light"], ["en", "dark"]]) {
  assert.ok(askAxe(scheme, language));
  const words = WORDS[language];
  const phone = () => openPage(browser, { viewport: PHONE, colorScheme: scheme, locale: LOCALES[language], isMobile: true, hasTouch: true });
  const look = async (page, name) => assert.deepEqual(await inspect(page, `stepup-${name}-${scheme}-${language}`), []);

  test(`a survey behind a PIN on a phone in ${language}, ${scheme}`, { timeout: 600_000 }, async () => {
    const survey = await asks(`Pulsen ${language}`, { access: "link", step_up: ["pin"], linkage: "confidential" });
    const { items } = await call(server, "acme", "anna", "plugins/surveys/invitations.create", { survey: survey.id, recipients: ["Eva"] });
    const scope = `answer/${survey.id}/${items[0].id}`;
    const { pin } = await call(server, "acme", "anna", "stepup/make_pin", { plugin: "surveys", scope });
    const page = await phone();
    await page.goto(new URL(items[0].link, acme).href);
    await look(page, "pin");
    await page.getByLabel(words.pin).fill(pin === "000000" ? "111111" : "000000");
    await page.getByRole("button", { name: words.go }).click();
    await page.getByRole("alert").waitFor();
    await look(page, "pin-wrong");
    await page.getByLabel(words.pin).fill(pin);
    await page.getByRole("button", { name: words.go }).click();
    await answers(page, language);
    assert.equal(await counted(survey), 1);
    assertFine(page, /\b403\b/);
    await page.context().close();
  });

  test(`a survey behind BankID on a phone in ${language}, ${scheme}`, { timeout: 600_000 }, async () => {
    const survey = await asks(`Vården ${language}`, { step_up: ["bankid"], linkage: "confidential" });
    const page = await phone();
    await page.goto(new URL(survey.address, acme).href);
    await look(page, "choice");
    await page.getByRole("button", { name: words.elsewhere }).click();
    await page.locator("#code").waitFor();
    await look(page, "code");
    await page.goto(new URL(survey.address, acme).href);
    await identifies(page, language, "asa");
    await answers(page, language);
    assert.equal(await counted(survey), 1);
    assertFine(page, /\b404\b/);
    await page.context().close();
  });

  test(`an anonymous survey on a phone in ${language}, ${scheme}`, { timeout: 600_000 }, async () => {
    const survey = await asks(`Trivsel ${language}`, { step_up: ["bankid"], linkage: "anonymous" });
    const page = await phone();
    await page.goto(new URL(survey.address, acme).href);
    await look(page, "anonymous");
    await identifies(page, language, "bo");
    await page.getByRole("radio", { name: words.red }).waitFor();
    await look(page, "anonymous-questions");
    const cookies = async () => (await page.context().cookies()).map(({ name }) => name.replace(/[0-9a-f]{16}$/, ""));
    assert.deepEqual(await cookies(), ["__Host-vaxel_ticket_"], "nothing of who they are is left beside the ticket");
    await answers(page, language);
    assert.deepEqual(await cookies(), [], "nor the ticket beside the answer");
    assert.equal(await counted(survey), 1);
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    assertFine(page);
    // Bo comes back with another browser, and is told plainly that there is one ticket for each.
    const other = await phone();
    await other.goto(new URL(survey.address, acme).href);
    await identifies(other, language, "bo");
    await other.locator("#again:not([hidden])").waitFor();
    await look(other, "anonymous-twice");
    assertFine(other, /\b409\b/);
    await other.context().close();
    await page.context().close();
  });
}

test("without script nobody is anonymous, and it says so", { timeout: 400_000 }, async () => {
  const survey = await asks("Trivsel", { step_up: ["bankid"], linkage: "anonymous" });
  const page = await openPage(browser, { viewport: PHONE, locale: "sv-SE", javaScriptEnabled: false });
  await page.goto(new URL(survey.address, acme).href);
  await identifies(page, "sv", "asa");
  await page.getByText("måste webbläsaren få köra skript").waitFor();
  assert.equal(await page.getByRole("radio").count(), 0, "no question is shown");
  assert.equal(await counted(survey).catch(() => 0), 0);
  await page.context().close();
});
