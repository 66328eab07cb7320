// Makes an instance on a running server and lets its bot use MCP servers of others.
// Usage: run.mjs SERVER PLATFORM_TOKEN FAKE_PROVIDER NAME=URL…

import assert from "node:assert/strict";

const [server, platformToken, fake, ...places] = process.argv.slice(2);
const urls = Object.fromEntries(places.map((place) => place.split("=", 2)));
const TOKEN = "key-0123456789abcdef";

async function call(method, path, token, body) {
  const response = await fetch(server + path, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

const created = await call("POST", "/api/platform/v1/instances", platformToken, {
  name: "MCP servers",
  admin_email: "ada@example.com",
});
const { key } = await call("POST", `/api/platform/v1/instances/${created.instance.id}/api-keys`, platformToken, {
  name: "e2e",
});
const client = (method, path, body) => call(method, `/api/client/v1${path}`, key, body);

/** Adds a server once it answers, and allows all of its tools. */
async function add(name, headers) {
  const { id } = await client("POST", "/mcp-servers", { name, url: urls[name], headers });
  let refreshed;
  for (let tries = 0; !refreshed; tries += 1) {
    refreshed = await client("POST", `/mcp-servers/${id}/refresh`).catch(async (error) => {
      if (tries > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
  }
  assert(refreshed.tools.every((tool) => !tool.allowed), "nothing is allowed by itself");
  const tools = refreshed.tools.map(({ name, effect, fingerprint }) => ({ name, effect, fingerprint, allowed: true }));
  const changed = await client("PATCH", `/mcp-servers/${id}`, { tools });
  assert(changed.tools.every((tool) => tool.allowed));
  const test = async (tool, args = {}) =>
    (await client("POST", `/mcp-servers/${id}/test`, { tool, arguments: args })).outcome;
  return { version: changed.protocol_version, tools: changed.tools, test };
}

// The newest version.
for (const name of ["new_events", "new_json"]) {
  const orders = await add(name);
  assert.equal(orders.version, "2026-07-28");
  assert.deepEqual(orders.tools.map(({ name, effect }) => [name, effect]), [
    ["find_order", "read"],
    ["cancel_order", "write"],
  ]);
  assert.deepEqual(await orders.test("find_order", { number: 7 }), { content: "Order 7 is on its way.", error: null });
  assert.equal((await orders.test("find_order", { number: "seven" })).error, "invalid_arguments");
  assert.equal((await orders.test("cancel_order", { number: 7 })).error, "tool_error");
}

// An older one, with headers that the server repeats.
for (const name of ["old_sessions", "old_stateless"]) {
  const echo = await add(name, { Authorization: `Bearer ${TOKEN}` });
  assert.equal(echo.version, "2025-11-25");
  const { content, error } = await echo.test("headers");
  assert.equal(error, null);
  assert.equal(JSON.parse(content).authorization, "[secret]");
  assert(!content.includes(TOKEN));
  // Each call's session is ended, soon after the call.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { sessions } = JSON.parse((await echo.test("sessions")).content);
  assert(sessions <= 1, `${sessions} sessions are left`);
}

// One with a bit of everything.
const everything = await add("everything");
assert((await everything.test("echo", { message: "hello" })).content.includes("hello"));
assert.match((await everything.test("get-tiny-image")).content, /\[image image\/png, \d+ bytes\]/);
assert.match((await everything.test("get-structured-content", { location: "New York" })).content, /temperature/);
assert.match((await everything.test("get-resource-links", { count: 2 })).content, /\[link: /);
const long = await everything.test("trigger-long-running-operation", { duration: 1, steps: 2 });
assert.match(long.content, /completed/);
