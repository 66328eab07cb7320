// axe finds nothing, in every scheme, direction and width, whatever the state.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { startMockServer } from "../mock-server.mjs";
import { answered, ask, assertAccessible, launch, openChat, overflow } from "./chromium.mjs";

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
  test(`accessible: ${look}`, async () => {
    const page = await openChat(browser, mock.chatUrl, options);
    await assertAccessible(page, "welcome");
    await ask(page, "#long");
    await page.locator(".stoa-answer p").nth(2).waitFor();
    await assertAccessible(page, "answering");
    await page.keyboard.press("Escape");
    await answered(page);
    await ask(page, look === "right to left" ? "#arabic" : "#attack");
    const answer = await answered(page);
    await answer.locator(".stoa-chip").first().click();
    await answer.locator(".stoa-actions button").last().click();
    await assertAccessible(page, "sources and feedback open");
    await ask(page, "#database");
    await answered(page);
    await assertAccessible(page, "trouble");
    assert.equal(await overflow(page), 0, "nothing sticks out");
    const wanted = look === "right to left" ? ["ar", "rtl"] : [look === "German" ? "de" : "en", "ltr"];
    assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), wanted);
    await page.context().close();
  });
}

test("any accent that a client picks stays readable", async () => {
  for (const accent of ["#ffff00", "#ffffff", "#000000", "#ff0000", "#888888"]) {
    const own = await startMockServer({ theme: { accent, accent_dark: accent } });
    for (const colorScheme of ["light", "dark"]) {
      const page = await openChat(browser, own.chatUrl, { colorScheme });
      await page.locator(".stoa-composer textarea").fill("so that the button is on");
      await assertAccessible(page, `${accent} in ${colorScheme}`);
      await page.context().close();
    }
    await own.close();
  }
});
