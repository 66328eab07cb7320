// Where the visitor writes. Enter sends, Shift+Enter breaks the line, and a key that
// an input method uses to choose a character does neither.

import type { Words } from "../i18n/index.ts";
import { el, iconButton } from "./dom.ts";

export interface ComposerOptions {
  words: Words;
  placeholder: string;
  send(text: string): void;
  stop(): void;
}

export class Composer {
  readonly element: HTMLFormElement;
  readonly #options: ComposerOptions;
  readonly #input: HTMLTextAreaElement;
  readonly #send: HTMLButtonElement;
  readonly #stop: HTMLButtonElement;
  #answering = false;
  #blockedUntil = 0;

  constructor(options: ComposerOptions) {
    const { words } = options;
    this.#options = options;
    this.#input = el("textarea", {
      rows: 1,
      dir: "auto",
      enterkeyhint: "send",
      autocomplete: "off",
      "aria-label": words.say("composer"),
      "aria-describedby": "stoa-hint",
      placeholder: options.placeholder || words.say("placeholder"),
    });
    this.#send = iconButton("send", words.say("send"), "stoa-primary");
    this.#send.type = "submit";
    this.#stop = iconButton("stop", words.say("stop"), "stoa-primary stoa-stop");
    this.#stop.hidden = true;
    this.element = el(
      "form",
      { class: "stoa-composer" },
      this.#input,
      this.#send,
      this.#stop,
      el("span", { id: "stoa-hint", class: "stoa-hidden" }, words.say("hint")),
    );
    this.#listen();
  }

  focus(): void {
    this.#input.focus({ preventScroll: true });
  }

  /** Whether the focus is here and nothing is written. */
  get isIdle(): boolean {
    return document.activeElement === this.#input && this.#input.value === "";
  }

  set answering(answering: boolean) {
    const hadFocus = document.activeElement === this.#send || document.activeElement === this.#stop;
    this.#answering = answering;
    this.#send.hidden = answering;
    this.#stop.hidden = !answering;
    // A button that vanishes under the focus would throw it to the page's start.
    if (hadFocus) this.focus();
    this.#refresh();
  }

  /** Keeps back the next message for `seconds`. */
  block(seconds: number): void {
    this.#blockedUntil = Date.now() + seconds * 1_000;
    setTimeout(() => this.#refresh(), seconds * 1_000 + 50);
    this.#refresh();
  }

  /** Gives a refused text back to be changed, unless something new is written already. */
  giveBack(text: string): void {
    if (this.#input.value.trim() !== "") return;
    this.#input.value = text;
    this.#grow();
    this.#refresh();
  }

  disable(): void {
    this.#input.disabled = true;
    this.#refresh();
  }

  enable(): void {
    this.#input.disabled = false;
    this.#refresh();
  }

  #listen(): void {
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#input.addEventListener("keydown", (event) => {
      // 229 is what Safari reports for the Enter that ends a composition.
      const composing = event.isComposing || event.keyCode === 229;
      if (event.key !== "Enter" || event.shiftKey || composing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#input.addEventListener("input", () => {
      this.#grow();
      this.#refresh();
    });
    this.#stop.addEventListener("click", () => this.#options.stop());
    this.#refresh();
  }

  #submit(): void {
    const text = this.#input.value.trim();
    if (!text || this.#answering || this.#input.disabled || Date.now() < this.#blockedUntil) return;
    this.#input.value = "";
    this.#grow();
    this.#refresh();
    this.#options.send(text);
  }

  #refresh(): void {
    this.#send.disabled =
      this.#input.disabled || this.#input.value.trim() === "" || Date.now() < this.#blockedUntil;
  }

  #grow(): void {
    this.#input.style.setProperty("block-size", "auto");
    const height = this.#input.scrollHeight;
    if (height > 0) this.#input.style.setProperty("block-size", `${height}px`);
  }
}
