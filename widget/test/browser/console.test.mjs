// A client's console against a real server, by keyboard only. Runs where
// STOA_E2E_CONSOLE holds `{"url", "email", "password"}` of a console, as `stoa demo --json` prints it.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { assertAccessible, launch, overflow } from "./chromium.mjs";

const DOOR = JSON.parse(process.env.STOA_E2E_CONSOLE);
const ORIGIN = new URL(DOOR.url).origin;
const LOOKS = {
  light: {},
  dark: { colorScheme: "dark" },
  "forced colours": { forcedColors: "active" },
  "320 px": { viewport: { width: 320, height: 640 } },
  "320 px, dark": { viewport: { width: 320, height: 640 }, colorScheme: "dark" },
};
let browser;
let cookies;

before(async () => {
  browser = await launch();
  const page = await open(DOOR.url);
  // On a busy machine the first keys may come before the field has the focus that it asks for.
  await page.locator("input[type=email]").focus();
  await page.keyboard.type(DOOR.email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(DOOR.password);
  assert.equal(await page.locator("input[type=password]").inputValue(), DOOR.password);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Tools" }).waitFor();
  cookies = await page.context().cookies();
  await page.context().close();
});
after(() => browser?.close());

async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 800 }, locale: "en-GB", ...options });
  if (cookies) await context.addCookies(cookies);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.seen = [];
  page.on("pageerror", (error) => page.seen.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) page.seen.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== ORIGIN) page.seen.push(request.url());
  });
  await page.goto(url);
  return page;
}

