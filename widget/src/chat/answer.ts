// One answer as it grows. Applies the stream's events so that an event seen twice
// changes nothing: after a broken connection the server may repeat some.

import { bag, readStreamedSource, text } from "../api/read.ts";
import type { ServerEvent } from "../api/sse.ts";
import type { Source, Step } from "../api/types.ts";
import { Steps } from "./steps.ts";

/** Text was lost between two events: the answer must be read again from its start. */
export class GapInAnswer extends Error {}

export type AnswerChange =
  | { kind: "started"; messageId: string }
  | { kind: "source"; source: Source }
  | { kind: "text"; delta: string }
  | { kind: "step"; step: Step }
  | { kind: "failed"; code: string; retryable: boolean }
  | { kind: "ended" }
  | { kind: "nothing" };

const NOTHING: AnswerChange = { kind: "nothing" };

export class Answer {
  messageId = "";
  text = "";
  sources: Source[] = [];
  readonly steps = new Steps();
  finishReason = "";
  lastEventId = "";
  /** The stream said that no more will come. */
  ended = false;
  /** Bytes of UTF-8 in `text`: the server counts in them. */
  #offset = 0;

  /** Forgets text and steps and asks for everything again; sources, decisions and id stay. */
  restart(): void {
    this.text = "";
    this.steps.restart();
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
      case "tool-input-start":
      case "tool-input-available":
      case "tool-input-error":
      case "tool-approval-request":
      case "tool-output-available":
      case "tool-output-error":
      case "tool-output-denied":
        return this.#changeStep(part, id);
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

  /** A step stands where the text was when it happened. */
  #changeStep(part: Record<string, unknown>, id: string): AnswerChange {
    if ((positionOf(id) ?? 0) > this.#offset) throw new GapInAnswer();
    const step = this.steps.apply(part, this.text);
    return step ? { kind: "step", step } : NOTHING;
  }

  /** The part of `delta` that is not in `text` yet. */
  #unseen(delta: string, id: string): string {
    const bytes = new TextEncoder().encode(delta);
    const end = positionOf(id);
    if (end === null) {
      this.#offset += bytes.length;
      return delta;
    }
    const missing = end - this.#offset;
    if (missing <= 0) return "";
    if (missing > bytes.length) throw new GapInAnswer();
    this.#offset = end;
    return missing === bytes.length ? delta : new TextDecoder().decode(bytes.subarray(bytes.length - missing));
  }
}

/** An id `t<n>`, or `t<n>.<steps>` where there were steps, says that the answer is n bytes long after it. */
function positionOf(id: string): number | null {
  const bytes = /^t(\d+)(?:\.\d+)?$/.exec(id)?.[1];
  return bytes === undefined ? null : Number(bytes);
}

function parse(data: string): Record<string, unknown> {
  try {
    return bag(JSON.parse(data));
  } catch {
    return {};
  }
}
