import assert from "node:assert/strict";
import { test } from "node:test";
import { accentFor, contrastOf } from "../../src/view/colours.ts";

const GROUND = { light: "#fbfbf9", dark: "#121614" } as const;

test("a client's accent is readable on both grounds, and so is what stands on it", () => {
  for (let red = 0; red < 256; red += 51) {
    for (let green = 0; green < 256; green += 51) {
      for (let blue = 0; blue < 256; blue += 51) {
        const colour = `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
        for (const scheme of ["light", "dark"] as const) {
          const derived = accentFor(scheme, colour);
          assert.ok(derived);
          assert.ok(contrastOf(derived.accent, GROUND[scheme]) >= 4.5, `${colour} in ${scheme}`);
          assert.ok(contrastOf(derived.accent, derived.onAccent) >= 4.5, `on ${colour} in ${scheme}`);
        }
      }
    }
  }
});

test("a colour that is readable is left alone", () => {
  assert.equal(accentFor("light", "#0b6b57")?.accent, "#0b6b57");
  assert.deepEqual(accentFor("dark", "#5cc9a7"), { accent: "#5cc9a7", onAccent: "#06231b" });
  assert.equal(accentFor("light", "#063")?.accent, "#006633");
});

test("what is no colour is refused", () => {
  for (const colour of ["", "red", "#12345", "url(x)", "#0b6b57;}"]) assert.equal(accentFor("light", colour), null);
});
