// The product's main job, by keyboard only: ask, read the streamed answer, open its
// sources, come back to it after a reload. Runs against the mock server, or against the
// hosted chat at STOA_E2E_URL (with STOA_E2E_QUESTION, something its documents answer).

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { startMockServer } from "../mock-server.mjs";
import { answered, assertAccessible, assertQuiet, launch, openChat } from "./chromium.mjs";

const QUESTION = process.env.STOA_E2E_QUESTION ?? "How many days do I have to return something?";
let browser;
let mock;
let url;

before(async () => {
  url = process.env.STOA_E2E_URL;
  if (!url) {
    mock = await startMockServer();
    url = mock.chatUrl;
  }
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await mock?.close();
});

test("ask → streamed answer with sources, by keyboard only", async () => {
  const page = await openChat(browser, url);
  await page.waitForFunction(() => document.activeElement?.matches(".stoa-composer textarea"));
  await watchGrowth(page);
  await page.keyboard.type(QUESTION);
  await page.keyboard.press("Enter");
  await page.locator(".stoa-bubble", { hasText: QUESTION }).waitFor();
  const answer = await answered(page);

  const text = await answer.locator(".stoa-answer").innerText();
  assert.ok(text.length > 20, `the answer: ${text}`);
  const lengths = await page.evaluate(() => window.lengths);
  assert.ok(lengths.length >= 2, `it came in pieces: ${lengths}`);
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "TEXTAREA", "the focus stays in the composer");
  const announced = await page.locator("[role=status]").innerText();
  assert.ok(announced.includes(text.slice(0, 12)), `announced once whole: ${announced}`);

  await focusBackwardsTo(page, "summary");
  await page.keyboard.press("Enter");
  const source = answer.locator(".stoa-source").first();
  assert.ok(await source.isVisible());
  assert.ok((await source.locator(".stoa-source-title").innerText()).length > 0);
  assert.ok((await source.locator("blockquote").innerText()).length > 10);
  await assertAccessible(page, "an answer with its sources open");

  await page.reload();
  const again = await answered(page);
  assert.equal(await again.locator(".stoa-answer").innerText(), text, "the same after a reload");
  assert.equal(await page.locator(".stoa-bubble").innerText(), QUESTION);
  assertQuiet(page);
  await page.context().close();
});

/** Notes each length that the answer's text has on its way. */
function watchGrowth(page) {
  return page.evaluate(() => {
    window.lengths = [];
    new MutationObserver(() => {
      const length = document.querySelector(".stoa-answer")?.textContent?.length ?? 0;
      if (length > 0 && window.lengths.at(-1) !== length) window.lengths.push(length);
    }).observe(document.getElementById("stoa-chat"), { subtree: true, childList: true, characterData: true });
  });
}

async function focusBackwardsTo(page, selector) {
  for (let presses = 0; presses < 40; presses += 1) {
    await page.keyboard.press("Shift+Tab");
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
  }
  assert.fail(`Shift+Tab does not reach ${selector}`);
}
