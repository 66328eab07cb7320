// A small server that speaks the chat API over real sockets, for the tests of the chat
// app. A word such as `#cut` in a question decides how its answer goes; see `scripts.mjs`.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MockAnswer } from "./mock-answer.mjs";
import { ANSWER, SCRIPTS } from "./scripts.mjs";

const DIST = new URL("../../crates/web/assets/dist/", import.meta.url);
const TEMPLATE = new URL("../../crates/web/templates/chat.html", import.meta.url);
const TYPES = { js: "text/javascript", css: "text/css", woff2: "font/woff2", svg: "image/svg+xml" };

export const INSTANCE = "01931f00-0000-7000-8000-000000000001";

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
        for (const answer of state.answers.values()) answer.stop();
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

  async #api(request, [kind, id, action, part], body, response) {
    if (kind === "instances") return json(response, 200, this.#configuration());
    if (kind === "sessions" && !id) return this.#createSession(response);
    const session = this.sessions.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1]);
    if (!session) return problem(response, 401, "session_expired");
    if (kind === "messages") return this.#message(session, request, [id, action, part], body, response);
    if (action === "stop") {
      this.stops += 1;
      for (const answer of this.answers.values()) answer.stop();
      return json(response, 202, {});
    }
    if (request.method === "GET") {
      const data = session.messages.map(stored);
      if (this.overrides.newestFirst) data.reverse();
      return json(response, 200, { data, next_cursor: null });
    }
    return this.#ask(session, body, request, response);
  }

  async #message(session, request, [id, action, approval], body, response) {
    const answer = this.answers.get(id);
    if (!answer) return problem(response, 404, "not_found");
    if (action === "feedback") {
      this.feedback.push({ id, ...body });
      answer.feedback = body.rating;
      return json(response, 200, {});
    }
    if (action === "approvals") return this.#approve(answer, approval, body, request, response);
    if (action === "regenerate") {
      const place = session.messages.indexOf(answer);
      if (place !== session.messages.length - 1) return problem(response, 409, "not_the_last_answer");
      const again = this.#newAnswer({ text: answer.script.text });
      session.messages[place] = again;
      return stream(again, "", response, Infinity);
    }
    answer.resumed = (answer.resumed ?? 0) + 1;
    if (answer.resumed <= (answer.script.unreachable ?? 0)) return request.socket.destroy();
    const after = answer.script.replayAll ? "" : (request.headers["last-event-id"] ?? "");
    return stream(answer, after, response, Infinity);
  }

  #approve(answer, approval, { approved }, request, response) {
    const script = answer.script.approvals ?? {};
    answer.asked = (answer.asked ?? 0) + 1;
    if (answer.asked <= (script.hangUp ?? 0)) return request.socket.destroy();
    if (script.problem) return problem(response, ...script.problem);
    if (!answer.isAsking(approval)) return problem(response, 404, "not_found");
    if (!answer.decide(approval, approved)) return problem(response, 409, "already_decided");
    response.writeHead(204);
    response.end();
  }

  async #ask(session, body, request, response) {
    const known = this.byKey.get(body.client_message_id);
    if (known) return stream(known, "", response, Infinity);
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
    return stream(answer, "", response, script.cutAfter ?? Infinity);
  }

  #newAnswer(script) {
    const answer = new MockAnswer(this.#id("a"), script);
    this.answers.set(answer.id, answer);
    void answer.write();
    return answer;
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

/** Passes the answer's events on that come after the one named `after`; cuts the connection after `cutAfter` of its own. */
async function stream(answer, after, response, cutAfter) {
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
    "x-vercel-ai-ui-message-stream": "v1",
  });
  response.write(": hello\n\n");
  let skipping = after !== "";
  let sent = 0;
  for await (const [id, part] of answer.events()) {
    if (response.destroyed) return;
    if (skipping) {
      skipping = id !== after;
      continue;
    }
    if (/^(text-delta|tool-)/.test(part.type)) sent += 1;
    const event = `id: ${id}\ndata: ${JSON.stringify(part)}\n\n`;
    if (sent >= cutAfter) return response.write(event, () => response.destroy());
    response.write(event);
  }
  response.end("data: [DONE]\n\n");
}

function stored(message) {
  if (message.role === "user") return { ...message, state: "complete", sources: [], feedback: null };
  return message.stored();
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
