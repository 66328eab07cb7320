import assert from "node:assert/strict";
import { test } from "node:test";
import { linkTarget, safeLink, safePage, splitBareAddress } from "../../src/markdown/links.ts";

test("only absolute http, https and mailto addresses pass", () => {
  assert.equal(safeLink("https://acme.example/a?b=c#d"), "https://acme.example/a?b=c#d");
  assert.equal(safeLink("HTTP://ACME.example"), "http://acme.example/");
  assert.equal(safeLink("mailto:help@acme.example"), "mailto:help@acme.example");
  const refused = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " java\nscript:alert(1)",
    "\u0001javascript:alert(1)",
    "data:text/html,<script>1</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://acme.example/1",
    "//evil.example/x",
    "/console/acme",
    "#top",
    "",
    "https://bank.example@evil.example/",
    "https://",
  ];
  for (const address of refused) assert.equal(safeLink(address), null, JSON.stringify(address));
});

test("a source's address is a page or nothing", () => {
  assert.equal(safePage("mailto:help@acme.example"), null);
  assert.equal(safePage(null), null);
  assert.equal(safePage("https://acme.example"), "https://acme.example/");
});

test("titles and brackets are no part of the address", () => {
  assert.equal(linkTarget('https://a.example "title"'), "https://a.example");
  assert.equal(linkTarget("<https://a.example/b c>"), "https://a.example/b c");
  assert.equal(linkTarget("  "), "");
});

test("a sentence's end is no part of a bare address", () => {
  assert.deepEqual(splitBareAddress("https://a.example/b)."), ["https://a.example/b", ")."]);
  assert.deepEqual(splitBareAddress("https://a.example/"), ["https://a.example/", ""]);
});
