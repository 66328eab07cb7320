// One answer in the thread: its text as it streams, its sources, what came of it.

import type { Rating, Source } from "../api/types.ts";
import type { Trouble } from "../chat/trouble.ts";
import type { Words } from "../i18n/index.ts";
import { markdownStream, type MarkdownStream } from "../markdown/renderer.ts";
import { el } from "./dom.ts";
import { actionsView } from "./feedback.ts";
import { SourcesView } from "./sources.ts";

export interface AnswerOptions {
  words: Words;
  author: string;
  byAgent: boolean;
  showSources: boolean;
  rate?: ((rating: Rating, comment: string) => Promise<void>) | undefined;
  announce(sentence: string): void;
}

export class AnswerView {
  readonly element: HTMLElement;
  readonly #options: AnswerOptions;
  readonly #body: HTMLElement;
  readonly #waiting: HTMLElement;
  #sources: SourcesView;
  #stream: MarkdownStream;
  #text = "";

  constructor(options: AnswerOptions) {
    const { words } = options;
    const name = options.byAgent ? words.say("agentAnswered") : words.say("answerBy", { name: options.author });
    this.#options = options;
    this.#body = el("div", { class: "stoa-answer" });
    this.#waiting = el("p", { class: "stoa-waiting" }, words.say("searching"));
    this.#sources = new SourcesView(words);
    this.#stream = this.#newStream();
    this.element = el(
      "article",
      { class: "stoa-entry stoa-from-bot", "aria-label": name },
      el("p", { class: "stoa-author", "aria-hidden": "true" }, options.byAgent ? words.say("agent") : options.author),
      this.#waiting,
      this.#body,
      this.#sources.element,
    );
  }

  get text(): string {
    return this.#text;
  }

  /** What is read aloud: the text without marks and chips. */
  get spoken(): string {
    const copy = this.#body.cloneNode(true) as HTMLElement;
    for (const chip of copy.querySelectorAll(".stoa-chip")) chip.remove();
    return copy.textContent ?? "";
  }

  addSource(source: Source): void {
    if (this.#options.showSources) this.#sources.add(source);
  }

  write(delta: string): void {
    this.#waiting.remove();
    this.#text += delta;
    this.#stream.write(delta);
  }

  /** Takes the text back; it comes again. */
  restart(): void {
    this.#text = "";
    this.#body.replaceChildren();
    this.#stream = this.#newStream();
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
    this.#stream.end();
    this.#body.normalize();
  }

  #newStream(): MarkdownStream {
    return markdownStream(this.#body, { headingLevel: 2, citation: (id) => this.#sources.chip(id) });
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
