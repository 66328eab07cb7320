// Builds what the server embeds: scripts, style sheets and fonts under plain names (the
// server adds a hash of the content to their addresses), each with a `.br` and a `.gz`
// beside it unless it is packed already.

import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
export const out = new URL("../crates/web/assets/dist/", root);
const path = (relative, base = root) => fileURLToPath(new URL(relative, base));
const FONTS = "node_modules/@fontsource-variable/hanken-grotesk/";

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  entryPoints: { chat: path("src/page.ts"), console: path("src/console.ts") },
  outdir: path("", out),
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
await build({
  entryPoints: { chat: path("src/styles/chat.css"), console: path("src/styles/console.css") },
  outdir: path("", out),
  bundle: true,
  external: ["*.woff2"],
  // What reads `light-dark()`; esbuild would spell it out for older ones.
  target: ["chrome123", "firefox120", "safari17.5"],
  minify: true,
  logLevel: "warning",
});
const fonts = {};
for (const subset of ["latin", "latin-ext"]) {
  const name = `hanken-grotesk-${subset}.woff2`;
  await cp(path(`${FONTS}files/hanken-grotesk-${subset}-wght-normal.woff2`), path(name, out));
  fonts[name] = await served(name);
}
for (const sheet of ["chat.css", "console.css"]) {
  const css = await readFile(new URL(sheet, out), "utf8");
  await writeFile(new URL(sheet, out), css.replace(/hanken-grotesk-[a-z-]+\.woff2/g, (name) => fonts[name]));
}
await cp(path("src/images/icon.svg"), path("icon.svg", out));
await writeFile(new URL("licences.txt", out), await licences());

for (const name of await readdir(out)) {
  if (name.endsWith(".woff2")) continue;
  const bytes = await readFile(new URL(name, out));
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  await writeFile(new URL(`${name}.br`, out), brotli);
  await writeFile(new URL(`${name}.gz`, out), gzipSync(bytes, { level: 9 }));
  console.log(`${name.padEnd(16)} ${String(bytes.length).padStart(7)} bytes, brotli ${brotli.length}`);
}

/** The words that the licences of what is bundled ask to be passed on. */
async function licences() {
  const parts = [
    ["streaming-markdown (MIT)", "node_modules/streaming-markdown/license"],
    ["Hanken Grotesk (SIL Open Font License 1.1)", `${FONTS}LICENSE`],
  ];
  const texts = await Promise.all(
    parts.map(async ([title, file]) => `${title}\n\n${await readFile(path(file), "utf8")}`),
  );
  return texts.join("\n\n----------\n\n");
}

/**
 * The name under which the server offers a file: with the first six bytes of its SHA-256
 * before the ending, as `crates/web/src/http/assets.rs` has it. Templates ask the server for
 * it; a style sheet has to know.
 */
async function served(name) {
  const hash = createHash("sha256").update(await readFile(new URL(name, out))).digest("hex").slice(0, 12);
  return name.replace(/\.(\w+)$/, `.${hash}.$1`);
}
