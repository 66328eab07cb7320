// Picks a language and fills its sentences. To add one: a file beside `en.ts`, and
// its line in `LANGUAGES`; the compiler and a unit test say what is missing.

import { ar } from "./ar.ts";
import { de } from "./de.ts";
import { en, type Strings } from "./en.ts";

const LANGUAGES: Record<string, Strings> = { en, de, ar };
const RIGHT_TO_LEFT = new Set(["ar", "fa", "he", "ur"]);

export interface Words {
  /** BCP 47, as for a `lang` attribute. */
  language: string;
  direction: "ltr" | "rtl";
  say(key: keyof Strings, values?: Record<string, string | number>): string;
}

/** The first of `wanted` that there is, else English. `auto` and empty are passed over. */
export function wordsFor(wanted: readonly string[]): Words {
  const language =
    wanted.map((tag) => tag.toLowerCase().split(/[-_]/, 1)[0] ?? "").find((tag) => Object.hasOwn(LANGUAGES, tag)) ??
    "en";
  const strings = LANGUAGES[language] ?? en;
  return {
    language,
    direction: RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr",
    say: (key, values = {}) =>
      strings[key].replace(/\{(\w+)\}/g, (mark, name: string) => String(values[name] ?? mark)),
  };
}

/** For the test that all languages have the same marks. */
export const languages: Readonly<Record<string, Strings>> = LANGUAGES;
