// One answer in the thread: its text as it streams, its sources, what came of it.

import type { Rating, Source, Step } from "../api/types.ts";
import type { Trouble } from "../chat/trouble.ts";
import type { Words } from "../i18n/index.ts";
import { markdownStream, type MarkdownStream } from "../markdown/renderer.ts";
import { el } from "./dom.ts";
import { actionsView } from "./feedback.ts";
import { SourcesView } from "./sources.ts";
import { StepView } from "./step.ts";

export interface AnswerOptions {
  words: Words;
  author: string;
  byAgent: boolean;
  showSources: boolean;
  rate?: ((rating: Rating, comment: string) => Promise<void>) | undefined;
  /** Sends the visitor's yes or no to what a tool would do; absent where the answer is over. */
  decide?: ((step: Step, approved: boolean) => Promise<void>) | undefined;
  announce(sentence: string): void;
  /** Takes the focus back when what had it is gone. */
  release(): void;
}

export class AnswerView {
  readonly element: HTMLElement;
  readonly #options: AnswerOptions;
  /** The words and the steps between them, in their order. */
  readonly #parts = el("div", { class: "stoa-parts" });
  readonly #waiting: HTMLElement;
  readonly #steps = new Map<string, StepView>();
  #sources: SourcesView;
  #stream: MarkdownStream | null = null;
  #text = "";

  constructor(options: AnswerOptions) {
    const { words } = options;
    const name = options.byAgent ? words.say("agentAnswered") : words.say("answerBy", { name: options.author });
    this.#options = options;
    this.#waiting = el("p", { class: "stoa-waiting" }, words.say("searching"));
    this.#sources = new SourcesView(words);
    this.element = el(
      "article",
      { class: "stoa-entry stoa-from-bot", "aria-label": name },
      el("p", { class: "stoa-author", "aria-hidden": "true" }, options.byAgent ? words.say("agent") : options.author),
      this.#parts,
      this.#waiting,
      this.#sources.element,
    );
  }

  get text(): string {
    return this.#text;
  }

  /** What is read aloud: the text without marks, chips and steps. */
  get spoken(): string {
    const copy = this.#parts.cloneNode(true) as HTMLElement;
    for (const other of copy.querySelectorAll(".stoa-chip, .stoa-steps")) other.remove();
    return copy.textContent ?? "";
  }

  addSource(source: Source): void {
    if (this.#options.showSources) this.#sources.add(source);
  }

  write(delta: string): void {
    this.#waiting.remove();
    this.#text += delta;
    this.#stream ??= this.#newStream();
    this.#stream.write(delta);
  }

  /** Shows a step where the text is now, or what became of one that is shown. */
  step(step: Step): void {
    const known = this.#steps.get(step.id);
    if (known) known.update(step);
    else this.#addStep(step);
    // Between the steps and the words that follow, the model is thinking again.
    const busy = [...this.#steps.values()].some((view) => view.open);
    if (busy || this.#stream) this.#waiting.remove();
    else {
      this.wait(this.#options.words.say("answering"));
      this.#parts.after(this.#waiting);
    }
  }

  /** Moves the focus to the question that the step asks. */
  focusStep(id: string): void {
    this.#steps.get(id)?.focusCard();
  }

  /** Takes everything back; it comes again. */
  restart(): void {
    const hadFocus = this.#parts.contains(document.activeElement);
    this.#text = "";
    this.#parts.replaceChildren();
    this.#steps.clear();
    this.#stream = null;
    if (hadFocus) this.#options.release();
  }

  /** Whether nothing stands there yet but the sentence that says so. */
  get waits(): boolean {
    return this.#waiting.isConnected;
  }

  wait(sentence: string): void {
    this.#waiting.textContent = sentence;
  }

  end(finishReason: string | null, rated: Rating | null): void {
    this.#settle();
    const note = this.#noteFor(finishReason);
    if (note) this.element.append(el("p", { class: "stoa-note" }, note));
    if (!this.#text) return;
    const { words, rate, announce } = this.#options;
    this.element.append(actionsView({ words, rate, announce, text: () => this.#text }, rated));
  }

  /** Shows what went wrong and, where it may help, a button that tries again. */
  fail(trouble: Trouble, retry: () => void): void {
    this.#settle();
    const { words } = this.#options;
    // Having to wait is no failure, and nothing to report to anybody.
    const mild = trouble.kind === "rate_limited";
    const box = el("div", { class: mild ? "stoa-trouble stoa-mild" : "stoa-trouble" }, el("p", {}, words.say(trouble.kind)));
    if (trouble.reference && !mild) {
      box.append(el("p", { class: "stoa-reference" }, words.say("reference", { id: trouble.reference })));
    }
    if (trouble.retryable) box.append(retryButton(words, trouble.wait, retry));
    this.element.append(box);
  }

  #settle(): void {
    this.#waiting.remove();
    this.#endWords();
    for (const step of this.#steps.values()) step.settle();
  }

  #endWords(): void {
    this.#stream?.end();
    this.#stream = null;
    this.#parts.lastElementChild?.normalize();
  }

  #newStream(): MarkdownStream {
    const words = el("div", { class: "stoa-answer" });
    this.#parts.append(words);
    return markdownStream(words, { headingLevel: 2, citation: (id) => this.#sources.chip(id) });
  }

  #addStep(step: Step): void {
    this.#endWords();
    const { words, decide, announce } = this.#options;
    const view = new StepView({ words, decide, announce, release: () => this.#release() }, step);
    this.#steps.set(step.id, view);
    let group = this.#parts.lastElementChild;
    if (!group?.matches(".stoa-steps")) {
      group = el("div", { class: "stoa-steps" });
      this.#parts.append(group);
    }
    group.append(view.element);
  }

  /** On to the next question, if there is one. */
  #release(): void {
    const next = [...this.#steps.values()].find((step) => step.asking);
    if (next) next.focusCard();
    else this.#options.release();
  }

  #noteFor(finishReason: string | null): string | null {
    const { words } = this.#options;
    switch (finishReason) {
      case "cancelled":
        return words.say("stopped");
      case "length":
        return words.say("cutShort");
      case "content_filter":
        return words.say("filtered");
      case "interrupted":
      case "error":
        return words.say("brokenOff");
      default:
        return this.#text ? null : words.say("noAnswer");
    }
  }
}

/** Counts down first where the server asked for patience. */
function retryButton(words: Words, wait: number, retry: () => void): HTMLButtonElement {
  const button = el("button", { type: "button", class: "stoa-button" }, words.say("retry"));
  button.addEventListener("click", retry);
  if (wait > 0) countDown(button, words, wait);
  return button;
}

function countDown(button: HTMLButtonElement, words: Words, wait: number): void {
  const until = Date.now() + wait * 1_000;
  const show = (): void => {
    const seconds = Math.ceil((until - Date.now()) / 1_000);
    button.disabled = seconds > 0;
    button.textContent = seconds > 0 ? words.say("retryIn", { seconds }) : words.say("retry");
    if (seconds <= 0) clearInterval(timer);
  };
  const timer = setInterval(show, 250);
  show();
}
