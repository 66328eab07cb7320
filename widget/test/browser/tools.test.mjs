// What a visitor sees of the tools that an answer uses, and how they say yes or no to what
// would change something.

import { strict as assert } from "node:assert";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { startMockServer } from "../mock-server.mjs";
import { answered, ask, assertAccessible, assertQuiet, launch, openChat, overflow } from "./chromium.mjs";

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

const card = () => page.getByRole("group", { name: "May I do this?" });
const status = () => page.locator("[role=status]").innerText();
const lines = () => page.locator(".stoa-from-bot").last().locator(".stoa-step summary").allInnerTexts();
const approvals = () => mock.state.requests.filter(({ path }) => path.includes("/approvals/")).map(({ body }) => body);
const focused = () => page.evaluate(() => document.activeElement?.className || document.activeElement?.tagName);

test("a lookup is a quiet line at its place, which opens to what was asked and found", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#tool");
  await page.getByText("Looking up find_order…").waitFor();
  const answer = await answered(page);
  assert.deepEqual(await lines(), ["Looked up find_order"]);
  const read = async () =>
    (await answer.locator(".stoa-parts").innerText()).replace(/\s+/g, " ");
  assert.equal(await read(), "Let me look. Looked up find_order It left our warehouse yesterday and arrives on Friday.");
  await answer.locator(".stoa-step summary").focus();
  await page.keyboard.press("Enter");
  const open = await answer.locator(".stoa-step").innerText();
  assert.match(open, /Asked with\s+number\s+A-1042\s+since\s+null\s+Result\s+\{[\s\S]*"carrier": "Parcel & Co"/);
  const spoken = await status();
  assert.match(spoken, /Let me look\.[\s\S]*arrives on Friday\.$/);
  assert.doesNotMatch(spoken, /Looked up|Parcel/, "steps are not read out with the answer");
  const before = await answer.locator(".stoa-parts").innerText();

  await page.reload();
  const again = await answered(page);
  await again.locator(".stoa-step summary").click();
  assert.equal(await again.locator(".stoa-parts").innerText(), before, "the same after a reload");
  assertQuiet(page);
});

test("several calls at once, one of which fails, and more after words", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#tools");
  await answered(page);
  const wanted = ["Looked up find_order", "stock__count did not work", "Looked up opening_hours"];
  assert.deepEqual(await lines(), wanted);
  await page.locator(".stoa-step summary").nth(1).click();
  assert.match(await page.locator(".stoa-step").nth(1).innerText(), /Result\s+The warehouse did not answer within 20 s\./);
  await page.reload();
  await answered(page);
  assert.deepEqual(await lines(), wanted);
  assertQuiet(page);
});

test("a write asks first, by keyboard: what, with what, where; yes does it", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#write");
  await card().waitFor();
  assert.equal(await status(), "Waiting for your yes: cancel_order");
  assert.equal(await focused(), "stoa-ask", "whoever is not writing is led to the question");
  const text = (await card().innerText()).replace(/\s+/g, " ");
  assert.equal(
    text,
    "May I do this? cancel_order number A-1042 reason no longer needed refund true Goes to shop.acme.example Do it Don’t",
  );
  assert.deepEqual(approvals(), []);
  await page.getByRole("button", { name: "Do it" }).and(page.locator(":enabled")).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Do it");
  await page.keyboard.press("Enter");
  await card().waitFor({ state: "detached" });
  const answer = await answered(page);
  assert.deepEqual(approvals(), [{ approved: true }]);
  assert.deepEqual(await lines(), ["Done: cancel_order"]);
  assert.match(await answer.innerText(), /I can cancel it for you\.\s+Done: cancel_order\s+That is all\./);
  assert.equal(await focused(), "TEXTAREA", "the focus goes back to the composer");
  await page.reload();
  await answered(page);
  assert.deepEqual(await lines(), ["Done: cancel_order"]);
  assert.equal(await card().count(), 0);
  assertQuiet(page);
});

test("no means no, also after a reload", async () => {
  page = await openChat(browser, mock.chatUrl);
  await listen();
  await ask(page, "#write_first");
  await page.getByRole("button", { name: "Don’t" }).click();
  await card().waitFor({ state: "detached" });
  await answered(page);
  assert.deepEqual(await said(), [
    "Answering…",
    "Waiting for your yes: cancel_order",
    "Not done: cancel_order",
    "Acme Outdoor answered: That is all.",
  ]);
  assert.deepEqual(approvals(), [{ approved: false }]);
  assert.deepEqual(await lines(), ["Not done: cancel_order"]);
  await page.reload();
  await answered(page);
  assert.deepEqual(await lines(), ["Not done: cancel_order"]);
  assertQuiet(page);
});

