// Name, logo and the mark that says honestly: this is a machine.

import type { Configuration } from "../api/types.ts";
import type { Words } from "../i18n/index.ts";
import { el, iconButton } from "./dom.ts";

export function headerView(configuration: Configuration, words: Words, startNew: () => void): HTMLElement {
  const { display, theme } = configuration;
  const fresh = iconButton("fresh", words.say("newConversation"));
  fresh.addEventListener("click", startNew);
  const mark = el("abbr", { class: "stoa-mark", title: words.say("aiMarkTitle") }, words.say("aiMark"));
  const title = el("h1", { class: "stoa-name" }, el("bdi", {}, display.botName), " ", mark);
  const names = el("div", { class: "stoa-names" }, title);
  if (display.tagline) names.append(el("p", { class: "stoa-tagline" }, el("bdi", {}, display.tagline)));
  return el("header", { class: "stoa-header" }, logo(theme.logoUrl), names, fresh);
}

/** Only from our own origin: a page of ours asks nobody else for anything. */
function logo(address: string | null): HTMLElement | null {
  if (address === null) return null;
  try {
    const url = new URL(address, location.href);
    return url.origin === location.origin ? el("img", { class: "stoa-logo", src: url.href, alt: "" }) : null;
  } catch {
    return null;
  }
}
