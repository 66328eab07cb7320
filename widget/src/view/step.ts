// One call of a tool in an answer: a quiet line that opens to what was asked and what came
// of it, and the question before it where the visitor has to agree.

import type { Step } from "../api/types.ts";
import type { Strings } from "../i18n/en.ts";
import type { Words } from "../i18n/index.ts";
import { AskView } from "./ask.ts";
import { el, icon } from "./dom.ts";
import { argumentsView, resultView } from "./values.ts";

export interface StepOptions {
  words: Words;
  /** Absent where there is nobody to ask any more. */
  decide?: ((step: Step, approved: boolean) => Promise<void>) | undefined;
  announce(sentence: string): void;
  /** The card with the focus in it is gone. */
  release(): void;
}

export class StepView {
  readonly element = el("div", { class: "stoa-step" });
  readonly #options: StepOptions;
  readonly #line = el("span");
  readonly #content = el("div", { class: "stoa-step-content" });
  readonly #details: HTMLElement;
  #step: Step;
  #ask: AskView | null = null;
  #showsInput = false;
  #showsResult = false;

  constructor(options: StepOptions, step: Step) {
    this.#options = options;
    this.#step = step;
    this.#details = el("details", {}, el("summary", {}, icon("chevron"), this.#line), this.#content);
    this.element.append(this.#details);
    this.update(step);
  }

  /** Whether the call goes on, or waits for the visitor. */
  get open(): boolean {
    return ["running", "asking", "approved", "decided"].includes(this.#step.state);
  }

  get asking(): boolean {
    return this.#ask !== null;
  }

  focusCard(): void {
    this.#ask?.element.focus({ preventScroll: true });
  }

  update(step: Step): void {
    const said = this.#step.state;
    this.#step = { ...step };
    this.element.dataset["state"] = step.state;
    this.#line.replaceChildren(...this.#sentence());
    this.#fill();
    this.#askOrNot();
    const decided = said === "asking" && (step.state === "approved" || step.state === "declined" || step.state === "decided");
    if (decided) this.#options.announce(this.#line.textContent ?? "");
  }

  /** The answer is over, so nothing more will come of this. */
  settle(): void {
    // What nobody agreed to was not done; of what had begun, nobody can say.
    if (this.open) this.update({ ...this.#step, state: this.#step.state === "asking" ? "declined" : "unfinished" });
  }

  #sentence(): (Node | string)[] {
    const [before, after] = this.#options.words.say(this.#key()).split("{tool}");
    return [before ?? "", el("bdi", { class: "stoa-tool" }, this.#step.tool), after ?? ""];
  }

  #key(): keyof Strings {
    const { state, writes } = this.#step;
    switch (state) {
      case "running":
      case "approved":
        return writes ? "stepDoing" : "stepLooking";
      case "asking":
        return "asking";
      case "done":
        return writes ? "stepDone" : "stepLooked";
      case "failed":
        return "stepFailed";
      case "declined":
        return "stepDeclined";
      case "decided":
        return "stepDecided";
      case "unfinished":
        return "stepUnfinished";
    }
  }

  /** Adds what has become known; what a visitor may be reading stays as it is. */
  #fill(): void {
    const { words } = this.#options;
    const { input, output, error, state } = this.#step;
    if (input && !this.#showsInput) {
      this.#showsInput = true;
      const list = argumentsView(words, input);
      if (list) this.#content.append(el("p", {}, words.say("stepInput")), list);
    }
    const ended = state === "done" || state === "failed";
    if (!ended || this.#showsResult) return;
    this.#showsResult = true;
    const result = state === "failed" ? error : output;
    if (result === "" || result === undefined || result === null) return;
    this.#content.append(el("p", {}, words.say("stepResult")), resultView(words, result));
  }

  #askOrNot(): void {
    const { words, decide, announce, release } = this.#options;
    const step = this.#step;
    const asks = step.state === "asking" && decide !== undefined;
    this.#details.hidden = asks;
    if (asks && !this.#ask) {
      this.#ask = new AskView(words, step, (approved) => decide(step, approved), announce);
      this.element.append(this.#ask.element);
    }
    if (asks || !this.#ask) return;
    const hadFocus = this.#ask.element.contains(document.activeElement);
    this.#ask.element.remove();
    this.#ask = null;
    if (hadFocus) release();
  }
}
