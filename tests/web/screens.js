// What a person does on the screens of the client, in its own terms.

import { request } from "node:http";
import { PATIENCE_MS } from "./browser.js";
import { PASSWORD } from "./server.js";

export async function signIn(page, url, login, password = PASSWORD) {
  await page.goto(new URL("/login", url).href);
  await page.getByTestId("login").fill(login);
  await page.getByTestId("password").fill(password);
  await page.getByTestId("sign-in").click();
  await page.getByTestId("conversations").waitFor();
}

/** Opens a conversation by its address and waits until its messages stand there. */
export async function openConversation(page, url, id) {
  await page.goto(new URL(`/chat/${id}`, url).href);
  await composer(page).waitFor();
  await page.getByTestId("messages").waitFor();
}

export async function say(page, text) {
  const box = composer(page);
  await box.fill(text);
  await box.press("Enter");
}

export function composer(page) {
  return page.getByTestId("composer");
}

/** The messages on the screen with this text. */
export function messages(page, text) {
  return page.getByTestId("message").filter({ has: page.getByText(text, { exact: true }) });
}

export function reads(page, text) {
  return messages(page, text).first().waitFor();
}

/** The message on the screen that the server has, not one on its way. */
export function delivered(page, text) {
  return page.locator("[data-message]").filter({ has: page.getByText(text, { exact: true }) });
}

/** Presses a button of a message's toolbar, which stands there once the message has the focus. */
export async function act(page, text, tool) {
  const message = delivered(page, text).last();
  await message.waitFor();
  await message.focus();
  await message.getByTestId(tool).click();
}

export function row(page, conversation) {
  return page.locator(`[data-conversation="${conversation}"]`);
}

/** Waits until a question about the page is answered with yes. */
export function until(page, question, argument) {
  return page.waitForFunction(question, argument, { timeout: PATIENCE_MS });
}

/** The other device of each person, by server: signed in once, for so many sessions end the oldest, which is the page's. */
const devices = new WeakMap();

/** Calls a method beside the page, as another device would. */
export async function call(server, tenant, login, method, params) {
  const mine = devices.get(server) ?? new Map();
  devices.set(server, mine);
  const person = `${tenant}/${login}`;
  const device = mine.get(person) ?? post(server, tenant, "session/login", { login, password: PASSWORD });
  mine.set(person, device);
  try {
    return await post(server, tenant, method, params, (await device).access_token);
  } catch (error) {
    if (error.status !== 401) throw error;
    // The token has ended, and with it this device. The next is signed in for this call.
    mine.delete(person);
    const session = post(server, tenant, "session/login", { login, password: PASSWORD });
    const { access_token } = await session;
    mine.set(person, session);
    return post(server, tenant, method, params, access_token);
  }
}

/** The people of an organization by the first word of their names, in lower case. */
export async function peopleOf(server, tenant, login) {
  const { items } = await call(server, tenant, login, "users/list", { limit: 100 });
  return Object.fromEntries(items.map((person) => [person.display_name.split(" ")[0].toLowerCase(), person.id]));
}

/** Not with fetch: it sets Host and Origin as it sees fit, and Node resolves no names under localhost. */
export function post(server, tenant, method, params, token, more = {}) {
  const url = new URL(server.url(tenant));
  const headers = { host: url.host, origin: url.origin, "content-type": "application/json", ...more };
  if (token) headers.authorization = `Bearer ${token}`;
  return new Promise((done, failed) => {
    const options = { host: "127.0.0.1", port: url.port, path: `/api/v1/${method}`, method: "POST", headers };
    const sent = request(options, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => {
        if (answer.statusCode < 300) done(text === "" ? null : JSON.parse(text));
        else failed(Object.assign(new Error(`${method} answered ${answer.statusCode}: ${text}`), { status: answer.statusCode }));
      });
    });
    sent.on("error", failed);
    sent.end(JSON.stringify(params));
  });
}
