// What axe-core finds on a page, as sentences.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { screenshot } from "./browser.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** By default WCAG 2.2 AA and good practice, or the named rules alone. */
export async function violations(page, { rules } = {}) {
  // The page's policy forbids added scripts; evaluating one through the debugger is not adding it.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const runOnly = rules ? { type: "rule", values: rules } : { type: "tag", values: TAGS };
  const enabled = Object.fromEntries((rules ?? ["target-size"]).map((rule) => [rule, { enabled: true }]));
  const result = await page.evaluate((options) => window.axe.run(document, options), { runOnly, rules: enabled });
  return result.violations.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${node.target.join(" ")} (${violation.help}; ${node.any[0]?.message ?? ""})`),
  );
}

/**
 * Which pairs axe is asked about: each scheme and each language once. It finds colours and names, and neither depends on the
 * other, so the two other pairs would cost minutes and find nothing new.
 */
export const askAxe = (scheme, language) => (scheme === "light") === (language === "sv");

/** Takes the picture, asks axe, and measures whether anything sticks out; answers what is wrong. */
export async function inspect(page, name, { axe = true } = {}) {
  await page.evaluate(() => document.fonts.ready);
  await page.waitForFunction(() => !document.querySelector("[data-testid=skeleton]"));
  await screenshot(page, name);
  const found = (axe ? await violations(page) : []).map((violation) => `${name}: ${violation}`);
  const wide = await page.evaluate(() => Math.max(...[document.documentElement, ...document.querySelectorAll(".page")].map((box) => box.scrollWidth - box.clientWidth)));
  if (wide > 0) found.push(`${name}: ${wide} px stick out to the side`);
  return found;
}
