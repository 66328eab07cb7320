// The chat on the screen: puts the parts together and turns what the conversation
// reports into what is shown and said.

import type { Configuration, Step, StoredMessage } from "../api/types.ts";
import type { Conversation, Listener } from "../chat/conversation.ts";
import { inOrder } from "../chat/in-order.ts";
import type { Trouble } from "../chat/trouble.ts";
import { newTurn, type Turn, type TurnChange } from "../chat/turn.ts";
import { uuid } from "../chat/uuid.ts";
import type { Words } from "../i18n/index.ts";
import { AnswerView } from "./answer.ts";
import { Composer } from "./composer.ts";
import { el } from "./dom.ts";
import { headerView } from "./header.ts";
import { Thread } from "./thread.ts";
import { welcomeView } from "./welcome.ts";

export class App implements Listener {
  readonly #root: HTMLElement;
  readonly #configuration: Configuration;
  readonly #words: Words;
  readonly #thread: Thread;
  readonly #composer: Composer;
  readonly #welcome: HTMLElement;
  readonly #notice = el("p", { class: "stoa-notice", hidden: true });
  readonly #status = el("div", { class: "stoa-hidden", role: "status" });
  readonly #conversation: Conversation;
  #current: AnswerView | null = null;
  #retried: Turn | null = null;
  /** Questions that were asked aloud: a stream that comes again asks them again. */
  readonly #asked = new Set<string>();

