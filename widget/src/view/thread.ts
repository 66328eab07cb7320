// The scrolling list of what was said. Stays at its end while the visitor is there,
// and leaves them alone when they have scrolled up to read.

import type { Words } from "../i18n/index.ts";
import { el, icon } from "./dom.ts";

/** So close to the end counts as being there, in CSS pixels. */
const NEAR = 48;

export class Thread {
  readonly element: HTMLElement;
  readonly #log: HTMLElement;
  readonly #entries: HTMLElement;
  readonly #latest: HTMLButtonElement;
  #atEnd = true;
  #top = 0;
  #scheduled = false;

  constructor(words: Words) {
    this.#entries = el("div", { class: "stoa-entries" });
    // Off: a screen reader would read every token. `Status` speaks instead.
    this.#log = el(
      "div",
      { class: "stoa-log", role: "log", "aria-live": "off", "aria-label": words.say("conversation"), tabindex: "0" },
      this.#entries,
    );
    this.#latest = el("button", { type: "button", class: "stoa-latest", hidden: true }, icon("latest"), words.say("latest"));
    this.element = el("main", { class: "stoa-thread" }, this.#log, this.#latest);
    this.#log.addEventListener("scroll", () => this.#note(), { passive: true });
    this.#latest.addEventListener("click", () => {
      this.toEnd();
      this.#log.focus({ preventScroll: true });
    });
  }

  add(entry: HTMLElement): void {
    this.#entries.append(entry);
    this.grown();
  }

  addQuestion(words: Words, text: string): void {
    const bubble = el("div", { class: "stoa-bubble", dir: "auto" }, text);
    this.add(el("article", { class: "stoa-entry stoa-from-visitor", "aria-label": words.say("youSaid") }, bubble));
  }

  clear(): void {
    this.#entries.replaceChildren();
    this.toEnd();
  }

  toEnd(): void {
    this.#atEnd = true;
    this.grown();
  }

  /** To be called whenever something in the thread may have become taller. */
  grown(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      if (this.#atEnd) this.#log.scrollTop = this.#log.scrollHeight;
      this.#note();
    });
  }

  #note(): void {
    const top = this.#log.scrollTop;
    const left = this.#log.scrollHeight - this.#log.clientHeight - top;
    if (left <= NEAR) this.#atEnd = true;
    // What has only grown was left by nobody.
    else if (top < this.#top) this.#atEnd = false;
    this.#top = top;
    this.#latest.hidden = this.#atEnd;
  }
}
