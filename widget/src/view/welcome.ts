// What an empty conversation shows: the greeting and questions to begin with.

import type { Configuration } from "../api/types.ts";
import type { Words } from "../i18n/index.ts";
import { el } from "./dom.ts";

export function welcomeView(configuration: Configuration, words: Words, ask: (question: string) => void): HTMLElement {
  const { greeting, starters } = configuration.display;
  const view = el(
    "div",
    { class: "stoa-welcome" },
    el("p", { class: "stoa-greeting" }, el("bdi", {}, greeting || words.say("greeting"))),
  );
  if (starters.length > 0) {
    const list = el("ul", { class: "stoa-starters", "aria-label": words.say("starters") });
    for (const question of starters) {
      const button = el("button", { type: "button" }, el("bdi", {}, question));
      button.addEventListener("click", () => ask(question));
      list.append(el("li", {}, button));
    }
    view.append(list);
  }
  return view;
}
