// Debian's Chromium, driven without a connection to anywhere but the server under test.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A loaded machine is slow; a test that waits longer is broken. */
export const PATIENCE_MS = 60_000;

export const SCREENSHOTS = resolve(process.env.VAXEL_SCREENSHOTS ?? "../../target/screenshots");

/** What the browser itself says when the connection is gone; a page cannot prevent it. */
export const CUT = /ERR_(INTERNET_DISCONNECTED|CONNECTION|EMPTY_RESPONSE|SOCKET|NETWORK)|WebSocket connection|WebSocket is closed/;

export function startBrowser(flags = []) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...FLAGS, ...flags] });
}

/** A page with storage of its own, as a person's own browser has; it keeps what went wrong in it. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    locale: "sv-SE",
    colorScheme: "light",
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`the policy forbids ${event.violatedDirective}: ${event.blockedURI}`);
    });
    window.layoutShift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.layoutShift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  return openTab(context);
}

/** One more tab of the same browser: it shares cookies and storage. */
export async function openTab(context) {
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`an error nobody caught: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.faults.push(`${message.text()} (${message.location().url})`);
  });
  page.on("response", (response) => {
    if (response.status() >= 500) page.faults.push(`${response.status()} from ${response.url()}`);
  });
  return page;
}

/** No error in the console, none uncaught, no violated policy, no failed answer; `but` names what a test itself brought about. */
export function assertFine(page, but = /(?!)/) {
  assert.deepEqual(page.faults.filter((fault) => !but.test(fault)), []);
}

export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), animations: "disabled" });
}
