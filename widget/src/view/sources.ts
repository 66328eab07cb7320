// The passages that an answer stands on: chips in the text, a list to open under it.

import type { Source } from "../api/types.ts";
import type { Words } from "../i18n/index.ts";
import { safePage, setLink } from "../markdown/links.ts";
import { el, icon } from "./dom.ts";

let made = 0;

export class SourcesView {
  /** Empty, and hidden, until there is a source. */
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #prefix: string;
  readonly #count: HTMLElement;
  readonly #list: HTMLElement;
  readonly #sources = new Map<string, { source: Source; item: HTMLElement }>();

  constructor(words: Words) {
    made += 1;
    this.#words = words;
    this.#prefix = `stoa-source-${made}-`;
    this.#count = el("span");
    this.#list = el("ol", { class: "stoa-source-list" });
    this.element = el(
      "details",
      { class: "stoa-sources", hidden: true },
      el("summary", {}, icon("chevron"), this.#count),
      this.#list,
    );
  }

  add(source: Source): void {
    if (this.#sources.has(source.id)) return;
    const item = this.#item(source);
    this.#sources.set(source.id, { source, item });
    this.#list.append(item);
    const count = this.#sources.size;
    this.#count.textContent = this.#words.say(count === 1 ? "sourcesOne" : "sourcesOther", { count });
    this.element.hidden = false;
  }

  /** The chip for the mark `[id]`; null if the answer has no such source. */
  chip(id: string): HTMLElement | null {
    const known = this.#sources.get(id);
    if (!known) return null;
    const label = this.#words.say("source", { id, title: this.#title(known.source) });
    const chip = el("button", { type: "button", class: "stoa-chip", "aria-label": label, title: known.source.title }, id);
    chip.addEventListener("click", () => this.#show(known.item));
    return chip;
  }

  #show(item: HTMLElement): void {
    this.element.setAttribute("open", "");
    for (const marked of this.#list.querySelectorAll(".stoa-shown")) marked.classList.remove("stoa-shown");
    item.classList.add("stoa-shown");
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: "nearest" });
  }

  #title(source: Source): string {
    return source.title || this.#words.say("untitled");
  }

  #item(source: Source): HTMLElement {
    const title = el("span", { class: "stoa-source-title", dir: "auto" }, this.#title(source));
    const head = el("div", { class: "stoa-source-head" }, el("span", { class: "stoa-number" }, source.id), title);
    const page = safePage(source.url);
    if (page) head.append(this.#link(page, source));
    const item = el("li", { id: this.#prefix + source.id, tabindex: "-1", class: "stoa-source" }, head);
    if (source.text) item.append(el("blockquote", { dir: "auto" }, source.text));
    return item;
  }

  #link(page: string, source: Source): HTMLElement {
    const name = `${this.#words.say("openSource")}: ${this.#title(source)} (${this.#words.say("newTab")})`;
    const anchor = el("a", { class: "stoa-source-link", "aria-label": name }, this.#words.say("openSource"), icon("outside"));
    setLink(anchor, page);
    return anchor;
  }
}
