// Under a finished answer: copy it, say that it helped, say that it did not and why.

import type { Rating } from "../api/types.ts";
import type { Words } from "../i18n/index.ts";
import { el, icon, iconButton } from "./dom.ts";

export interface AnswerActions {
  words: Words;
  /** What copying gives: the answer as it was written. */
  text(): string;
  /** Absent where the instance asks for no feedback. */
  rate?: ((rating: Rating, comment: string) => Promise<void>) | undefined;
  announce(sentence: string): void;
}

const COPIED_FOR = 2_000;

export function actionsView(actions: AnswerActions, rated: Rating | null): HTMLElement {
  const row = el("div", { class: "stoa-actions" });
  if (navigator.clipboard) row.append(copyButton(actions));
  const view = el("div", { class: "stoa-after" }, row);
  if (actions.rate) addRating(view, row, actions, actions.rate, rated);
  return view;
}

function copyButton({ words, text, announce }: AnswerActions): HTMLElement {
  const button = iconButton("copy", words.say("copy"));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      return;
    }
    button.replaceChildren(icon("check"));
    announce(words.say("copied"));
    setTimeout(() => button.replaceChildren(icon("copy")), COPIED_FOR);
  });
  return button;
}

function addRating(
  view: HTMLElement,
  row: HTMLElement,
  { words, announce }: AnswerActions,
  rate: (rating: Rating, comment: string) => Promise<void>,
  rated: Rating | null,
): void {
  const buttons = {
    up: iconButton("up", words.say("helpful")),
    down: iconButton("down", words.say("notHelpful")),
  };
  const press = (rating: Rating | null): void => {
    buttons.up.setAttribute("aria-pressed", String(rating === "up"));
    buttons.down.setAttribute("aria-pressed", String(rating === "down"));
  };
  const send = async (rating: Rating, comment: string): Promise<void> => {
    const before = rated;
    rated = rating;
    press(rating);
    failure.hidden = true;
    try {
      await rate(rating, comment);
      announce(words.say("rated"));
    } catch {
      rated = before;
      press(before);
      failure.hidden = false;
      announce(words.say("feedbackFailed"));
    }
  };
  const failure = el("p", { class: "stoa-note", hidden: true }, words.say("feedbackFailed"));
  const why = whyForm(words, (comment) => {
    why.hidden = true;
    buttons.down.focus();
    void send("down", comment);
  });
  buttons.up.addEventListener("click", () => {
    why.hidden = true;
    void send("up", "");
  });
  buttons.down.addEventListener("click", () => {
    void send("down", "");
    why.hidden = false;
    why.querySelector("textarea")?.focus();
  });
  press(rated);
  row.append(buttons.up, buttons.down);
  view.append(failure, why);
}

function whyForm(words: Words, done: (comment: string) => void): HTMLElement {
  const comment = el("textarea", { rows: 2, maxlength: 2000, dir: "auto" });
  const form = el(
    "form",
    { class: "stoa-why", hidden: true },
    el("label", {}, words.say("whyNot"), comment),
    el("button", { type: "submit", class: "stoa-button" }, words.say("sendFeedback")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    done(comment.value.trim());
  });
  return form;
}
