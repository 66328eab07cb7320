// One answer of the mock server: written once, as its script says, and passed on to
// whoever listens, from wherever they are.

import { SOURCES } from "./scripts.mjs";

/** Between a call's beginning and its end, in milliseconds. */
const CALL_TAKES = 60;

export class MockAnswer {
  role = "assistant";
  created_at = new Date().toISOString();
  feedback = null;
  stopped = false;
  failed = false;
  #log = [];
  #ended = false;
  #text = "";
  #bytes = 0;
  #steps = [];
  #stepEvents = 0;
  #pauses = new Set();

  constructor(id, script) {
    this.id = id;
    this.script = script;
    this.parts = script.parts ?? [script.text ?? ""];
  }

  /** Writes the answer to its end. */
  async write() {
    this.#log.push(["p1", { type: "start", messageId: this.id, messageMetadata: { createdAt: this.created_at } }]);
    for (const [index, source] of SOURCES.entries()) {
      const stoa = { documentId: source.document_id, url: source.url, text: source.text };
      const part = { type: "source-document", sourceId: source.source_id, mediaType: "text/html", title: source.title };
      this.#log.push([`p${index + 2}`, { ...part, providerMetadata: { stoa } }]);
    }
    if (this.script.notice) this.#log.push(["p4", { type: "data-notice", data: { code: this.script.notice } }]);
    let texts = 0;
    for (const part of this.parts) {
      if (this.stopped || this.failed) break;
      if (typeof part === "string") await this.#say(part, (texts += 1));
      else await this.#call(part);
    }
    this.#end();
  }

  async #say(text, nth) {
    const id = nth === 1 ? "t" : `t${nth}`;
    this.#log.push([this.#stepEvents === 0 ? "p5" : this.#stepId(), { type: "text-start", id }]);
    let pieces = 0;
    for (const delta of cut(text, this.script.piece ?? 7)) {
      await this.#pause(this.script.delay ?? 4);
      if (this.stopped) return;
      if (pieces >= (this.script.errorAfter ?? Infinity)) {
        this.failed = true;
        return;
      }
      pieces += 1;
      this.#bytes += Buffer.byteLength(delta);
      this.#text += delta;
      this.#log.push([this.#position(), { type: "text-delta", id, delta }]);
    }
  }

  /** A round of calls: all begin at once, each ends in its own time. */
  async #call(calls) {
    await Promise.all(
      calls.map(async (call) => {
        const ordinal = this.#steps.length + 1;
        const step = { ...call, id: `c${ordinal}`, at: [...this.#text].length, approval: `${this.id}-${ordinal}`, state: "running" };
        this.#steps.push(step);
        const name = { toolCallId: step.id, toolName: step.tool };
        this.#step({ type: "tool-input-start", ...name });
        this.#step({ type: "tool-input-available", ...name, input: call.input });
        if (call.writes && !(await this.#mayRun(step))) {
          if (this.stopped) return;
          return this.#step({ type: "tool-output-denied", toolCallId: step.id });
        }
        await this.#pause(call.delay ?? CALL_TAKES);
        if (this.stopped) return;
        step.state = call.error ? "failed" : "done";
        const end = call.error ? { type: "tool-output-error", errorText: call.error } : { type: "tool-output-available", output: call.output };
        this.#step({ ...end, toolCallId: step.id });
      }),
    );
  }

  async #mayRun(step) {
    step.state = "asking";
    this.#step({ type: "tool-approval-request", approvalId: step.approval, toolCallId: step.id, approvalDescriptor: { host: step.host } });
    while (step.state === "asking" && !this.stopped) await this.#pause(10);
    return step.state === "running" && !this.stopped;
  }

  isAsking(approval) {
    return this.#steps.some((step) => step.approval === approval);
  }

  /** Whether this is the word that counts. */
  decide(approval, approved) {
    const step = this.#steps.find((known) => known.approval === approval);
    if (step?.state !== "asking") return false;
    step.state = approved ? "running" : "denied";
    return true;
  }

  stop() {
    this.stopped = true;
    for (const wake of this.#pauses) wake();
  }

  #end() {
    if (this.failed) {
      this.#log.push(["e1", { type: "error", errorText: "The provider broke off.", code: "ai_unavailable", retryable: true }]);
    } else {
      const finishReason = this.stopped ? "cancelled" : (this.script.finishReason ?? "stop");
      this.#log.push(["e1", { type: "text-end", id: "t" }]);
      this.#log.push(["e2", { type: "data-usage", data: { inputTokens: 200, outputTokens: 80, model: "mock", finishReason } }]);
      this.#log.push(["e3", { type: "finish" }]);
    }
    this.#ended = true;
  }

  #step(part) {
    this.#log.push([this.#stepId(), part]);
  }

  #stepId() {
    this.#stepEvents += 1;
    return this.#position();
  }

  #position() {
    return this.#stepEvents === 0 ? `t${this.#bytes}` : `t${this.#bytes}.${this.#stepEvents}`;
  }

  /** Every event, waiting for those that are still to come. */
  async *events() {
    for (let at = 0; at < this.#log.length || !this.#ended; ) {
      if (at < this.#log.length) yield this.#log[at++];
      else await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  stored() {
    const { id, role, created_at, feedback } = this;
    const complete = this.#ended;
    return {
      id,
      role,
      content: this.#text,
      state: complete ? "complete" : "streaming",
      finish_reason: !complete ? null : this.stopped ? "cancelled" : this.failed ? "error" : "stop",
      sources: SOURCES,
      steps: this.#steps.map(({ id, tool, state, writes, host, input, output, error, approval, at }) => ({
        tool_call_id: id,
        position: at,
        tool,
        state: complete && (state === "asking" || state === "running") ? "abandoned" : state,
        approval_id: writes ? approval : null,
        host: host ?? null,
        input,
        output: state === "done" ? output : null,
        error: state === "failed" ? error : null,
      })),
      created_at,
      feedback,
    };
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#pauses.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#pauses.add(wake);
    });
  }
}

/** Cut anywhere, except inside a character. */
function cut(text, size) {
  const characters = [...text];
  const all = [];
  for (let at = 0; at < characters.length; at += size) all.push(characters.slice(at, at + size).join(""));
  return all;
}