/** Goes on by Tab until the focus is there. */
async function tabTo(page, locator) {
  const wanted = await locator.elementHandle();
  for (let presses = 0; presses < 80; presses += 1) {
    if (await wanted.evaluate((element) => document.activeElement === element)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${locator}`);
}

async function fill(page, label, text) {
  await tabTo(page, page.getByLabel(label, { exact: true }));
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

test("a tool is added, mended, tried and removed by keyboard only", async () => {
  const page = await open(`${DOOR.url}/tools`);
  await tabTo(page, page.getByRole("link", { name: "Add an HTTP call" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "New tool" }).waitFor();
  await assertAccessible(page, "a new tool");
  await fill(page, "Name", "is_alive");
  await fill(page, "What it is for", "Says whether the shop's server is alive.");
  await fill(page, "Address", `${ORIGIN}/healthz?why={why}`);
  await fill(page, "Name of header 1", "X-Key");
  await fill(page, "Value of header 1", "a-secret-of-ours-4f2a");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing was saved.").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "refusal", "the focus is on what went wrong");
  await assertAccessible(page, "refused");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(new URL(page.url()).hash, "#parameters", "the summary leads to the field");
  await fill(page, "Arguments, as a JSON schema", '{"type": "object", "properties": {"why": {"type": "string"}}}');
  await fill(page, "Value of header 1", "a-secret-of-ours-4f2a");
  await page.keyboard.press("Enter");
  await page.getByText("Added.").waitFor();
  assert.match(await page.innerText("main"), /ends …4f2a/);
  assert.doesNotMatch(await page.content(), /a-secret/);
  await assertAccessible(page, "a stored tool");

  await fill(page, "Arguments, as JSON", '{"why": "curious"}');
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("It answered in").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "outcome");
  await assertAccessible(page, "tried");

  const tool = page.url().replace(/\/try.*$/, "");
  await page.goto(`${DOOR.url}/tools`);
  await page.getByRole("link", { name: "is_alive" }).waitFor();
  await assertAccessible(page, "a list with a tool");
  await page.goto(tool);
  await tabTo(page, page.getByRole("link", { name: "Remove this tool" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Remove is_alive?" }).waitFor();
  await assertAccessible(page, "a removal");
  await page.keyboard.type("is_alive");
  await page.keyboard.press("Enter");
  await page.getByText("Removed.").waitFor();
  await assertAccessible(page, "no tools");
  assert.deepEqual(page.seen, []);
  await page.context().close();
});

test("an AI model is added, tested and removed by keyboard only", async () => {
  const page = await open(DOOR.url);
  await tabTo(page, page.getByRole("navigation").getByRole("link", { name: "AI models" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "AI models", level: 1 }).waitFor();
  await tabTo(page, page.getByRole("link", { name: "Add an AI model" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "New AI model" }).waitFor();
  await fill(page, "Name", "A second choice");
  await fill(page, "Temperature", "warm");
  await fill(page, "Key", "sk-browser-0123456789");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing was saved.").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "refusal");
  assert.equal(await page.getByLabel("Temperature").inputValue(), "warm");
  assert.doesNotMatch(await page.content(), /sk-browser/);
  await assertAccessible(page, "refused");
  await fill(page, "Temperature", "0.2");
  await tabTo(page, page.getByLabel("Provider"));
  await page.keyboard.type("OpenAI-c");
  await fill(page, "Model", "nobody-listens");
  // A port of this machine where nobody listens, so that the test fails at once.
  await fill(page, "Address", "http://127.0.0.1:1/v1");
  await fill(page, "Key", "sk-browser-0123456789");
  await page.keyboard.press("Enter");
  await page.getByText("Added.").waitFor();
  assert.match(await page.innerText("main"), /ends …6789/);
  await assertAccessible(page, "a stored model");
  await tabTo(page, page.getByRole("button", { name: "Test it now" }));
  await page.keyboard.press("Enter");
  await page.getByText("Failed", { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "outcome");
  await assertAccessible(page, "tested");
  await page.goto(`${DOOR.url}/models`);
  await page.getByRole("link", { name: "A second choice" }).waitFor();
  await assertAccessible(page, "a list with models");
  await tabTo(page, page.getByRole("link", { name: "A second choice" }));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("link", { name: "Remove this model" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Remove A second choice?" }).waitFor();
  await page.keyboard.type("A second choice");
  await page.keyboard.press("Enter");
  await page.getByText("Removed.").waitFor();
  assert.deepEqual(page.seen, []);
  await page.context().close();
});

test("a form that is sent twice is sent once", async () => {
  const page = await open(`${DOOR.url}/budgets`);
  let sent = 0;
  await page.route("**/budgets", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    sent += 1;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return route.continue();
  });
  await page.getByRole("button", { name: "Save" }).evaluate((button) => {
    button.click();
    setTimeout(() => button.click(), 100);
  });
  await page.getByText("Saved.").waitFor();
  assert.equal(sent, 1);
  await page.context().close();
});

test("budgets are set by keyboard only", async () => {
  const page = await open(DOOR.url);
  await tabTo(page, page.getByRole("link", { name: "Budgets" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Budgets", level: 1 }).waitFor();
  await fill(page, "Everything together: Tokens a day", "a lot");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing was saved.").waitFor();
  await assertAccessible(page, "refused");
  await fill(page, "Everything together: Tokens a day", "2,000,000");
  await page.keyboard.press("Enter");
  await page.getByText("Saved.").waitFor();
  assert.equal(await page.getByLabel("Everything together: Tokens a day").inputValue(), "2000000");
  await assertAccessible(page, "saved");
  await fill(page, "Everything together: Tokens a day", "");
  await page.keyboard.press("Delete");
  await page.keyboard.press("Enter");
  await page.getByText("Saved.").waitFor();
  assert.deepEqual(page.seen, []);
  await page.context().close();
});

test("a budget is set without a script", async () => {
  const page = await open(`${DOOR.url}/budgets`, { javaScriptEnabled: false });
  const message = page.getByLabel("What visitors read when a budget is used up");
  const before = await message.inputValue();
  for (const sentence of ["Enough for today.", before]) {
    await message.fill(sentence);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.").waitFor();
    assert.equal(await message.inputValue(), sentence);
  }
  await page.context().close();
});

for (const [look, options] of Object.entries(LOOKS)) {
  test(`the console is accessible: ${look}`, async () => {
    for (const path of ["", "/models", "/models/new", "/tools", "/tools/new", "/mcp-servers/new", "/budgets"]) {
      const page = await open(DOOR.url + path, options);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await assertAccessible(page, `${path || "the overview"}: ${look}`);
      assert.equal(await overflow(page), 0, `nothing sticks out of ${path}`);
      await page.context().close();
    }
  });
}
