import assert from "node:assert/strict";
import { test } from "node:test";
import { EventDecoder, events } from "../../src/api/sse.ts";

const STREAM = ': hello\r\n\r\nid: p1\r\ndata: {"a":1}\r\n\r\nid: t5\ndata: first\ndata: second\n\ndata:no space\n\n: still here\n\n';
const EXPECTED = [
  { id: "p1", data: '{"a":1}' },
  { id: "t5", data: "first\nsecond" },
  { id: "t5", data: "no space" },
];

test("events are the same wherever the stream is cut", () => {
  for (let cut = 0; cut <= STREAM.length; cut += 1) {
    const decoder = new EventDecoder();
    const found = [...decoder.push(STREAM.slice(0, cut)), ...decoder.push(STREAM.slice(cut))];
    assert.deepEqual(found, EXPECTED, `cut at ${cut}`);
  }
});

test("an event that was not ended is not delivered", () => {
  assert.deepEqual(new EventDecoder().push("id: t9\ndata: half"), []);
});

test("an endless line is given up", () => {
  const decoder = new EventDecoder();
  assert.throws(() => {
    for (let i = 0; i < 10; i += 1) decoder.push("x".repeat(40_000));
  }, /too long/);
});

test("bytes cut inside a character are put together", async () => {
  const bytes = new TextEncoder().encode("data: Größe 尺\n\n");
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const found = [];
  for await (const event of events(body, 1_000)) found.push(event.data);
  assert.deepEqual(found, ["Größe 尺"]);
});

test("a connection that falls silent is broken", async () => {
  const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array([58, 10])) });
  await assert.rejects(async () => {
    for await (const _ of events(body, 30)) assert.fail("nothing was sent");
  }, /silent/);
});
