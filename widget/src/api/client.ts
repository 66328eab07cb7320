// The chat API as functions. Knows addresses, headers and shapes; holds no state.

import { Problem, Unreachable } from "./problem.ts";
import { bag, readConfiguration, readMessagePage, text } from "./read.ts";
import type { Configuration, Rating, Session, StoredMessage } from "./types.ts";

/** How long a call that is no stream may take, in milliseconds. */
const CALL_DEADLINE = 20_000;
/** Pages of history that are read at most; a page holds 200 messages. */
const HISTORY_PAGES = 5;

interface Call {
  method?: "POST";
  body?: unknown;
  token?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export class ChatApi {
  readonly #base: string;

  /** `apiBase` is an origin; empty for the page's own. */
  constructor(apiBase: string) {
    this.#base = `${apiBase.replace(/\/+$/, "")}/api/chat/v1`;
  }

  async configuration(instanceId: string): Promise<Configuration> {
    return readConfiguration(await this.#json(`/instances/${encodeURIComponent(instanceId)}/configuration`));
  }

  async createSession(instanceId: string, locale: string, pageUrl: string): Promise<Session> {
    const body = { instance_id: instanceId, locale, page_url: pageUrl };
    const created = bag(await this.#json("/sessions", { method: "POST", body }));
    const session = { id: text(bag(created["session"])["id"]), token: text(created["token"]) };
    if (!session.id || !session.token) throw new Unreachable("the server's answer makes no sense");
    return session;
  }

  /** The whole conversation, oldest first. */
  async messages(session: Session): Promise<StoredMessage[]> {
    const all: StoredMessage[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < HISTORY_PAGES; page += 1) {
      const query: string = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const path = `/sessions/${session.id}/messages?limit=200${query}`;
      const { messages, next } = readMessagePage(await this.#json(path, { token: session.token }));
      all.push(...messages);
      if (!next) break;
      cursor = next;
    }
    return oldestFirst(all);
  }

  /** Asks. `clientMessageId` makes it safe to send the same question again. */
  ask(session: Session, content: string, clientMessageId: string, signal: AbortSignal): Promise<Response> {
    return this.#fetch(`/sessions/${session.id}/messages`, {
      method: "POST",
      body: { content, client_message_id: clientMessageId },
      token: session.token,
      headers: { accept: "text/event-stream" },
      signal,
    });
  }

  /** Answers again to the question of the last answer. Safe to send again: the same new answer. */
  regenerate(session: Session, messageId: string, signal: AbortSignal): Promise<Response> {
    const headers = { accept: "text/event-stream" };
    return this.#fetch(`/messages/${messageId}/regenerate`, { method: "POST", token: session.token, headers, signal });
  }

  /** Goes on with an answer whose stream broke, after the event `lastEventId`. */
  resume(session: Session, messageId: string, lastEventId: string, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (lastEventId) headers["last-event-id"] = lastEventId;
    return this.#fetch(`/messages/${messageId}/stream`, { token: session.token, headers, signal });
  }

  async stop(session: Session): Promise<void> {
    await this.#done(`/sessions/${session.id}/stop`, { method: "POST", token: session.token });
  }

  async feedback(session: Session, messageId: string, rating: Rating, comment: string): Promise<void> {
    const body = comment ? { rating, comment } : { rating };
    await this.#done(`/messages/${messageId}/feedback`, { method: "POST", token: session.token, body });
  }

  /** The visitor's yes or no to what a tool would do. Decided once: a second time is a `Problem` of status 409. */
  async decide(session: Session, messageId: string, approvalId: string, approved: boolean): Promise<void> {
    const path = `/messages/${messageId}/approvals/${encodeURIComponent(approvalId)}`;
    await this.#done(path, { method: "POST", token: session.token, body: { approved } });
  }

  async #json(path: string, call: Call = {}): Promise<unknown> {
    const response = await this.#fetch(path, { ...call, signal: AbortSignal.timeout(CALL_DEADLINE) });
    try {
      return await response.json();
    } catch {
      throw new Unreachable("the server's answer broke off");
    }
  }

  async #done(path: string, call: Call): Promise<void> {
    const response = await this.#fetch(path, { ...call, signal: AbortSignal.timeout(CALL_DEADLINE) });
    await response.body?.cancel();
  }

  /** Answers with a success, or throws a `Problem` or `Unreachable`. */
  async #fetch(path: string, call: Call): Promise<Response> {
    const headers: Record<string, string> = { accept: "application/json", ...call.headers };
    if (call.token) headers["authorization"] = `Bearer ${call.token}`;
    if (call.body !== undefined) headers["content-type"] = "application/json";
    const init: RequestInit = { method: call.method ?? "GET", headers, credentials: "omit", cache: "no-store" };
    if (call.body !== undefined) init.body = JSON.stringify(call.body);
    if (call.signal) init.signal = call.signal;
    let response: Response;
    try {
      response = await fetch(this.#base + path, init);
    } catch {
      throw new Unreachable("no answer");
    }
    if (response.ok) return response;
    let body: unknown = null;
    try {
      body = await response.json();
    } catch {
      // A proxy's error page: the status has to do.
    }
    throw new Problem(response.status, body, response.headers);
  }
}

/** A conversation begins with a question: a list that ends with one came newest first. */
function oldestFirst(messages: StoredMessage[]): StoredMessage[] {
  const first = messages[0];
  const last = messages[messages.length - 1];
  if (!first || !last || first.role === "user") return messages;
  return last.role === "user" && last.createdAt <= first.createdAt ? messages.reverse() : messages;
}
