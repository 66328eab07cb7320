// Starts Debian's Chromium with a fresh profile, watches what a page loads and logs, and
// asks axe about it.

import { strict as assert } from "node:assert";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export function launch() {
  return chromium.launch({
    executablePath: process.env.STOA_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Opens a chat; `page.seen` collects what must not be there. */
export async function openChat(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.seen = { elsewhere: [], refused: [], errors: [] };
  const origin = new URL(url).origin;
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) page.seen.elsewhere.push(request.url());
  });
  page.on("response", (response) => {
    if (response.status() >= 400) page.seen.refused.push(`${response.status()} ${response.url()}`);
  });
  page.on("pageerror", (error) => page.seen.errors.push(String(error)));
  page.on("console", (message) => {
    // Chromium's own words for what `refused` has already.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) page.seen.errors.push(message.text());
  });
  await page.goto(url);
  await page.locator(".stoa-composer textarea").waitFor();
  return page;
}

export function assertQuiet(page) {
  assert.deepEqual(page.seen, { elsewhere: [], refused: [], errors: [] });
}

export async function ask(page, question) {
  await page.locator(".stoa-composer textarea").fill(question);
  await page.keyboard.press("Enter");
}

/** Waits for the last answer to be complete, or to have failed. */
export async function answered(page) {
  await page.locator(".stoa-from-bot:last-of-type > :is(.stoa-after, .stoa-trouble, .stoa-note)").last().waitFor();
  await page.locator(".stoa-composer [aria-label]:is(button[type=submit])").waitFor();
  return page.locator(".stoa-from-bot").last();
}

export async function assertAccessible(page, where) {
  // Through the debugger, which no content security policy hinders.
  const present = await page.evaluate(() => "axe" in window);
  if (!present) await page.evaluate(await (await import("node:fs/promises")).readFile(AXE, "utf8"));
  const violations = await page.evaluate(async () => {
    const { violations } = await window.axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
  });
  assert.deepEqual(violations, [], where);
}

export async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}
