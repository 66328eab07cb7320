// One answer as it grows. Applies the stream's events so that an event seen twice
// changes nothing: after a broken connection the server may repeat some.

import { bag, readStreamedSource, text } from "../api/read.ts";
import type { ServerEvent } from "../api/sse.ts";
import type { Source } from "../api/types.ts";

/** Text was lost between two events: the answer must be read again from its start. */
export class GapInAnswer extends Error {}

export type AnswerChange =
  | { kind: "started"; messageId: string }
  | { kind: "source"; source: Source }
  | { kind: "text"; delta: string }
  | { kind: "failed"; code: string; retryable: boolean }
  | { kind: "ended" }
  | { kind: "nothing" };

const NOTHING: AnswerChange = { kind: "nothing" };

export class Answer {
  messageId = "";
  text = "";
  sources: Source[] = [];
  finishReason = "";
  lastEventId = "";
  /** The stream said that no more will come. */
  ended = false;
  /** Bytes of UTF-8 in `text`: the server counts in them. */
  #offset = 0;

  /** Forgets the text and asks for everything again; sources and id stay. */
  restart(): void {
    this.text = "";
    this.#offset = 0;
    this.lastEventId = "";
  }

  apply(event: ServerEvent): AnswerChange {
    if (event.data === "[DONE]") {
      this.ended = true;
      return { kind: "ended" };
    }
    const json = parse(event.data);
    const change = this.#applyPart(json, event.id);
    if (event.id) this.lastEventId = event.id;
    return change;
  }

  #applyPart(part: Record<string, unknown>, id: string): AnswerChange {
    switch (part["type"]) {
      case "start":
        return this.#start(text(part["messageId"]));
      case "source-document":
        return this.#addSource(readStreamedSource(part));
      case "text-delta":
        return this.#addText(text(part["delta"]), id);
      case "data-usage":
        this.finishReason = text(bag(part["data"])["finishReason"], "stop");
        return NOTHING;
      case "error":
        this.finishReason = "error";
        return { kind: "failed", code: text(part["code"]), retryable: part["retryable"] !== false };
      default:
        // Also what later versions of the protocol may add.
        return NOTHING;
    }
  }

  #start(messageId: string): AnswerChange {
    if (!messageId || this.messageId === messageId) return NOTHING;
    this.messageId = messageId;
    return { kind: "started", messageId };
  }

  #addSource(source: Source): AnswerChange {
    if (!source.id || this.sources.some((known) => known.id === source.id)) return NOTHING;
    this.sources.push(source);
    return { kind: "source", source };
  }

  #addText(delta: string, id: string): AnswerChange {
    const fresh = this.#unseen(delta, id);
    if (!fresh) return NOTHING;
    this.text += fresh;
    return { kind: "text", delta: fresh };
  }

  /** The part of `delta` that is not in `text` yet. An id `t<n>` says that the answer is n bytes long after it. */
  #unseen(delta: string, id: string): string {
    const bytes = new TextEncoder().encode(delta);
    const end = /^t(\d+)$/.exec(id)?.[1];
    if (end === undefined) {
      this.#offset += bytes.length;
      return delta;
    }
    const missing = Number(end) - this.#offset;
    if (missing <= 0) return "";
    if (missing > bytes.length) throw new GapInAnswer();
    this.#offset = Number(end);
    return missing === bytes.length ? delta : new TextDecoder().decode(bytes.subarray(bytes.length - missing));
  }
}

function parse(data: string): Record<string, unknown> {
  try {
    return bag(JSON.parse(data));
  } catch {
    return {};
  }
}
