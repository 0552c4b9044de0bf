// What a person does on the screens of the client, in its own terms.

import { request } from "node:http";
import { PASSWORD } from "./server.js";

/** A loaded machine is slow; a test that waits longer is broken. */
export const PATIENCE_MS = 20_000;

export async function signIn(page, url, login) {
  await page.goto(url);
  const name = page.locator('input[autocomplete="username"]');
  await name.waitFor({ timeout: PATIENCE_MS });
  await name.fill(login);
  await page.locator('input[type="password"]').fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByTestId("conversations").waitFor({ timeout: PATIENCE_MS });
}

export async function say(page, text) {
  const box = composer(page);
  await box.fill(text);
  await box.press("Enter");
}

export function composer(page) {
  const box = page.getByTestId("composer");
  return box.and(page.locator("textarea")).or(box.locator("textarea")).first();
}

/** The messages on the screen with this text. */
export function messages(page, text) {
  return page.getByTestId("message").filter({ has: page.getByText(text, { exact: true }) });
}

export async function reads(page, text) {
  await messages(page, text).first().waitFor({ timeout: PATIENCE_MS });
}

/** Signs in beside the page and calls a method, as another device would. */
export async function call(server, tenant, login, method, params) {
  const session = await post(server, tenant, "session/login", { login, password: PASSWORD });
  return post(server, tenant, method, params, session.access_token);
}

/** Not with fetch: it sets Host and Origin as it sees fit, and Node resolves no names under localhost. */
function post(server, tenant, method, params, token) {
  const url = new URL(server.url(tenant));
  const headers = { host: url.host, origin: url.origin, "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  return new Promise((done, failed) => {
    const options = { host: "127.0.0.1", port: url.port, path: `/api/v1/${method}`, method: "POST", headers };
    const sent = request(options, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => {
        if (answer.statusCode < 300) done(text === "" ? null : JSON.parse(text));
        else failed(new Error(`${method} answered ${answer.statusCode}: ${text}`));
      });
    });
    sent.on("error", failed);
    sent.end(JSON.stringify(params));
  });
}