test("Escape, Enter and impatience say yes to nothing", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#write");
  await card().waitFor();
  const yes = page.getByRole("button", { name: "Do it" });
  assert.equal(await yes.isDisabled(), true, "a press that was meant for something else");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Space");
  await yes.and(page.locator(":enabled")).waitFor();
  await yes.focus();
  await page.keyboard.press("Escape");
  await answered(page);
  assert.deepEqual(approvals(), []);
  assert.equal(mock.state.stops, 1);
  assert.deepEqual(await lines(), ["Not done: cancel_order"]);
  assert.equal(await card().count(), 0);
  assert.equal(await focused(), "TEXTAREA");
});

test("whoever is writing keeps the focus, and is told", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#write");
  await page.locator(".stoa-composer textarea").fill("and also");
  await card().waitFor();
  assert.equal(await focused(), "TEXTAREA");
  assert.equal(await status(), "Waiting for your yes: cancel_order");
});

test("several questions are answered one by one", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#write_twice");
  await card().nth(1).waitFor();
  await card().first().getByRole("button", { name: "Do it" }).click();
  await page.locator(".stoa-step summary", { hasText: /(Doing|Done:) cancel_order/ }).waitFor();
  assert.equal(await card().count(), 1);
  assert.equal(await focused(), "stoa-ask", "on to the next");
  assert.match(await card().innerText(), /send_mail[\s\S]*Goes to mail\.example/);
  await card().getByRole("button", { name: "Don’t" }).click();
  await answered(page);
  assert.deepEqual(await lines(), ["Done: cancel_order", "Not done: send_mail"]);
});

test("a question survives a cut and a reload, and is announced once", async () => {
  page = await openChat(browser, mock.chatUrl);
  await listen();
  await ask(page, "#write_cut");
  await card().waitFor();
  await page.waitForTimeout(1_200);
  assert.equal(await card().count(), 1);
  const questions = (await said()).filter((sentence) => sentence.startsWith("Waiting for your yes"));
  assert.equal(questions.length, 1);

  await page.reload();
  await card().waitFor();
  assert.equal(await card().count(), 1);
  await card().getByRole("button", { name: "Do it" }).click();
  const answer = await answered(page);
  assert.match(await answer.innerText(), /I can cancel it for you\.\s+Done: cancel_order\s+That is all\./);
  assert.deepEqual(approvals(), [{ approved: true }]);
});

test("a question that was answered has no buttons any more after a reload", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#write_again");
  await card().getByRole("button", { name: "Do it" }).click();
  await page.locator(".stoa-step summary", { hasText: "Doing cancel_order…" }).waitFor();
  await page.reload();
  await page.locator(".stoa-step").waitFor();
  assert.equal(await card().count(), 0);
  await answered(page);
  assert.deepEqual(await lines(), ["Done: cancel_order"]);
});

test("a yes that does not get through can be given again", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#write_unheard");
  const yes = page.getByRole("button", { name: "Do it" });
  await yes.click();
  await card().getByText("Your answer did not get through. Please try again.").waitFor();
  assert.match(await status(), /did not get through/);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Do it", "the focus is where it was");
  await assertAccessible(page, "an answer that did not get through");
  await page.keyboard.press("Enter");
  await answered(page);
  assert.deepEqual(await lines(), ["Done: cancel_order"]);
});

test("a question that was answered in another window, or is gone, says so and loses its buttons", async () => {
  page = await openChat(browser, mock.chatUrl);
  for (const [question, line] of [
    ["#write_elsewhere", "cancel_order was decided in another window"],
    ["#write_gone", "cancel_order was not finished"],
  ]) {
    await ask(page, question);
    await card().getByRole("button", { name: "Do it" }).click();
    await card().waitFor({ state: "detached" });
    assert.deepEqual(await lines(), [line]);
    assert.equal(await focused(), "TEXTAREA");
    await page.keyboard.press("Escape");
    await answered(page);
  }
});