  constructor(
    root: HTMLElement,
    configuration: Configuration,
    words: Words,
    platformName: string,
    converse: (listener: Listener) => Conversation,
  ) {
    this.#root = root;
    this.#configuration = configuration;
    this.#words = words;
    this.#conversation = converse(this);
    this.#thread = new Thread(words);
    this.#composer = new Composer({
      words,
      placeholder: configuration.display.placeholder,
      send: (text) => this.ask(text),
      stop: () => void this.#conversation.stop(),
    });
    this.#welcome = welcomeView(configuration, words, (question) => this.ask(question));
    this.#thread.add(this.#welcome);
    root.replaceChildren(
      headerView(configuration, words, () => this.startNew()),
      this.#thread.element,
      el("footer", { class: "stoa-footer" }, this.#notice, this.#composer.element, this.#small(platformName)),
      this.#status,
    );
    this.#listen();
  }

  async open(): Promise<void> {
    if (this.#configuration.instance.status !== "active") {
      this.#composer.disable();
      this.#show(this.#words.say("suspended"));
      return;
    }
    if (!this.#configuration.available) {
      this.#composer.disable();
      this.#show(this.#words.say("away", { name: this.#configuration.display.botName }));
      return;
    }
    await this.#begin();
  }

  /** The chat can be used after all. */
  async comeBack(): Promise<void> {
    this.#composer.enable();
    this.#show(null);
    await this.#begin();
  }

  async #begin(): Promise<void> {
    try {
      await this.#conversation.open();
    } catch {
      // The history will be there the next time; asking may well work now.
      this.#show(this.#words.say("unreachable"));
    }
  }

  ask(question: string): void {
    if (this.#conversation.answering) return;
    this.#thread.toEnd();
    this.#composer.focus();
    void this.#conversation.ask(question);
  }

  startNew(): void {
    this.#conversation.startNew();
    this.#current = null;
    this.#composer.answering = false;
    this.#thread.clear();
    this.#welcome.hidden = false;
    this.#thread.add(this.#welcome);
    this.#say(this.#words.say("newConversation"));
    this.#composer.focus();
  }

  focus(): void {
    this.#composer.focus();
  }

  history(messages: StoredMessage[]): void {
    if (messages.length > 0) this.#welcome.hidden = true;
    let question = "";
    for (const message of messages) {
      if (message.role === "user") {
        question = message.content;
        this.#thread.addQuestion(this.#words, question);
        continue;
      }
      const view = this.#newAnswer(() => message.id, message.role === "agent");
      for (const source of message.sources) view.addSource(source);
      show(view, inOrder(message.content, message.steps));
      const brokeOff = message.finishReason === "interrupted" || message.finishReason === "error";
      if (brokeOff && message === messages[messages.length - 1]) this.#offerAgain(view, question, message.id);
      else view.end(message.finishReason, message.feedback);
      this.#thread.add(view.element);
    }
    this.#thread.toEnd();
  }

  turnStarted(turn: Turn): void {
    this.#welcome.hidden = true;
    if (turn.question && !this.#retried) this.#thread.addQuestion(this.#words, turn.question);
    this.#retried = null;
    this.#current = this.#newAnswer(() => turn.answer.messageId, false, turn);
    for (const source of turn.answer.sources) this.#current.addSource(source);
    // A turn that is tried again goes on where it was.
    show(this.#current, inOrder(turn.answer.text, turn.answer.steps.all));
    const offline = navigator.onLine === false;
    if (offline) this.#current.wait(this.#words.say("offline"));
    this.#thread.add(this.#current.element);
    this.#composer.answering = true;
    this.#show(null);
    this.#say(this.#words.say(offline ? "offline" : "answering"));
  }

  turnChanged(_turn: Turn, change: TurnChange): void {
    const view = this.#current;
    if (!view) return;
    switch (change.kind) {
      case "source":
        view.addSource(change.source);
        break;
      case "text":
        view.write(change.delta);
        break;
      case "step":
        view.step(change.step);
        if (change.step.state === "asking") this.#ask(view, change.step);
        break;
      case "restarted":
        view.restart();
        break;
      case "reconnecting":
        if (navigator.onLine === false) view.wait(this.#words.say("offline"));
        if (navigator.onLine === false && view.waits) this.#show(null);
        else this.#show(this.#words.say(navigator.onLine === false ? "offline" : "reconnecting"));
        break;
      case "connected":
        this.#show(null);
        view.wait(this.#words.say("searching"));
        break;
      default:
        return;
    }
    this.#thread.grown();
  }

  turnEnded(turn: Turn): void {
    const view = this.#finish();
    if (!view) return;
    view.end(turn.answer.finishReason || null, null);
    this.#say(`${this.#words.say("answerBy", { name: this.#configuration.display.botName })}: ${view.spoken}`);
    this.#thread.grown();
  }

  turnFailed(turn: Turn, trouble: Trouble): void {
    const view = this.#finish();
    if (!view) return;
    if (trouble.wait > 0) this.#composer.block(trouble.wait);
    if (trouble.kind === "refused" || trouble.kind === "too_long") this.#composer.giveBack(turn.question);
    if (trouble.kind === "suspended") this.#composer.disable();
    view.fail(trouble, () => this.#retry(turn, trouble, view));
    this.#say(this.#words.say(trouble.kind));
    this.#thread.grown();
  }

  sessionReplaced(): void {
    this.#show(this.#words.say("newSession"));
    this.#say(this.#words.say("newSession"));
  }

  close(): void {
    this.#conversation.close();
  }

  /** What broke off before the page was loaded can be asked for again as well. */
  #offerAgain(view: AnswerView, question: string, messageId: string): void {
    const turn = newTurn(uuid(), question);
    turn.answer.messageId = messageId;
    const trouble: Trouble = { kind: "interrupted", retryable: true, wait: 0, reference: "" };
    view.fail(trouble, () => this.#retry(turn, trouble, view));
  }

  #retry(turn: Turn, trouble: Trouble, failed: AnswerView): void {
    // An answer that was rejoined after a reload has no question to send again, and may have no id.
    if (!turn.question && !turn.answer.messageId) {
      location.reload();
      return;
    }
    failed.element.remove();
    this.#retried = turn;
    this.#composer.focus();
    void this.#conversation.retry(turn, trouble);
  }

  #finish(): AnswerView | null {
    const view = this.#current;
    this.#current = null;
    this.#composer.answering = false;
    if (navigator.onLine !== false) this.#show(null);
    return view;
  }

  /** Says once that the visitor's yes is waited for, and leads there whoever is not writing. */
  #ask(view: AnswerView, step: Step): void {
    if (this.#asked.has(step.approvalId)) return;
    this.#asked.add(step.approvalId);
    this.#say(this.#words.say("asking", { tool: step.tool }));
    if (this.#composer.isIdle) view.focusStep(step.id);
  }

  #newAnswer(messageId: () => string, byAgent: boolean, turn?: Turn): AnswerView {
    const { display, features } = this.#configuration;
    return new AnswerView({
      words: this.#words,
      author: display.botName,
      byAgent,
      showSources: display.showSources,
      rate:
        features.feedback && !byAgent
          ? (rating, comment) => this.#conversation.rate(messageId(), rating, comment)
          : undefined,
      decide: turn ? (step, approved) => this.#conversation.decide(turn, step, approved) : undefined,
      announce: (sentence) => this.#say(sentence),
      release: () => this.#composer.focus(),
    });
  }

  #small(platformName: string): HTMLElement {
    const { display, features } = this.#configuration;
    const disclaimer = display.disclaimer || this.#words.say("disclaimer");
    const line = el("p", { class: "stoa-small" }, el("bdi", {}, disclaimer));
    if (features.showPoweredBy && platformName) {
      line.append(" ", el("span", { class: "stoa-powered" }, this.#words.say("poweredBy", { name: platformName })));
    }
    return line;
  }

  #listen(): void {
    this.#root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing || !this.#conversation.answering) return;
      event.preventDefault();
      void this.#conversation.stop();
    });
  }

  /** A sentence above the composer; null takes it away. */
  #show(sentence: string | null): void {
    this.#notice.textContent = sentence;
    this.#notice.hidden = sentence === null;
    if (sentence !== null) this.#say(sentence);
  }

  /** Said by a screen reader, seen by nobody. */
  #say(sentence: string): void {
    this.#status.textContent = sentence;
  }
}

function show(view: AnswerView, pieces: readonly (string | Step)[]): void {
  for (const piece of pieces) {
    if (typeof piece === "string") view.write(piece);
    else view.step(piece);
  }
}
