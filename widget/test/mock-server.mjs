// A small server that speaks the chat API over real sockets, for the tests of the chat
// app. A word such as `#cut` in a question decides how its answer goes; see `SCRIPTS`.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const DIST = new URL("../../crates/web/assets/dist/", import.meta.url);
const TEMPLATE = new URL("../../crates/web/templates/chat.html", import.meta.url);
const TYPES = { js: "text/javascript", css: "text/css", woff2: "font/woff2", svg: "image/svg+xml" };

export const INSTANCE = "01931f00-0000-7000-8000-000000000001";
export const SOURCES = [
  {
    source_id: "1",
    document_id: "01931f00-0000-7000-8000-00000000d001",
    title: "Returns and refunds",
    url: "https://acme.example/help/returns",
    text: "You can send back unused items within 30 days of delivery. Refunds reach your account within 5 working days after the parcel arrives.",
  },
  {
    source_id: "2",
    document_id: "01931f00-0000-7000-8000-00000000d002",
    title: "Shipping costs and times",
    url: null,
    text: "Return labels are free for members. Everyone else pays 4.90.",
  },
];

const ANSWER = `You have **30 days** from delivery to send back anything unused [1]. The refund reaches your account within five working days after the parcel arrives [1].

1. Print the label from your order page; it is free for members [2].
2. Put the item in its box, tags on.
3. Drop it at any parcel shop.

Members see the state of a return under *Orders*.`;

const ATTACK = `<script>window.pwned = 1</script><img src=x onerror="window.pwned=1">

![logo](https://evil.example/pixel.png) ![x](javascript:window.pwned=1)

[click](javascript:window.pwned=1) [data](data:text/html,<script>1</script>) [mixed](JaVaScRiPt:alert(1)) [tab](java	script:alert(1)) [relative](/console/acme) [scheme](//evil.example/x) [user](https://bank.example@evil.example/) [good](https://acme.example/a "title") [mail](mailto:help@acme.example)

<javascript:alert(1)> <https://evil.example" onmouseover="alert(1)> https://acme.example/bare. <b onclick=alert(1)>bold</b> <iframe src="https://evil.example"></iframe> <svg/onload=alert(1)>

\`\`\`"><script>window.pwned=1</script>
<script>window.pwned = 1</script>
\`\`\`

| a | <img src=x> |
|---|---|
| [x](vbscript:1) | &lt;b&gt; |

- [ ] open <style>*{display:none}</style>
- [x] done [9] not a source [1]`;

/** How the answer goes to a question with `#` and one of these names in it. */
const SCRIPTS = {
  attack: { text: ATTACK },
  cut: { text: ANSWER, cutAfter: 9 },
  twice: { text: ANSWER, cutAfter: 6, replayAll: true },
  umlaut: { text: "Größe: 42 → 43 für Füße. 尺码四十二。 Ende.", cutAfter: 4, piece: 3 },
  long: { text: Array.from({ length: 40 }, (_, n) => `Paragraph ${n + 1} of a long answer.`).join("\n\n"), delay: 40 },
  broken: { text: ANSWER, errorAfter: 8 },
  length: { text: ANSWER, finishReason: "length" },
  limited: { problem: [429, "rate_limited", { "retry-after": "2" }], times: 1, text: ANSWER },
  down: { problem: [503, "ai_unavailable"], times: 1, text: ANSWER },
  database: { problem: [503, "database_unreachable"] },
  refused: { problem: [413, "message_too_long"] },
  suspended: { problem: [403, "instance_suspended"] },
  expired: { problem: [401, "session_expired"], times: 1, text: ANSWER },
  refuse_connection: { hangUp: 2, text: ANSWER },
  arabic: { text: "يمكنك إرجاع أي منتج غير مستعمل خلال **30 يومًا** من التسليم [1]." },
};

