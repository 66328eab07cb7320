// What a visitor sees when things do not go smoothly, and what keys and buttons do.

import { strict as assert } from "node:assert";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { startMockServer } from "../mock-server.mjs";
import { answered, ask, assertQuiet, launch, openChat } from "./chromium.mjs";

let browser;
let mock;
let page;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());
beforeEach(async () => {
  mock = await startMockServer();
});
afterEach(async () => {
  await page?.context().close();
  await mock.close();
});

const bodyOf = (answer) => answer.locator(".stoa-answer").innerText();

test("a broken connection is resumed without a gap or a repetition", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#cut");
  const text = await bodyOf(await answered(page));
  assert.ok(text.startsWith("You have 30 days from delivery") && text.endsWith("under Orders."), text);
  assert.equal(text.match(/30 days/g).length, 1);
  assert.equal(await page.locator(".stoa-notice").isVisible(), false);
  assertQuiet(page);
});

test("Escape stops the answer, and so does the button; the focus is kept", async () => {
  page = await openChat(browser, mock.chatUrl);
  for (const stop of [() => page.keyboard.press("Escape"), () => page.getByRole("button", { name: "Stop" }).click()]) {
    const before = await page.locator(".stoa-from-bot").count();
    await ask(page, "#long");
    await page.locator(".stoa-from-bot").nth(before).locator(".stoa-answer p").nth(1).waitFor();
    await stop();
    const answer = await answered(page);
    assert.match(await answer.innerText(), /You stopped this answer\./);
    assert.doesNotMatch(await bodyOf(answer), /Paragraph 40/);
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), "TEXTAREA");
  }
  assert.equal(mock.state.stops, 2);
});

test("after a reload an answer under way goes on", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#long");
  await page.getByText("Paragraph 2 of").waitFor();
  await page.reload();
  const text = await bodyOf(await answered(page));
  assert.match(text, /^Paragraph 1 of[\s\S]*Paragraph 40 of a long answer\.$/);
});

test("what broke off can be asked for again, after a reload as well", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#broken");
  await page.getByRole("button", { name: "Try again" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Try again" }).click();
  const answer = await answered(page);
  assert.match(await bodyOf(answer), /state of a return under Orders\.$/);
  assert.equal(await page.locator(".stoa-bubble").count(), 1, "the question is not asked twice");
  assert.equal(await page.locator(".stoa-from-bot").count(), 1);
  const asked = mock.state.requests.filter(({ method, path }) => method === "POST" && path.endsWith("/regenerate"));
  assert.equal(asked.length, 1);
});

test("rate limited: a countdown, then the question goes out once more", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#limited");
  const retry = page.getByRole("button", { name: /Try again/ });
  assert.match(await retry.innerText(), /Try again in [12] s/);
  assert.equal(await retry.isDisabled(), true);
  await page.getByRole("button", { name: "Try again", exact: true }).click();
  assert.match(await bodyOf(await answered(page)), /30 days/);
  assert.equal(await page.locator(".stoa-bubble").count(), 1);
});

test("a failure says what to do and by what id to find it", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#database");
  const answer = await answered(page);
  assert.match(await answer.innerText(), /cannot reach its records[\s\S]*Reference: req_7f3a91c2[\s\S]*Try again/);
  assert.match(await page.locator("[role=status]").innerText(), /cannot reach its records/);
});

test("what a provider's filter refuses is to be asked in other words, not again", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#withheld");
  const answer = await answered(page);
  assert.match(await answer.innerText(), /Please ask in other words\./);
  assert.equal(await page.getByRole("button", { name: /Try again/ }).count(), 0);
});

test("a message that is refused comes back to be changed", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#refused by the server");
  await answered(page);
  assert.equal(await page.locator(".stoa-composer textarea").inputValue(), "#refused by the server");
});

test("a suspended chat says so and takes no messages", async () => {
  await mock.close();
  mock = await startMockServer({ instance: { status: "suspended" } });
  page = await openChat(browser, mock.chatUrl);
  await page.getByText("not available at the moment").first().waitFor();
  assert.equal(await page.locator(".stoa-composer textarea").isDisabled(), true);
});

test("offline: a message waits and goes out by itself, the first one too", async () => {
  page = await openChat(browser, mock.chatUrl);
  for (const turn of [0, 1]) {
    await page.context().setOffline(true);
    await ask(page, `Message ${turn}, written offline`);
    await page.locator(".stoa-waiting", { hasText: "You are offline" }).waitFor();
    assert.equal(await page.getByText("You are offline").filter({ visible: true }).count(), 2, "once for eyes, once for ears");
    await page.context().setOffline(false);
    await page.locator(".stoa-from-bot").nth(turn).locator(".stoa-after").waitFor();
    assert.equal(await page.locator(".stoa-notice").isVisible(), false);
  }
});

