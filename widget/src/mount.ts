// The chat app's one door: `mount` fills an element with the chat of an instance. The
// hosted page and the widget's frame call it; they differ in `shell` only.

import { ChatApi } from "./api/client.ts";
import type { Configuration } from "./api/types.ts";
import { Conversation } from "./chat/conversation.ts";
import { pause } from "./chat/pause.ts";
import { SessionStore } from "./chat/session-store.ts";
import { wordsFor, type Words } from "./i18n/index.ts";
import { App } from "./view/app.ts";
import { accentFor } from "./view/colours.ts";
import { el } from "./view/dom.ts";

/** The most that the server keeps of a page's address, in characters. */
const PAGE_URL_LIMIT = 2_000;

export interface MountOptions {
  instanceId: string;
  /** The server's origin; empty for the page's own. */
  apiBase: string;
  shell: "page" | "frame";
  /** BCP 47; overrides what the configuration and the browser say. */
  locale?: string | undefined;
  /** Shown where the instance says "powered by". */
  platformName?: string | undefined;
}

export interface MountedChat {
  ask(question: string): void;
  startNew(): void;
  focus(): void;
  destroy(): void;
}

export async function mount(root: HTMLElement, options: MountOptions): Promise<MountedChat> {
  const gone = new AbortController();
  root.classList.add("stoa");
  root.dataset["shell"] = options.shell;
  const api = new ChatApi(options.apiBase);
  const configuration = await loadConfiguration(api, root, options, gone.signal);
  const words = wordsFor([options.locale ?? "", configuration.display.language, ...navigator.languages]);
  setLanguage(root, options, words);
  applyTheme(root, configuration);
  const app = new App(root, configuration, words, options.platformName ?? "", (listener) => {
    const where = { instanceId: options.instanceId, locale: words.language, pageUrl: location.href.slice(0, PAGE_URL_LIMIT) };
    return new Conversation(api, new SessionStore(options.instanceId), where, listener);
  });
  await app.open();
  if (!configuration.available) void waitUntilBack(api, app, options.instanceId, gone.signal);
  return {
    ask: (question) => app.ask(question),
    startNew: () => app.startNew(),
    focus: () => app.focus(),
    destroy: () => {
      gone.abort();
      app.close();
      root.replaceChildren();
    },
  };
}

/** Keeps trying: without its configuration the chat has no name, words or colours. */
async function loadConfiguration(
  api: ChatApi,
  root: HTMLElement,
  options: MountOptions,
  signal: AbortSignal,
): Promise<Configuration> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await api.configuration(options.instanceId);
    } catch (error) {
      if (signal.aborted) throw error;
      const words = wordsFor([options.locale ?? "", ...navigator.languages]);
      root.replaceChildren(el("p", { class: "stoa-notice", role: "status" }, words.say("unreachable")));
      await pause(failures, signal);
    }
  }
}

/** Asks now and then whether a chat that is offline is back, less and less often. */
async function waitUntilBack(api: ChatApi, app: App, instanceId: string, signal: AbortSignal): Promise<void> {
  for (let failures = 3; !signal.aborted; failures += 1) {
    await pause(failures, signal);
    // What cannot be asked is not back.
    const configuration = await api.configuration(instanceId).catch(() => null);
    if (signal.aborted || !configuration?.available) continue;
    await app.comeBack();
    return;
  }
}

function setLanguage(root: HTMLElement, { shell }: MountOptions, words: Words): void {
  // The page's own language is the chat's where there is nothing else on the page.
  for (const element of shell === "page" ? [document.documentElement, root] : [root]) {
    element.lang = words.language;
    element.dir = words.direction;
  }
}

/** Through the object model, which a content security policy without inline styles allows. */
function applyTheme(root: HTMLElement, { theme }: Configuration): void {
  if (theme.colorScheme !== "auto") document.documentElement.dataset["scheme"] = theme.colorScheme;
  const light = accentFor("light", theme.accent);
  const dark = accentFor("dark", theme.accentDark || theme.accent);
  if (light && dark) {
    root.style.setProperty("--accent", `light-dark(${light.accent}, ${dark.accent})`);
    root.style.setProperty("--on-accent", `light-dark(${light.onAccent}, ${dark.onAccent})`);
  }
  root.style.setProperty("--radius", `${theme.radius}px`);
}
