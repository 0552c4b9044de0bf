// The built server with demo data, on free ports, in a directory of its own.

import { execFileSync, spawn } from "node:child_process";
import { cpSync, createWriteStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const PASSWORD = "one-two-buckle-my-shoe";

/** A debug build on a loaded machine fills its demo slowly. */
const READY_MS_MAX = 300_000;

export const BINARY = resolve(process.env.VAXEL_BINARY ?? "../../target/debug/vaxel");

/** Starts a demo server; `url(tenant)` is where its people sign in, `start` the start page. */
export async function startServer({ config } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "vaxel-web-"));
  const more = config === undefined ? [] : ["--config", join(folder, "vaxel.toml")];
  if (config !== undefined) writeFileSync(join(folder, "vaxel.toml"), config);
  const log = createWriteStream(join(folder, "server.log"));
  const data = join(folder, "data");
  cpSync(await template(), data, { recursive: true, preserveTimestamps: true });
  let running = await launch(data, { http: 0, https: 0 }, log, more);
  const { ports } = running;
  const port = ports.http;
  return {
    port,
    folder,
    data,
    start: `http://localhost:${port}/`,
    url: (tenant) => `http://${tenant}.localhost:${port}/`,
    said: () => running.said(),
    /** Installs a plugin of the tests' own and switches it on. */
    plug(id, tenant) {
      const file = join(folder, `${id}.vxp`);
      const vaxel = (...args) => execFileSync(BINARY, args, { stdio: "pipe" });
      vaxel("plugin", "pack", resolve(`../../stage/fixtures/${id}`), "-o", file);
      vaxel("plugin", "install", file, "--data", data);
      vaxel("plugin", "enable", "--tenant", tenant, id, "--data", data);
    },
    /** Ends as an update would, and comes back at the same addresses (a page keeps to the one it was loaded from) with the same data. */
    async restart() {
      await running.stop();
      running = await launch(data, ports, log, more);
    },
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The demo's data with its plugins compiled, made once per build by the binary itself; who comes second waits for the first. */
async function template() {
  const { mtimeMs, size } = statSync(BINARY);
  const home = join(dirname(BINARY), "web-template");
  // What the demo tells of yesterday is true for a day.
  const made = join(home, `${new Date().toISOString().slice(0, 10)}-${Math.round(mtimeMs)}-${size}`);
  const lock = `${made}.lock`;
  mkdirSync(home, { recursive: true });
  for (let waited = 0; !existsSync(made); waited += 100) {
    if (waited > 2 * READY_MS_MAX) throw new Error(`${made} was not made`);
    if (!take(lock)) {
      await new Promise((done) => setTimeout(done, 100));
      continue;
    }
    try {
      // It may have come between the look and the lock.
      if (existsSync(made)) return made;
      for (const old of readdirSync(home)) if (join(home, old) !== lock) rmSync(join(home, old), { recursive: true, force: true });
      const unfinished = `${made}.unfinished`;
      const running = await launch(unfinished, { http: 0, https: 0 }, createWriteStream(`${lock}.log`), []);
      await running.stop();
      renameSync(unfinished, made);
    } finally {
      rmSync(lock);
    }
  }
  return made;
}

/** Whether we are the one to make it; a lock of a process that has ended is nobody's. */
function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  try {
    process.kill(Number(readFileSync(lock, "utf8")) || process.pid, 0);
  } catch (error) {
    if (error.code === "ESRCH") rmSync(lock, { force: true });
  }
  return false;
}

/** Another company's server, with the fixture that reaches for it; `config` makes a server of ours know it. */
export async function startOutside() {
  const child = spawn(join(dirname(BINARY), "outside"), { stdio: ["pipe", "pipe", "inherit"] });
  const told = await new Promise((ready, failed) => {
    child.once("error", failed);
    child.once("exit", (code) => failed(new Error(`the server outside ended with ${code}`)));
    createInterface({ input: child.stdout }).once("line", (line) => ready(JSON.parse(line)));
  });
  return {
    ...told,
    async stop() {
      const ended = new Promise((done) => child.once("exit", done));
      child.stdin.end();
      await ended;
    },
  };
}

async function launch(data, wanted, log, more) {
  const child = spawn(
    BINARY,
    ["serve", "--demo", "--data", data, "--http-port", String(wanted.http), "--https-port", String(wanted.https), "--admin-port", "0", ...more],
    { env: { ...process.env, VAXEL_DEMO_PASSWORD: PASSWORD }, stdio: ["ignore", "pipe", "pipe"] },
  );
  child.stderr.pipe(log, { end: false });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said = (said + chunk).slice(-4000);
  });
  const ports = await new Promise((ready, failed) => {
    const timer = setTimeout(() => failed(new Error(`the server was not ready:\n${said}`)), READY_MS_MAX);
    child.on("error", failed);
    child.on("exit", (code) => failed(new Error(`the server ended with ${code}:\n${said}`)));
    const found = {};
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, scheme, port] = /^ready (https?):\/\/[^:]+:(\d+)/.exec(line) ?? [];
      if (scheme) found[scheme] = Number(port);
      // The admin listener is the last to say that it is ready.
      if (found.http && line.startsWith("ready admin ")) {
        clearTimeout(timer);
        ready(found);
      }
    });
  });
  child.removeAllListeners("exit");
  return {
    ports,
    said: () => said,
    async stop() {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      const code = await ended;
      if (code !== 0) throw new Error(`the server ended with ${code}:\n${said}`);
    },
  };
}