export async function startMockServer(overrides = {}) {
  const state = new Mock(overrides);
  const server = createServer((request, response) => {
    state.handle(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    chatUrl: `${origin}/chat/acme`,
    state,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

class Mock {
  sessions = new Map();
  answers = new Map();
  byKey = new Map();
  feedback = [];
  requests = [];
  stops = 0;
  #count = 0;
  #served = new Map();

  constructor(overrides) {
    this.overrides = overrides;
  }

  async handle(request, response) {
    const url = new URL(request.url, "http://mock");
    const body = await readJson(request);
    this.requests.push({ method: request.method, path: url.pathname, headers: request.headers, body });
    const api = /^\/api\/chat\/v1\/(.*)$/.exec(url.pathname)?.[1];
    if (api === undefined) return this.#page(url, response);
    return this.#api(request, api.split("/"), body, response);
  }

  async #page(url, response) {
    if (url.pathname.startsWith("/assets/")) return asset(url.pathname.slice(8), response);
    if (!url.pathname.startsWith("/chat/")) return problem(response, 404, "not_found");
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; script-src 'nonce-mock'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
    response.end(await chatPage(url.searchParams));
  }

  async #api(request, [kind, id, action], body, response) {
    if (kind === "instances") return json(response, 200, this.#configuration());
    if (kind === "sessions" && !id) return this.#createSession(response);
    const session = this.sessions.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1]);
    if (!session) return problem(response, 401, "session_expired");
    if (kind === "messages") return this.#message(session, request, id, action, body, response);
    if (action === "stop") {
      this.stops += 1;
      for (const answer of this.answers.values()) answer.stopped = true;
      return json(response, 202, {});
    }
    if (request.method === "GET") {
      const data = session.messages.map(stored);
      if (this.overrides.newestFirst) data.reverse();
      return json(response, 200, { data, next_cursor: null });
    }
    return this.#ask(session, body, request, response);
  }

  async #message(session, request, id, action, body, response) {
    const answer = this.answers.get(id);
    if (!answer) return problem(response, 404, "not_found");
    if (action === "feedback") {
      this.feedback.push({ id, ...body });
      answer.feedback = body.rating;
      return json(response, 200, {});
    }
    if (action === "regenerate") {
      const place = session.messages.indexOf(answer);
      if (place !== session.messages.length - 1) return problem(response, 409, "not_the_last_answer");
      const again = this.#newAnswer({ text: answer.script.text });
      session.messages[place] = again;
      return this.#stream(again, "", response, Infinity);
    }
    const after = answer.script.replayAll ? "" : (request.headers["last-event-id"] ?? "");
    return this.#stream(answer, after, response, Infinity);
  }

  async #ask(session, body, request, response) {
    const known = this.byKey.get(body.client_message_id);
    if (known) return this.#stream(known, "", response, Infinity);
    const word = /#(\w+)/.exec(body.content)?.[1] ?? "";
    const script = SCRIPTS[word] ?? { text: ANSWER };
    const served = (this.#served.get(word) ?? 0) + 1;
    this.#served.set(word, served);
    if (served <= (script.hangUp ?? 0)) return request.socket.destroy();
    if (script.problem && served <= (script.times ?? Infinity)) {
      const [status, code, headers] = script.problem;
      if (status === 401) this.sessions.clear();
      return problem(response, status, code, headers);
    }
    const question = { id: this.#id("q"), role: "user", content: body.content, created_at: new Date().toISOString() };
    const answer = this.#newAnswer(script);
    this.byKey.set(body.client_message_id, answer);
    session.messages.push(question, answer);
    return this.#stream(answer, "", response, script.cutAfter ?? Infinity);
  }

  #newAnswer(script) {
    const answer = { id: this.#id("a"), role: "assistant", script, created_at: new Date().toISOString(), said: 0 };
    this.answers.set(answer.id, answer);
    return answer;
  }

  /** Writes the answer's events after the one named `after`; cuts the connection after `cutAfter` text events. */
  async #stream(answer, after, response, cutAfter) {
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      "x-vercel-ai-ui-message-stream": "v1",
    });
    response.write(": hello\n\n");
    const { script } = answer;
    let skipping = after !== "";
    let sent = 0;
    for (const [id, part] of eventsOf(answer)) {
      const isText = part.type === "text-delta";
      if (isText && answer.stopped) continue;
      if (skipping) {
        if (id === after) skipping = false;
        continue;
      }
      if (isText) {
        answer.said = Math.max(answer.said, Number(id.slice(1)));
        await pause(script.delay ?? 4);
        if (sent >= cutAfter) return response.destroy();
        if (sent >= (script.errorAfter ?? Infinity)) {
          answer.failed = true;
          const error = { type: "error", errorText: "The provider broke off.", code: "ai_unavailable", retryable: true };
          return response.end(`id: e1\ndata: ${JSON.stringify(error)}\n\ndata: [DONE]\n\n`);
        }
        sent += 1;
      }
      response.write(`id: ${id}\ndata: ${JSON.stringify(part)}\n\n`);
    }
    response.end("data: [DONE]\n\n");
  }

  #createSession(response) {
    const token = `mock-token-${this.sessions.size + 1}-${Date.now()}`;
    const session = { id: this.#id("s"), messages: [] };
    this.sessions.set(token, session);
    return json(response, 201, { session: { id: session.id }, token });
  }

  #configuration() {
    const { instance, display, theme, features, available } = this.overrides;
    return {
      instance: { id: INSTANCE, slug: "acme", name: "Acme Outdoor", status: "active", ...instance },
      display: {
        bot_name: "Acme Outdoor",
        tagline: "Help with orders, sizes and returns",
        greeting: "What can we help you with?",
        starters: ["How long do I have to return something?", "What does shipping cost?", "Which size fits me?"],
        show_sources: true,
        language: "auto",
        ...display,
      },
      theme: { accent: "#0b6b57", accent_dark: "#5cc9a7", color_scheme: "auto", radius: 10, logo_url: null, ...theme },
      features: { feedback: true, handoff: false, show_powered_by: true, ...features },
      version: 3,
      available: available ?? true,
    };
  }

  #id(kind) {
    this.#count += 1;
    return `01931f00-0000-7000-8000-${kind.charCodeAt(0).toString(16).padStart(4, "0")}${String(this.#count).padStart(8, "0")}`;
  }
}