test("a session that has ended makes room for a new one", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "First");
  await answered(page);
  await ask(page, "#expired");
  assert.match(await bodyOf(await answered(page)), /30 days/);
});

test("Enter sends, Shift+Enter does not, and neither does choosing a character", async () => {
  page = await openChat(browser, mock.chatUrl);
  const input = page.locator(".stoa-composer textarea");
  await input.fill("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  assert.equal(await input.inputValue(), "one\ntwo");
  await input.evaluate((element) => {
    const enter = { key: "Enter", bubbles: true, cancelable: true };
    element.dispatchEvent(new KeyboardEvent("keydown", { ...enter, isComposing: true }));
    element.dispatchEvent(new KeyboardEvent("keydown", { ...enter, keyCode: 229 }));
  });
  assert.equal(await page.locator(".stoa-bubble").count(), 0);
  await page.keyboard.press("Enter");
  await page.locator(".stoa-bubble").waitFor();
  await answered(page);
});

test("thumbs, and why not", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "How many days?");
  await answered(page);
  await page.getByRole("button", { name: "Not helpful" }).click();
  await page.getByLabel("What was wrong with it?").fill("It left out the gift cards.");
  await page.getByRole("button", { name: "Send feedback" }).click();
  await page.locator("[role=status]", { hasText: "Thank you" }).waitFor();
  const given = mock.state.feedback.map(({ rating, comment }) => [rating, comment]);
  assert.deepEqual(given.at(-1), ["down", "It left out the gift cards."]);
  await page.reload();
  await answered(page);
  assert.equal(await page.getByRole("button", { name: "Not helpful" }).getAttribute("aria-pressed"), "true");
});

test("a citation opens the source that it names and takes the focus there", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "How many days?");
  const answer = await answered(page);
  await answer.getByRole("button", { name: "Source 2: Shipping costs and times" }).click();
  assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /Return labels are free/);
  const links = await answer.locator(".stoa-source a").evaluateAll((all) => all.map((link) => link.href));
  assert.deepEqual(links, ["https://acme.example/help/returns"], "a source without a page has no link");
});

test("a starter asks; a new conversation begins empty, after a reload too", async () => {
  page = await openChat(browser, mock.chatUrl);
  await page.getByRole("button", { name: "What does shipping cost?" }).click();
  await answered(page);
  await page.getByRole("button", { name: "New conversation" }).click();
  assert.equal(await page.locator(".stoa-entry").count(), 0);
  assert.ok(await page.getByText("What can we help you with?").isVisible());
  await page.reload();
  await page.locator(".stoa-starters").waitFor();
  assert.equal(await page.locator(".stoa-entry").count(), 0);
});

test("the chat works where nothing may be stored", async () => {
  page = await openChat(browser, mock.chatUrl);
  await page.addInitScript(() => {
    Object.defineProperty(window, "localStorage", {
      get() {
        throw new DOMException("denied", "SecurityError");
      },
    });
  });
  await page.reload();
  await page.locator(".stoa-composer textarea").waitFor();
  await ask(page, "How many days?");
  await answered(page);
  await ask(page, "And now?");
  await page.locator(".stoa-from-bot").nth(1).locator(".stoa-after").waitFor();
  assertQuiet(page);
});

test("without a script the page says what is missing", async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  page = await context.newPage();
  await page.goto(mock.chatUrl);
  assert.match(await page.innerText("body"), /needs JavaScript/);
});

test("a chat whose database is closed is offline in its own colours, and comes back by itself", async () => {
  mock.state.overrides = { available: false };
  page = await openChat(browser, mock.chatUrl);
  const notice = page.locator(".stoa-notice");
  await notice.getByText("Acme Outdoor is offline right now.").waitFor();
  assert.equal(await page.getByRole("textbox").isDisabled(), true);
  assert.match(await page.locator("body").innerText(), /What can we help you with\?/);
  assert.equal(await page.evaluate(() => document.querySelector(".stoa").style.getPropertyValue("--radius")), "10px");
  const asked = mock.state.requests.filter((request) => request.path.includes("/configuration")).length;
  await page.waitForTimeout(5_000);
  const again = mock.state.requests.filter((request) => request.path.includes("/configuration")).length - asked;
  assert.ok(again >= 1 && again <= 6, `${again} questions in 5 s`);

  mock.state.overrides = {};
  await notice.waitFor({ state: "hidden" });
  await ask(page, "Where is my tent?");
  await answered(page);
  assertQuiet(page);
});
