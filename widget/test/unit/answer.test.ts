import assert from "node:assert/strict";
import { test } from "node:test";
import type { Step } from "../../src/api/types.ts";
import { Answer, GapInAnswer } from "../../src/chat/answer.ts";
import { inOrder } from "../../src/chat/in-order.ts";

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

function part(id: string, json: object): { id: string; data: string } {
  return { id, data: JSON.stringify(json) };
}

const CALL = { toolCallId: "c1", toolName: "find_order" };

test("a step goes forward only, and an event that comes again changes nothing", () => {
  const answer = new Answer();
  const seen: string[] = [];
  const ask = { type: "tool-approval-request", approvalId: "a1", toolCallId: "c1", approvalDescriptor: { host: "shop.example" } };
  const events = [
    part("t0.1", { type: "tool-input-start", ...CALL }),
    part("t0.2", { type: "tool-input-available", ...CALL, input: { number: "A-1" } }),
    part("t0.3", ask),
    part("t0.4", { type: "tool-input-available", ...CALL, input: { number: "A-1" }, providerMetadata: { stoa: { approved: true } } }),
    part("t0.5", { type: "tool-output-available", toolCallId: "c1", output: { state: "sent" } }),
  ];
  for (const round of [0, 1]) {
    for (const event of events) {
      const change = answer.apply(event);
      if (change.kind === "step") seen.push(change.step.state);
      else assert.equal(round, 1, "the second time is news to nobody");
    }
  }
  assert.deepEqual(seen, ["running", "running", "asking", "approved", "done"]);
  assert.equal(answer.lastEventId, "t0.5");
  assert.deepEqual(answer.steps.all, [
    {
      id: "c1",
      tool: "find_order",
      state: "done",
      writes: true,
      approvalId: "a1",
      host: "shop.example",
      input: { number: "A-1" },
      output: { state: "sent" },
      error: "",
      at: 0,
    },
  ]);
});

test("a step stands where the text was, and text lost before it is noticed", () => {
  const answer = new Answer();
  answer.apply(part("t7", { type: "text-delta", id: "t", delta: "Größe" }));
  answer.apply(part("t7.1", { type: "text-end", id: "t" }));
  answer.apply(part("t7.2", { type: "tool-input-start", ...CALL }));
  answer.apply(part("t7.3", { type: "text-start", id: "t2" }));
  const change = answer.apply(part("t9.3", { type: "text-delta", id: "t2", delta: "\n\n" }));
  assert.deepEqual(change, { kind: "text", delta: "\n\n" });
  assert.equal(answer.steps.all[0]?.at, 5, "letters, not bytes");
  assert.throws(() => answer.apply(part("t12.4", { type: "tool-input-start", ...CALL, toolCallId: "c2" })), GapInAnswer);
});

test("how a call ended: failed with what was wrong, declined, or not heard of before", () => {
  const answer = new Answer();
  answer.apply(part("t0.1", { type: "tool-input-start", ...CALL }));
  answer.apply(part("t0.2", { type: "tool-output-error", toolCallId: "c1", errorText: "no answer within 20 s" }));
  assert.equal(answer.steps.all[0]?.state, "failed");
  assert.equal(answer.steps.all[0]?.error, "no answer within 20 s");
  answer.apply(part("t0.3", { type: "tool-input-start", ...CALL, toolCallId: "c2" }));
  answer.apply(part("t0.4", { type: "tool-output-denied", toolCallId: "c2" }));
  assert.equal(answer.steps.all[1]?.state, "declined");
  assert.deepEqual(answer.apply(part("t0.5", { type: "tool-output-available", toolCallId: "c9", output: 1 })), { kind: "nothing" });
  assert.equal(answer.steps.all.length, 2);
});

test("a question that was answered is not asked again when the stream is read anew", () => {
  const answer = new Answer();
  const ask = (): string[] =>
    [
      part("t0.1", { type: "tool-input-start", ...CALL }),
      part("t0.2", { type: "tool-approval-request", approvalId: "a1", toolCallId: "c1" }),
    ].flatMap((event) => {
      const change = answer.apply(event);
      return change.kind === "step" ? [change.step.state] : [];
    });
  assert.deepEqual(ask(), ["running", "asking"]);
  assert.equal(answer.steps.decide("a1", "approved")?.state, "approved");
  assert.equal(answer.steps.decide("a1", "declined"), null, "once");
  answer.restart();
  assert.deepEqual(answer.steps.all, []);
  answer.steps.decide("a1", "approved");
  assert.deepEqual(ask(), ["running", "approved"]);
});

test("that a budget is used up is no failure: the sentence is the answer", () => {
  const answer = new Answer();
  assert.deepEqual(answer.apply(part("p4", { type: "data-notice", data: { code: "budget_exhausted" } })), { kind: "nothing" });
  assert.equal(answer.apply(part("t5", { type: "text-delta", id: "t", delta: "Sorry" })).kind, "text");
  answer.apply({ id: "", data: "[DONE]" });
  assert.deepEqual([answer.text, answer.finishReason, answer.ended], ["Sorry", "", true]);
});

test("a stored answer is cut into words and steps at letters, also where the places are nonsense", () => {
  const step = (id: string, at: number): Step => ({
    id,
    tool: id,
    state: "done",
    writes: false,
    approvalId: "",
    host: "",
    input: {},
    output: null,
    error: "",
    at,
  });
  const order = (content: string, ...steps: Step[]): string[] =>
    inOrder(content, steps).map((piece) => (typeof piece === "string" ? piece : `<${piece.tool}>`));
  assert.deepEqual(order("Größe 👟!\n\nMore.", step("b", 8), step("a", 0), step("c", 8)), ["<a>", "Größe 👟!", "<b>", "<c>", "\n\nMore."]);
  assert.deepEqual(order("", step("a", 4)), ["<a>"]);
  assert.deepEqual(order("Words", step("a", -3), step("b", 900)), ["<a>", "Words", "<b>"]);
  assert.deepEqual(order("Words"), ["Words"]);
});
