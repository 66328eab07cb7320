import assert from "node:assert/strict";
import { test } from "node:test";
import { languages, wordsFor } from "../../src/i18n/index.ts";

test("every language has every sentence, with the same marks in it", () => {
  const marks = (sentence: string): string[] => (sentence.match(/\{\w+\}/g) ?? []).sort();
  const reference = Object.entries(languages["en"] ?? {});
  assert.ok(reference.length > 50);
  for (const [language, strings] of Object.entries(languages)) {
    for (const [key, sentence] of reference) {
      const translated = (strings as Record<string, string>)[key];
      assert.ok(translated, `${language} lacks ${key}`);
      // Arabic says "one source" without a figure.
      if (key !== "sourcesOne") assert.deepEqual(marks(translated), marks(sentence), `${language}: ${key}`);
    }
  }
});

test("the first language that there is wins, and decides the direction", () => {
  assert.equal(wordsFor(["", "auto", "fr", "de-AT", "en"]).language, "de");
  assert.equal(wordsFor(["AR-eg"]).direction, "rtl");
  assert.equal(wordsFor(["constructor", "xx"]).language, "en");
  assert.equal(wordsFor(["en"]).say("retryIn", { seconds: 3 }), "Try again in 3 s");
});
