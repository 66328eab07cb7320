// The question before a tool changes something: what would be done, with what, and where.
// Nothing but a press on "Do it" says yes.

import type { Step } from "../api/types.ts";
import type { Words } from "../i18n/index.ts";
import { el } from "./dom.ts";
import { argumentsView, shown } from "./values.ts";

/** The card appears under a pointer that may be about to press something else, in milliseconds. */
const NOT_BEFORE = 500;
const NAME_LIMIT = 100;

let made = 0;

export class AskView {
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #yes: HTMLButtonElement;
  readonly #no: HTMLButtonElement;
  readonly #failure: HTMLElement;
  readonly #decide: (approved: boolean) => Promise<void>;
  readonly #announce: (sentence: string) => void;

  constructor(
    words: Words,
    step: Step,
    decide: (approved: boolean) => Promise<void>,
    announce: (sentence: string) => void,
  ) {
    made += 1;
    const id = `stoa-ask-${made}`;
    this.#words = words;
    this.#decide = decide;
    this.#announce = announce;
    this.#yes = el("button", { type: "button", class: "stoa-button stoa-yes", disabled: true }, words.say("askYes"));
    this.#no = el("button", { type: "button", class: "stoa-button", disabled: true }, words.say("askNo"));
    this.#failure = el("p", { class: "stoa-note", hidden: true }, words.say("askUnsent"));
    const what = el("div", { id: `${id}-what` }, el("p", { class: "stoa-tool" }, el("bdi", {}, step.tool)));
    what.append(...[argumentsView(words, step.input ?? {}), place(words, step.host)].filter((part) => part !== null));
    this.element = el(
      "div",
      { class: "stoa-ask", role: "group", tabindex: "-1", "aria-labelledby": id, "aria-describedby": `${id}-what` },
      el("p", { class: "stoa-ask-title", id }, words.say("ask")),
      what,
      el("div", { class: "stoa-ask-buttons" }, this.#yes, this.#no),
      this.#failure,
    );
    this.#yes.addEventListener("click", () => void this.#press(this.#yes, true));
    this.#no.addEventListener("click", () => void this.#press(this.#no, false));
    setTimeout(() => this.#enable(true), NOT_BEFORE);
  }

  async #press(button: HTMLButtonElement, approved: boolean): Promise<void> {
    // A button that goes dead would drop the focus.
    this.element.focus({ preventScroll: true });
    this.#enable(false);
    this.#failure.hidden = true;
    try {
      await this.#decide(approved);
    } catch {
      this.#enable(true);
      this.#failure.hidden = false;
      this.#announce(this.#words.say("askUnsent"));
      if (this.element.isConnected) button.focus({ preventScroll: true });
    }
  }

  #enable(enabled: boolean): void {
    this.#yes.disabled = !enabled;
    this.#no.disabled = !enabled;
  }
}

function place(words: Words, host: string): HTMLElement | null {
  if (!host) return null;
  const [before, after] = words.say("askWhere").split("{host}");
  return el("p", { class: "stoa-where" }, before ?? "", el("bdi", {}, shown(words, host, NAME_LIMIT)), after ?? "");
}
