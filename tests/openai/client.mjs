// OpenAI's library for Node, unchanged, against Stoa: the same as client.py does.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Installed into the cache, not beside this file.
const require = createRequire(pathToFileURL(`${process.env.STOA_NODE_CLIENT}/`));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")));
const { version } = JSON.parse(await readFile(`${process.env.STOA_NODE_CLIENT}/node_modules/openai/package.json`));

const { STOA_BASE_URL: baseURL, STOA_KEY: apiKey, FAKE_URL: fake } = process.env;
const client = new OpenAI({ baseURL, apiKey });
const messages = [{ role: "user", content: "How many days do I have to return unused items?" }];

async function refused(kind, body, options = { maxRetries: 0 }) {
  try {
    await client.chat.completions.create(body, options);
  } catch (error) {
    assert.ok(error instanceof kind, `${error}`);
    return error;
  }
  assert.fail(`${JSON.stringify(body)} should have been ${kind.name}`);
}

async function askedFor(model) {
  const { requests } = await (await fetch(`${fake}/_fake/requests`)).json();
  return requests.filter((request) => request.model.startsWith(model)).length;
}

// Models.
const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.deepEqual(names.slice(0, 2), ["stoa", "fake-chat"]);
assert.equal((await client.models.retrieve("stoa")).object, "model");

// The bot, whole.
const whole = await client.chat.completions.create({ model: "stoa", messages, user: "e2e", seed: 1 });
const { message, finish_reason: reason } = whole.choices[0];
assert.match(message.content, /60 days/);
assert.equal(reason, "stop");
assert.equal(message.stoa.sources[0].title, "Returns");
assert.ok(whole.usage.total_tokens > 0);

// The bot, streamed, with what it took.
let [text, pieces, sources, usage] = ["", 0, [], null];
const body = { model: "stoa", messages, stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create(body)) {
  usage = chunk.usage ?? usage;
  for (const { delta, finish_reason: ended } of chunk.choices) {
    pieces += 1;
    text += delta.content ?? "";
    if (ended) sources = chunk.stoa.sources;
  }
}
assert.match(text, /60 days/);
assert.ok(pieces > 5);
assert.equal(sources[0].title, "Returns");
assert.ok(usage.completion_tokens > 0);

// The library's own helper, which gathers the chunks.
const helper = client.chat.completions.stream({ model: "fake-chat", messages });
const final = await helper.finalChatCompletion();
assert.match(final.choices[0].message.content, /^You asked: How many days/);

// A model passed through, by the name of its configuration, with limits.
const plain = await client.chat.completions.create({ model: "good", messages, temperature: 0.2, max_tokens: 50, stop: "days" });
assert.equal(plain.choices[0].message.content, "You asked: How many ");

// Tools: the model's calls come back, whole and streamed alike, and are answered.
const tool = (name) => ({ type: "function", function: { name, parameters: { type: "object", properties: {} } } });
const tools = [tool("find_order"), tool("find_shop")];
const asked = await client.chat.completions.create({ model: "calling", messages, tools, tool_choice: "required" });
assert.equal(asked.choices[0].finish_reason, "tool_calls");
const calls = asked.choices[0].message.tool_calls;
assert.deepEqual(calls.map((call) => call.function.name), ["find_order", "find_shop"]);
assert.equal(JSON.parse(calls[0].function.arguments).query, messages[0].content);
const calling = client.chat.completions.stream({ model: "calling", messages, tools });
let deltas = 0;
calling.on("tool_calls.function.arguments.delta", () => { deltas += 1; });
const called = (await calling.finalChatCompletion()).choices[0];
assert.equal(called.finish_reason, "tool_calls");
assert.ok(deltas > 2);
assert.deepEqual(called.message.tool_calls.map(({ id, function: { arguments: it } }) => [id, it]),
  calls.map(({ id, function: { arguments: it } }) => [id, it]));
const results = calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: `${call.function.name} is closed` }));
const goingOn = [...messages, asked.choices[0].message, ...results];
for (const model of ["calling", "stoa"]) {
  const answer = await client.chat.completions.create({ model, messages: goingOn, tools });
  assert.match(answer.choices[0].message.content, /^The tool said: find_shop is closed/);
}
const one = await client.chat.completions.create({ model: "calling", messages, tools, parallel_tool_calls: false });
assert.equal(one.choices[0].message.tool_calls.length, 1);
const lost = await refused(OpenAI.BadRequestError, { model: "stoa", messages: [...messages, results[0]] });
assert.equal(lost.param, "messages[1].tool_call_id");
// The library's own loop over tools, which runs them and asks again.
const runner = client.chat.completions.runTools({
  model: "calling",
  messages,
  tools: ["find_order", "find_shop"].map((name) => ({
    type: "function",
    function: { ...tool(name).function, parse: JSON.parse, function: ({ number }) => `${name} gave ${number}` },
  })),
});
assert.match(await runner.finalContent(), /^The tool said: find_shop gave 1/);

// Failures are the library's own kinds.
assert.equal((await refused(OpenAI.NotFoundError, { model: "gpt-9", messages })).code, "model_not_found");
assert.equal((await refused(OpenAI.BadRequestError, { model: "stoa", messages: [] })).param, "messages");
const limited = await refused(OpenAI.RateLimitError, { model: "limited-node", messages });
assert.equal(limited.headers.get("retry-after"), "1");
const stranger = new OpenAI({ baseURL, apiKey: "sk-wrong" });
await assert.rejects(async () => stranger.models.list(), OpenAI.AuthenticationError);
await assert.rejects(async () => {
  const stream = await client.chat.completions.create({ model: "breaking", messages, stream: true });
  for await (const chunk of stream) assert.ok(chunk);
}, OpenAI.APIError);

// The library tries again by itself: the fake refuses two calls for the model, and one was above.
assert.ok((await client.chat.completions.create({ model: "limited-node", messages })).choices[0].message.content);
assert.equal(await askedFor("node-fake"), 3);

// Vectors, which the library asks for in base64.
const vectors = await client.embeddings.create({ model: "fake-embedding", input: ["tents", "boots"] });
assert.deepEqual(vectors.data.map((it) => it.embedding.length), [256, 256]);
const floats = await client.embeddings.create({ model: "stoa", input: "tents", encoding_format: "float" });
floats.data[0].embedding.forEach((number, at) => assert.ok(Math.abs(number - vectors.data[0].embedding[at]) < 1e-6));
console.log(`openai ${version} for Node: well`);
