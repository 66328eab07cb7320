import assert from "node:assert/strict";
import { test } from "node:test";
import { Answer, GapInAnswer } from "../../src/chat/answer.ts";

function delta(end: number | null, text: string): { id: string; data: string } {
  return { id: end === null ? "" : `t${end}`, data: JSON.stringify({ type: "text-delta", id: "t", delta: text }) };
}

test("text that was seen already is left out, to the byte", () => {
  const answer = new Answer();
  answer.apply(delta(7, "Größe")); // 5 characters, 7 bytes
  assert.deepEqual(answer.apply(delta(7, "Größe")), { kind: "nothing" });
  // Ends three bytes later, and repeats the three of "ße" first.
  assert.deepEqual(answer.apply(delta(10, "ße: 4")), { kind: "text", delta: ": 4" });
  assert.equal(answer.text, "Größe: 4");
});

test("a gap is noticed, and a restart takes everything again", () => {
  const answer = new Answer();
  answer.apply(delta(3, "abc"));
  assert.throws(() => answer.apply(delta(9, "ghi")), GapInAnswer);
  answer.restart();
  assert.equal(answer.lastEventId, "");
  answer.apply(delta(9, "abcdefghi"));
  assert.equal(answer.text, "abcdefghi");
});

test("deltas without ids are simply added", () => {
  const answer = new Answer();
  answer.apply(delta(null, "a"));
  answer.apply(delta(null, "a"));
  assert.equal(answer.text, "aa");
});

test("start and sources count once, however often they come", () => {
  const answer = new Answer();
  const start = { id: "p1", data: '{"type":"start","messageId":"m1"}' };
  const source = {
    id: "p2",
    data: '{"type":"source-document","sourceId":"1","title":"Returns","providerMetadata":{"stoa":{"url":null,"text":"30 days"}}}',
  };
  assert.deepEqual(answer.apply(start), { kind: "started", messageId: "m1" });
  assert.deepEqual(answer.apply(start), { kind: "nothing" });
  assert.equal(answer.apply(source).kind, "source");
  assert.equal(answer.apply(source).kind, "nothing");
  assert.deepEqual(answer.sources, [{ id: "1", title: "Returns", url: null, text: "30 days" }]);
});

test("what is unknown or no JSON is passed over", () => {
  const answer = new Answer();
  for (const data of ['{"type":"reasoning-delta","delta":"hm"}', "not json", "null", "[1]"]) {
    assert.deepEqual(answer.apply({ id: "p9", data }), { kind: "nothing" });
  }
  assert.equal(answer.lastEventId, "p9");
});

test("the end and its reason are kept", () => {
  const answer = new Answer();
  answer.apply({ id: "e2", data: '{"type":"data-usage","data":{"finishReason":"length"}}' });
  assert.deepEqual(answer.apply({ id: "e3", data: "[DONE]" }), { kind: "ended" });
  assert.equal(answer.finishReason, "length");
  assert.equal(answer.ended, true);
});
