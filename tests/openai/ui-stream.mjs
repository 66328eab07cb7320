// The AI SDK's own reader, unchanged, follows an answer with tools: every event is one of its chunks,
// and what it makes of them is what happened.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Installed into the cache, not beside this file.
const require = createRequire(pathToFileURL(`${process.env.STOA_NODE_CLIENT}/`));
const { parseJsonEventStream, readUIMessageStream, uiMessageChunkSchema } = await import(
  pathToFileURL(require.resolve("ai"))
);
const { version } = JSON.parse(await readFile(`${process.env.STOA_NODE_CLIENT}/node_modules/ai/package.json`));

const { STOA_URL: server, STOA_PLATFORM_TOKEN: platformToken, FAKE_URL: fake } = process.env;

async function call(method, path, token, body) {
  const response = await fetch(server + path, {
    method,
    headers: { ...(token && { authorization: `Bearer ${token}` }), "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

// What the tools ask.
const asked = [];
const shop = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ state: "shipped" }));
});
await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${shop.address().port}`;

const { instance } = await call("POST", "/api/platform/v1/instances", platformToken, {
  name: "AI SDK",
  admin_email: "ada@example.com",
});
const { key } = await call("POST", `/api/platform/v1/instances/${instance.id}/api-keys`, platformToken, { name: "e2e" });
const client = (method, path, body) => call(method, `/api/client/v1${path}`, key, body);
const model = await client("POST", "/api-configurations", {
  name: "calling",
  provider: "openai_compatible",
  base_url: `${fake}/v1`,
  api_key: "sk-e2e-0123456789abcdef",
  model: 'ui-fake:call=find_order{"id":"7"},call=refund_order{"id":"7"},call=refund_order{"id":"8"},call=nothing{}',
});
const tested = await client("POST", `/api-configurations/${model.id}/test`);
assert.ok(tested.ok, JSON.stringify(tested));
const parameters = { type: "object", properties: { id: { type: "string" } }, required: ["id"] };
await client("POST", "/tools", {
  name: "find_order",
  description: "Finds an order.",
  method: "GET",
  url: `${url}/orders/{id}`,
  parameters,
});
await client("POST", "/tools", {
  name: "refund_order",
  description: "Pays an order back.",
  method: "POST",
  url: `${url}/refunds`,
  parameters,
});

const { session, token } = await call("POST", "/api/chat/v1/sessions", null, { instance_id: instance.id });
const response = await fetch(`${server}/api/chat/v1/sessions/${session.id}/messages`, {
  method: "POST",
  headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  body: JSON.stringify({ content: "Where is my order?" }),
});
assert.equal(response.headers.get("x-vercel-ai-ui-message-stream"), "v1");

// Each event must fit the SDK's own schema; each question is answered as it comes.
let [answer, questions] = [null, 0];
const chunks = parseJsonEventStream({ stream: response.body, schema: uiMessageChunkSchema }).pipeThrough(
  new TransformStream({
    async transform(event, controller) {
      assert.ok(event.success, `${event.error}`);
      const chunk = event.value;
      if (chunk.type === "start") answer = chunk.messageId;
      if (chunk.type === "tool-approval-request") {
        assert.equal(chunk.approvalDescriptor.host, "127.0.0.1");
        questions += 1;
        const path = `/api/chat/v1/messages/${answer}/approvals/${chunk.approvalId}`;
        await call("POST", path, token, { approved: questions === 1 });
      }
      controller.enqueue(chunk);
    },
  }),
);
let message;
for await (message of readUIMessageStream({ stream: chunks, terminateOnError: true }));
const states = message.parts.filter((part) => part.type !== "text").map(({ type, state }) => `${type} ${state}`);
assert.deepEqual(states, [
  "tool-find_order output-available",
  "tool-refund_order output-available",
  "tool-refund_order output-denied",
  "tool-nothing output-error",
  "data-usage undefined",
]);
const [before, after] = message.parts.filter((part) => part.type === "text");
assert.equal(before.text, "You asked: Where is my order?");
assert.match(after.text, /The tool said: /);
assert.equal(message.parts[1].output.state, "shipped");
assert.deepEqual(asked.sort(), ["GET /orders/7", "POST /refunds"]);
shop.close();
console.log(`ai ${version}: an answer with tools is read as it was written`);