test("what a hostile tool says is text, bounded, and cannot turn the page around", async () => {
  page = await openChat(browser, mock.chatUrl, { viewport: { width: 320, height: 640 } });
  await ask(page, "#write_hostile");
  await card().waitFor();
  const text = await card().innerText();
  assert.ok(text.includes(`<script>window.pwned=1</script>`), "shown as it was written");
  assert.ok(text.includes("1\\u202e00") && !text.includes("\u202e"), "what turns text around is spelt out");
  assert.ok(text.length < 25_000, `${text.length} characters`);
  assert.match(text, /x{900,}… \(\d+ more characters\)/);
  assert.equal(await overflow(page), 0);
  await assertAccessible(page, "a hostile question");
  await page.locator(".stoa-yes:enabled").click();
  const answer = await answered(page);
  await answer.locator(".stoa-step summary").click();
  const result = await answer.locator(".stoa-step pre").innerText();
  assert.ok(result.includes("onerror") && result.length < 4_100);
  assert.equal(await answer.locator(".stoa-step :is(img, script, a)").count(), 0);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await overflow(page), 0);
  await assertAccessible(page, "a hostile result");
  assertQuiet(page);
});

test("an answer that was out of reach goes on where it was, with what was there before", async () => {
  page = await openChat(browser, mock.chatUrl);
  await page.clock.install();
  await ask(page, "#vanish");
  const retry = page.getByRole("button", { name: "Try again" });
  for (let round = 0; round < 40 && !(await retry.isVisible()); round += 1) {
    await page.clock.runFor(8_000);
    await page.waitForTimeout(100);
  }
  await retry.click();
  await page.clock.resume();
  const answer = await answered(page);
  const text = (await answer.locator(".stoa-parts").innerText()).replace(/\s+/g, " ");
  assert.equal(text, "Let me look. Looked up find_order It left our warehouse yesterday.");
});

test("a budget that is used up answers with its sentence, and nothing has gone wrong", async () => {
  page = await openChat(browser, mock.chatUrl);
  await ask(page, "#budget");
  const answer = await answered(page);
  assert.match(await answer.innerText(), /We have answered as much as we can today/);
  assert.equal(await answer.locator(".stoa-trouble, .stoa-note:visible").count(), 0);
  assertQuiet(page);
});

/** From here on, keeps each sentence that a screen reader is given; `said` tells them. */
function listen() {
  return page.evaluate(() => {
    window.said = [];
    // What was added, not what is there now: two sentences may come at once.
    const seen = (changes) => changes.forEach((change) => window.said.push(change.addedNodes[0]?.textContent));
    new MutationObserver(seen).observe(document.querySelector("[role=status]"), { childList: true });
  });
}

function said() {
  return page.evaluate(() => window.said);
}

const LOOKS = {
  light: {},
  dark: { colorScheme: "dark" },
  "forced colours": { forcedColors: "active" },
  "320 px": { viewport: { width: 320, height: 640 } },
  "320 px, dark": { viewport: { width: 320, height: 640 }, colorScheme: "dark" },
  "right to left": { locale: "ar" },
  German: { locale: "de-DE", viewport: { width: 320, height: 640 } },
};

for (const [look, options] of Object.entries(LOOKS)) {
  test(`accessible with tools: ${look}`, async () => {
    page = await openChat(browser, mock.chatUrl, { reducedMotion: "reduce", ...options });
    await ask(page, "#write_twice");
    await page.locator(".stoa-ask").nth(1).waitFor();
    await assertAccessible(page, "asking, before its buttons can be pressed");
    await page.locator(".stoa-yes:enabled").nth(1).waitFor();
    await assertAccessible(page, "asking");
    assert.equal(await overflow(page), 0, "nothing sticks out");
    await page.locator(".stoa-yes").first().click();
    await page.locator(".stoa-ask").nth(1).waitFor({ state: "detached" });
    await assertAccessible(page, "one answered, one open");
    await page.locator(".stoa-ask .stoa-button").nth(1).click();
    const answer = await answered(page);
    for (const summary of await answer.locator(".stoa-step summary").all()) await summary.click();
    await assertAccessible(page, "approved and declined, opened");
    await ask(page, "#tools");
    const several = await answered(page);
    for (const summary of await several.locator(".stoa-step summary").all()) await summary.click();
    await assertAccessible(page, "several, one failed, opened");
    assert.equal(await overflow(page), 0, "nothing sticks out");
  });
}