function* eventsOf(answer) {
  const { script } = answer;
  yield ["p1", { type: "start", messageId: answer.id, messageMetadata: { createdAt: answer.created_at } }];
  for (const [index, source] of SOURCES.entries()) {
    const stoa = { documentId: source.document_id, url: source.url, text: source.text };
    const part = { type: "source-document", sourceId: source.source_id, mediaType: "text/html", title: source.title };
    yield [`p${index + 2}`, { ...part, providerMetadata: { stoa } }];
  }
  yield ["p4", { type: "text-start", id: "t" }];
  let bytes = 0;
  for (const delta of pieces(script.text, script.piece ?? 7)) {
    bytes += Buffer.byteLength(delta);
    yield [`t${bytes}`, { type: "text-delta", id: "t", delta }];
  }
  yield ["e1", { type: "text-end", id: "t" }];
  const finishReason = answer.stopped ? "cancelled" : (script.finishReason ?? "stop");
  yield ["e2", { type: "data-usage", data: { inputTokens: 200, outputTokens: 80, model: "mock", finishReason } }];
  yield ["e3", { type: "finish" }];
}

/** Cut anywhere, except inside a character. */
function pieces(text, size) {
  const characters = [...text];
  const all = [];
  for (let at = 0; at < characters.length; at += size) all.push(characters.slice(at, at + size).join(""));
  return all;
}

function stored(message) {
  if (message.role === "user") return { ...message, state: "complete", sources: [], feedback: null };
  const { id, role, script, created_at, said, stopped, failed } = message;
  const complete = Buffer.byteLength(script.text) === said || stopped || failed;
  return {
    id,
    role,
    content: Buffer.from(script.text).subarray(0, said).toString(),
    state: complete ? "complete" : "streaming",
    finish_reason: stopped ? "cancelled" : failed ? "error" : complete ? "stop" : null,
    sources: SOURCES,
    created_at,
    feedback: message.feedback ?? null,
  };
}

/** The real template, with askama's few constructs that it uses filled in. */
async function chatPage(query) {
  const fields = {
    nonce: "mock",
    language: "en",
    direction: "ltr",
    instance_id: INSTANCE,
    bot_name: "Acme Outdoor",
    tagline: "",
    locale: query.get("locale") ?? "",
    platform_name: "Stoa",
  };
  return (await readFile(TEMPLATE, "utf8"))
    .replace(/\{#[\s\S]*?#\}/g, "")
    .replace(/\{%[\s\S]*?endif\s*-?%\}/g, "")
    .replace(/\{\{ assets\.asset\("(.*?)"\) \}\}/g, "/assets/$1")
    .replace(/\{\{ (\w+) \}\}/g, (_, name) => fields[name]);
}

async function asset(name, response) {
  try {
    const plain = name.replace(/\.[0-9a-f]{12}(?=\.\w+$)/, "");
    const bytes = await readFile(fileURLToPath(new URL(plain, DIST)));
    response.writeHead(200, { "content-type": TYPES[name.split(".").pop()] ?? "application/octet-stream" });
    response.end(bytes);
  } catch {
    problem(response, 404, "not_found");
  }
}

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : null;
}

function json(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function problem(response, status, code, headers = {}) {
  response.writeHead(status, { "content-type": "application/problem+json", ...headers });
  response.end(JSON.stringify({ type: "about:blank", title: code, status, code, request_id: "req_7f3a91c2" }));
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
