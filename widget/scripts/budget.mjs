// Fails when the chat has grown beyond what a visitor should have to load.

import { stat } from "node:fs/promises";

const dist = new URL("../../crates/web/assets/dist/", import.meta.url);
const BUDGETS = [{ what: "chat script and style", files: ["chat.js.br", "chat.css.br"], limit: 25_000 }];

for (const { what, files, limit } of BUDGETS) {
  const sizes = await Promise.all(files.map(async (name) => (await stat(new URL(name, dist))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${what}: ${total} of ${limit} bytes, brotli`);
  if (total > limit) {
    console.error(`${what}: over budget by ${total - limit} bytes`);
    process.exitCode = 1;
  }
}
