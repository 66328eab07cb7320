// The calls of tools in one answer. As with its text, an event that comes again changes
// nothing: a step only goes forward.

import { bag, text } from "../api/read.ts";
import type { Step, StepState } from "../api/types.ts";

/** What became of a question to the visitor: their word, or that it was not theirs to give any more. */
export type Decision = "approved" | "declined" | "decided" | "unfinished";

const PROGRESS: Record<StepState, number> = {
  running: 0,
  asking: 1,
  approved: 2,
  decided: 2,
  unfinished: 2,
  declined: 3,
  done: 3,
  failed: 3,
};

export class Steps {
  #all: Step[] = [];
  /** By the question's id, or the step's: the stream tells a yes only when the call is made. */
  readonly #decisions = new Map<string, Decision>();

  get all(): readonly Step[] {
    return this.#all;
  }

  /** Forgets the steps, which come again, but not what was decided. */
  restart(): void {
    this.#all = [];
  }

  /** Takes what the stored answer knows of decisions, before its stream is replayed. */
  remember(stored: readonly Step[]): void {
    for (const step of stored) {
      const decision = decisionOf(step);
      if (!decision) continue;
      for (const id of [step.id, step.approvalId]) if (id) this.#decisions.set(id, decision);
    }
  }

  /** The step that the event changed, or null. A new one stands at the end of the text so far. */
  apply(part: Record<string, unknown>, textSoFar: string): Step | null {
    const id = text(part["toolCallId"]);
    const known = this.#all.find((step) => step.id === id);
    const step = known ?? this.#begin(id, text(part["toolName"]), textSoFar);
    if (!step) return null;
    const changed = change(step, part);
    if (changed && step.state === "asking") {
      step.state = this.#decisions.get(step.approvalId) ?? this.#decisions.get(id) ?? "asking";
    }
    return changed || !known ? step : null;
  }

  /** Notes an answer to the question; the step that it changed, if any. */
  decide(approvalId: string, decision: Decision): Step | null {
    this.#decisions.set(approvalId, decision);
    const step = this.#all.find((known) => known.approvalId === approvalId);
    if (step?.state !== "asking") return null;
    step.state = decision;
    return step;
  }

  #begin(id: string, tool: string, textSoFar: string): Step | null {
    // What is heard of only by its end has no name to show.
    if (!id || !tool) return null;
    const step: Step = {
      id,
      tool,
      state: "running",
      writes: false,
      approvalId: "",
      host: "",
      input: null,
      output: undefined,
      error: "",
      at: Array.from(textSoFar).length,
    };
    this.#all.push(step);
    return step;
  }
}

/** Whether the event said anything new. */
function change(step: Step, part: Record<string, unknown>): boolean {
  switch (part["type"]) {
    case "tool-input-available":
      // It comes again when the visitor's yes is known and the call is made.
      if (bag(bag(part["providerMetadata"])["stoa"])["approved"] === true) return advance(step, "approved");
      if (step.input) return false;
      step.input = bag(part["input"]);
      return true;
    case "tool-approval-request":
      step.writes = true;
      step.approvalId ||= text(part["approvalId"]);
      step.host ||= text(bag(part["approvalDescriptor"])["host"]);
      return advance(step, "asking");
    case "tool-output-available":
      // A preliminary result is followed by the real one.
      if (part["preliminary"] === true || !advance(step, "done")) return false;
      step.output = part["output"];
      return true;
    case "tool-input-error":
    case "tool-output-error":
      if (!advance(step, "failed")) return false;
      step.error = text(part["errorText"]);
      return true;
    case "tool-output-denied":
      return advance(step, "declined");
    default:
      return false;
  }
}

function advance(step: Step, state: StepState): boolean {
  if (PROGRESS[state] <= PROGRESS[step.state]) return false;
  step.state = state;
  return true;
}

function decisionOf({ state, writes }: Step): Decision | null {
  if (state === "declined" || state === "approved" || state === "unfinished") return state;
  return writes && state !== "asking" ? "approved" : null;
}
