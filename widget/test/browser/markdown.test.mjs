// The Markdown renderer in a real document: whatever a model writes, only allowed
// elements with allowed attributes come of it.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { startMockServer } from "../mock-server.mjs";
import { answered, ask, assertQuiet, launch, openChat } from "./chromium.mjs";

let browser;
let mock;

before(async () => {
  mock = await startMockServer();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await mock?.close();
});

test("attacks in an answer stay text", async () => {
  const page = await openChat(browser, mock.chatUrl);
  await ask(page, "#attack");
  const body = (await answered(page)).locator(".stoa-answer");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await body.locator("script, img, iframe, style, svg, b, input").count(), 0);
  const links = await body.locator("a").evaluateAll((all) => all.map((link) => [link.getAttribute("href"), link.rel, link.target]));
  const rel = "noopener noreferrer nofollow ugc";
  assert.deepEqual(links, [
    ["https://acme.example/a", rel, "_blank"],
    ["mailto:help@acme.example", rel, "_blank"],
    ["https://acme.example/bare", rel, "_blank"],
  ]);
  const text = await body.innerText();
  assert.ok(text.includes("<script>window.pwned = 1</script>"), "shown as it was written");
  assert.ok(text.includes("[9] not a source"), "a mark without a source stays text");
  assert.equal(await body.locator("button.stoa-chip").count(), 1);

  await page.reload();
  await answered(page);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assertQuiet(page);
  await page.context().close();
});

test("random Markdown, cut anywhere, builds nothing but allowed nodes", async () => {
  const page = await browser.newPage();
  await page.goto("about:blank");
  await page.addScriptTag({ content: await rendererBundle() });
  const result = await page.evaluate(fuzz, 3_000);
  assert.deepEqual(result.bad, []);
  assert.ok(result.elements > 10_000, `elements built: ${result.elements}`);
  await page.close();
});

test("a long answer is rendered in time that grows with its length", async () => {
  const page = await browser.newPage();
  await page.goto("about:blank");
  await page.addScriptTag({ content: await rendererBundle() });
  const seconds = await page.evaluate(() => {
    const costs = ["word ", "[", "> ", "- ", "*", "`", "| a ", "https://a.example/", "\\(", "<br"].map((piece) => {
      const root = document.createElement("div");
      const stream = renderer.markdownStream(root, { headingLevel: 2, citation: () => null });
      const began = performance.now();
      const text = piece.repeat(Math.ceil(100_000 / piece.length));
      for (let at = 0; at < text.length; at += 20) stream.write(text.slice(at, at + 20));
      stream.end();
      return (performance.now() - began) / 1_000;
    });
    return Math.max(...costs);
  });
  assert.ok(seconds < 5, `100 kB took ${seconds} s`);
  await page.close();
});

async function rendererBundle() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../../src/markdown/renderer.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "renderer",
    target: "es2022",
  });
  return outputFiles[0].text;
}

/** Runs in the page. A fixed seed: a failure can be seen again. */
function fuzz(rounds) {
  const PIECES = [
    "word", " ", "\n", "\n\n", "# ", "###### ", "- ", "1. ", "> ", "*", "**", "_", "`", "```", "```js\n", "~~", "[", "]", "(", ")", "](", "![",
    "[1]", "[^1]", "[x](javascript:alert(1))", "[x](https://a.example)", "https://a.example", "<br>", "<script>", "<img src=x onerror=1>", "|", "|-|-|\n",
    "| a | b |\n", "$", "$$", "\\(", "\\[", "\\", "&lt;", "\u202e", "尺", "- [ ] ", "- [x] ", "    ", "\t", "---\n", "javascript:", "\"", "'", "\u0000",
  ];
  const TAGS = "DIV P BLOCKQUOTE PRE CODE EM STRONG S BR HR UL OL LI TABLE TR TH TD SPAN A BUTTON H2 H3 H4 H5 H6".split(" ");
  const ATTRIBUTES = ["dir", "tabindex", "class", "start", "href", "target", "rel"];
  let seed = 42;
  const random = (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  const bad = [];
  let elements = 0;
  for (let round = 0; round < rounds; round += 1) {
    const text = Array.from({ length: 1 + random(40) }, () => PIECES[random(PIECES.length)]).join("");
    const root = document.createElement("div");
    const citation = (id) => (id === "1" ? document.createElement("button") : null);
    try {
      const stream = renderer.markdownStream(root, { headingLevel: 2, citation });
      for (let at = 0; at < text.length; ) {
        const next = at + 1 + random(6);
        stream.write(text.slice(at, next));
        at = next;
      }
      stream.end();
    } catch (error) {
      bad.push(`${error}: ${JSON.stringify(text)}`);
    }
    for (const element of root.querySelectorAll("*")) {
      elements += 1;
      const attributes = element.getAttributeNames();
      const link = element.getAttribute("href");
      const allowed = TAGS.includes(element.tagName) && attributes.every((name) => ATTRIBUTES.includes(name));
      if (!allowed || (link !== null && !/^(https?|mailto):/.test(link))) bad.push(`${element.outerHTML} of ${JSON.stringify(text)}`);
    }
  }
  return { bad: bad.slice(0, 5), elements };
}
