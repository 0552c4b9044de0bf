// Packages of the faulty fixture under other versions and with other wishes, signed by a publisher whom the server trusts.

import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { BINARY } from "./server.js";

const run = promisify(execFile);

const FIXTURE = resolve("../../stage/fixtures/faulty");

/** A publisher of the fixture, trusted by the server from now on. */
export async function publisher(server, name) {
  const key = join(server.folder, `${name}.key`);
  const made = JSON.parse(await vaxel("keygen", key, "--json"));
  const trust = join(server.data, "trust.new");
  writeFileSync(trust, `format = 1\n[[publishers]]\nname = '${name}'\nkeys = ['${made.public_key}']\nplugins = ['faulty']\n`);
  chmodSync(trust, 0o644);
  renameSync(trust, join(server.data, "trust.toml"));
  return {
    /** Packs, signs and installs a version whose manifest is what `change` makes of the fixture's. */
    async install(version, change = (manifest) => manifest) {
      const folder = join(server.folder, `faulty-${version}`);
      const file = `${folder}.vxp`;
      mkdirSync(folder, { recursive: true });
      copyFileSync(join(FIXTURE, "component.wasm"), join(folder, "component.wasm"));
      const manifest = readFileSync(join(FIXTURE, "plugin.toml"), "utf8");
      writeFileSync(join(folder, "plugin.toml"), change(manifest.replace(/^version = "[^"]*"/m, `version = "${version}"`)));
      writeFileSync(join(folder, "README.md"), "# Faulty\n");
      await vaxel("pack", folder, "-o", file);
      await vaxel("sign", file, "--key", key);
      await vaxel("install", file, "--data", server.data);
    },
  };
}

async function vaxel(...args) {
  try {
    return (await run(BINARY, ["plugin", ...args])).stdout;
  } catch (error) {
    throw new Error(`vaxel plugin ${args.join(" ")}: ${error.stderr || error.message}`);
  }
}
