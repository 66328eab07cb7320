// What a tool was asked with and what came of it: data of others, shown as text, never
// longer than a reader bears, with nothing in it that could turn the text around.

import type { Words } from "../i18n/index.ts";
import { el } from "./dom.ts";

/** Of one value, in UTF-16 units. */
const VALUE_LIMIT = 1_000;
const RESULT_LIMIT = 4_000;
/** Values that are listed one by one; what is over shares the last row. */
const ROWS = 20;
/** A list longer than this scrolls by itself, and has to be reachable by keyboard then. */
const SCROLLS_FROM = 600;
/** Control characters, and those that change the direction of what follows. */
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** A call's arguments as a list of names and values; null where there are none. */
export function argumentsView(words: Words, input: Record<string, unknown>): HTMLElement | null {
  const entries = Object.entries(input);
  if (entries.length === 0) return null;
  const rows: [string, unknown][] = entries.slice(0, ROWS);
  if (entries.length > ROWS) rows.push(["…", Object.fromEntries(entries.slice(ROWS))]);
  let length = 0;
  const list = el("dl", { class: "stoa-values" });
  for (const [name, value] of rows) {
    const [shownName, shownValue] = [shown(words, name, VALUE_LIMIT), shown(words, value, VALUE_LIMIT)];
    length += shownName.length + shownValue.length;
    list.append(el("div", {}, el("dt", { dir: "auto" }, shownName), el("dd", { dir: "auto" }, shownValue)));
  }
  if (length > SCROLLS_FROM) list.tabIndex = 0;
  return list;
}

export function resultView(words: Words, output: unknown): HTMLElement {
  return el("pre", { dir: "auto", tabindex: "0" }, shown(words, output, RESULT_LIMIT));
}

/** The value as text: a string as it is, anything else as JSON. */
export function shown(words: Words, value: unknown, limit: number): string {
  const text = written(value).replace(HIDDEN, escaped);
  if (text.length <= limit) return text;
  // Not through the middle of a letter.
  const cut = text.slice(0, limit).replace(/[\ud800-\udbff]$/, "");
  return `${cut}… (${words.say("notShown", { count: text.length - cut.length })})`;
}

function written(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value, null, 2) ?? "";
  } catch {
    // Nested deeper than anybody could read.
    return "…";
  }
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
