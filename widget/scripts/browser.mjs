// Runs the browser tests in `test/browser` with Debian's Chromium, or the one that
// STOA_CHROMIUM names. With STOA_E2E_URL set to a hosted chat's address, the tests that
// can be asked of any server run against that one, and only they; with STOA_E2E_CONSOLE
// set to a console's address, e-mail and password as JSON, those of the console too.

import { spawnSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const tests = new URL("../test/browser/", import.meta.url);
const { STOA_E2E_URL: chat, STOA_E2E_CONSOLE: door } = process.env;
const isWanted = (name) => {
  if (name === "console.test.mjs") return Boolean(door);
  return chat || door ? Boolean(chat) && name === "ask.test.mjs" : name.endsWith(".test.mjs");
};
const files = (await readdir(tests)).filter(isWanted).map((name) => fileURLToPath(new URL(name, tests)));
// One browser at a time: a small machine measures nothing well with several.
process.exitCode = spawnSync(process.execPath, ["--test", "--test-concurrency=1", ...files], { stdio: "inherit" }).status ?? 1;
