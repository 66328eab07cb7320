// Makes an instance on a running server and lets both client libraries speak to it.
// Usage: run.mjs SERVER PLATFORM_TOKEN FAKE_PROVIDER PYTHON

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [server, platformToken, fake, python] = process.argv.slice(2);

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

for (let tries = 0; !(await fetch(`${fake}/v1/models`).catch(() => null))?.ok; tries += 1) {
  if (tries > 100) throw new Error("the fake provider does not answer");
  await new Promise((resolve) => setTimeout(resolve, 100));
}
const created = await call("POST", "/api/platform/v1/instances", platformToken, {
  name: "OpenAI clients",
  admin_email: "ada@example.com",
});
const { key } = await call("POST", `/api/platform/v1/instances/${created.instance.id}/api-keys`, platformToken, {
  name: "e2e",
});
const client = (method, path, body) => call(method, `/api/client/v1${path}`, key, body);

async function addModel(name, model, priority) {
  const configuration = {
    name,
    model,
    priority,
    provider: "openai_compatible",
    base_url: `${fake}/v1`,
    api_key: "sk-e2e-0123456789abcdef",
    embedding_model: name === "good" ? "fake-embedding" : undefined,
  };
  return (await client("POST", "/api-configurations", configuration)).id;
}

const good = await addModel("good", "fake-chat", 0);
const tested = await client("POST", `/api-configurations/${good}/test`);
if (!tested.ok) throw new Error(`the model does not work: ${JSON.stringify(tested)}`);
// Refused twice for each library: once to see the failure, once to see it try again.
await addModel("limited-python", "python-fake:error=429,retry_after=1,times=2", 10);
await addModel("limited-node", "node-fake:error=429,retry_after=1,times=2", 11);
await addModel("calling", "calling-fake:calls=2", 13);
await addModel("breaking", "breaking-fake:tokens=30,error_after=3", 12);

const text = "You may return items within 60 days of delivery if they are unused.";
const document = await client("POST", "/documents", { title: "Returns", text });
for (let tries = 0; ; tries += 1) {
  const { status } = await client("GET", `/documents/${document.id}`);
  if (status === "ready") break;
  if (status === "failed" || tries > 150) throw new Error(`the document is ${status}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
}

const environment = {
  ...process.env,
  STOA_URL: server,
  STOA_PLATFORM_TOKEN: platformToken,
  STOA_BASE_URL: `${server}/v1`,
  STOA_KEY: key,
  FAKE_URL: fake,
};
for (const [program, script] of [
  [python, "client.py"],
  [process.execPath, "client.mjs"],
  [process.execPath, "ui-stream.mjs"],
]) {
  const { status } = spawnSync(program, [fileURLToPath(new URL(script, import.meta.url))], {
    stdio: "inherit",
    env: environment,
  });
  if (status !== 0) process.exit(1);
}
