// What interactions cost in the page when much is in memory, each beside the same piece of work in the same minute.

import { openPage, startBrowser } from "./browser.js";
import { crowd, message } from "./crowd.js";
import { composer, delivered } from "./screens.js";
import { startServer } from "./server.js";

/** Single rounds carry the collector's and the compiler's work; the middle one of these does not. */
const ROUNDS = 7;

const server = await startServer();
const browser = await startBrowser();
const page = await openPage(browser);
const { own, line, enter, leave } = await crowd(page, server);
const work = await workOf(page);

await measure("open", async () => {
  const cost = await work(enter);
  await leave();
  return cost;
});
await enter();
await measure("type", () => work(() => composer(page).press("a")));
await measure("say", async (round) => {
  await composer(page).fill(`Sagt ${round}`);
  const cost = await work(() => composer(page).press("Enter"));
  await delivered(page, `Sagt ${round}`).waitFor();
  return cost;
});
await measure("hear", (round) =>
  work(async () => {
    line.send([message(own, `late-${round}`, `Nyss ${round}`, Date.now() + 1000 + round)]);
    await page.getByText(`Nyss ${round}`, { exact: true }).last().waitFor();
  }),
);
await measure("scroll", () => work(() => page.getByTestId("message-scroll").evaluate((box) => box.scrollBy(0, -box.clientHeight))));
await measure("filter", (round) => work(() => page.getByTestId("conversation-search").fill("Samtal 123".slice(0, round + 1))));
await browser.close();
await server.stop();

async function measure(name, round) {
  const ms = await middle(round);
  console.log(`client_${name} ${ms.toFixed(1)} ms`);
  // How busy the machine is changes by the second, so the floor is measured right behind.
  console.log(`client_${name}_floor ${(await middle(() => work(() => page.evaluate(fixedWork)))).toFixed(1)} ms`);
}

async function middle(round) {
  const costs = [];
  for (let count = 0; count < ROUNDS; count += 1) costs.push(await round(count));
  return costs.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)];
}

/**
 * How long the page's own thread worked, in milliseconds of processor time: what else the machine does meanwhile does not
 * count, so that this is a property of the code and not of the hour.
 */
async function workOf(page) {
  const debug = await page.context().newCDPSession(page);
  await debug.send("Performance.enable", { timeDomain: "threadTicks" });
  const spent = async () => {
    const { metrics } = await debug.send("Performance.getMetrics");
    return metrics.find((metric) => metric.name === "TaskDuration").value * 1000;
  };
  const painted = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  return async (interaction) => {
    await painted();
    const before = await spent();
    await interaction();
    await painted();
    return (await spent()) - before;
  };
}

/** Elements made, laid out and thrown away: the kind of work that the interactions are made of. Runs in the page. */
function fixedWork() {
  const box = document.createElement("div");
  for (let at = 0; at < 4000; at += 1) {
    const line = document.createElement("p");
    line.textContent = `Rad ${at} med några ord som ska få plats`;
    box.append(line);
  }
  document.body.append(box);
  const height = box.getBoundingClientRect().height;
  box.remove();
  return height;
}
