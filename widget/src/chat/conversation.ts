// The conversation of one visitor: its session, its history, and the one turn that
// may be under way. Knows nothing of the DOM; tells a listener what happens.

import type { ChatApi } from "../api/client.ts";
import { Problem } from "../api/problem.ts";
import type { Rating, Session, Step, StoredMessage } from "../api/types.ts";
import { pause } from "./pause.ts";
import type { SessionStore } from "./session-store.ts";
import type { Decision } from "./steps.ts";
import { type Trouble, troubleOf, troubleOfEvent } from "./trouble.ts";
import { ATTEMPTS, newTurn, runTurn, type Turn, type TurnChange } from "./turn.ts";
import { uuid } from "./uuid.ts";

export interface Listener {
  /** What was said before; comes at most once, first. */
  history(messages: StoredMessage[]): void;
  turnStarted(turn: Turn): void;
  turnChanged(turn: Turn, change: TurnChange): void;
  /** The answer is complete, or as complete as it will get. */
  turnEnded(turn: Turn): void;
  turnFailed(turn: Turn, trouble: Trouble): void;
  /** The old session was gone; what follows belongs to a new one. */
  sessionReplaced(): void;
}

export interface ConversationOptions {
  instanceId: string;
  locale: string;
  pageUrl: string;
}

/** After `stop`, the server has this long to end the stream before we hang up. */
const STOP_GRACE = 3_000;

export class Conversation {
  readonly #api: ChatApi;
  readonly #store: SessionStore;
  readonly #options: ConversationOptions;
  readonly #listener: Listener;
  #running: { turn: Turn; abort: AbortController; stopped: boolean } | null = null;

  constructor(api: ChatApi, store: SessionStore, options: ConversationOptions, listener: Listener) {
    this.#api = api;
    this.#store = store;
    this.#options = options;
    this.#listener = listener;
  }

  get answering(): boolean {
    return this.#running !== null;
  }

  /** Shows what was said before, and goes on with an answer that is still being written. */
  async open(): Promise<void> {
    const session = this.#store.load();
    if (!session) return;
    let messages: StoredMessage[];
    try {
      messages = await this.#api.messages(session);
    } catch (error) {
      if (error instanceof Problem && troubleOf(error).kind === "expired") {
        this.#store.forget();
        return;
      }
      throw error;
    }
    if (this.#running) return;
    const last = messages[messages.length - 1];
    const unfinished = last?.role === "assistant" && last.state === "streaming" ? last : null;
    this.#listener.history(unfinished ? messages.slice(0, -1) : messages);
    if (unfinished) void this.#rejoin(unfinished);
  }

  /** Asks, unless an answer is under way. */
  async ask(question: string): Promise<void> {
    if (this.#running) return;
    const turn = newTurn(uuid(), question);
    this.#listener.turnStarted(turn);
    await this.#run(turn, true);
  }

  /**
   * Sends a failed turn again. A question that may have reached the server keeps its
   * key, so that it is never answered twice; one that the server has answered with a
   * failure needs a new key, or the failure would come back. An answer that broke off is
   * made again in its place.
   */
  async retry(turn: Turn, trouble: Trouble): Promise<void> {
    if (this.#running) return;
    const sameKey = trouble.kind === "unreachable" || trouble.kind === "rate_limited";
    const again = sameKey ? turn : newTurn(uuid(), turn.question, turn.answer.messageId);
    this.#listener.turnStarted(again);
    await this.#run(again, true);
  }

  /** Stops the answer that is being written. What has arrived stays. */
  async stop(): Promise<void> {
    const running = this.#running;
    const session = this.#store.load();
    if (!running || running.stopped) return;
    running.stopped = true;
    const hangUp = setTimeout(() => running.abort.abort(), STOP_GRACE);
    running.abort.signal.addEventListener("abort", () => clearTimeout(hangUp));
    if (!session || !running.turn.answer.messageId) running.abort.abort();
    if (!session) return;
    try {
      await this.#api.stop(session);
    } catch {
      running.abort.abort();
    }
  }

  /** Leaves this conversation; the next question begins another. */
  startNew(): void {
    this.#running?.abort.abort();
    this.#running = null;
    this.#store.forget();
  }

  async rate(messageId: string, rating: Rating, comment: string): Promise<void> {
    const session = this.#store.load();
    if (session) await this.#api.feedback(session, messageId, rating, comment);
  }

  /**
   * Sends the visitor's yes or no to what a tool would do. Whoever answered first has decided,
   * here or in another window. Throws where the server could not be asked.
   */
  async decide(turn: Turn, step: Step, approved: boolean): Promise<void> {
    const session = this.#store.load();
    if (!session) return;
    let decision: Decision = approved ? "approved" : "declined";
    try {
      await this.#api.decide(session, turn.answer.messageId, step.approvalId, approved);
    } catch (error) {
      const status = error instanceof Problem ? error.status : 0;
      if (status !== 409 && status !== 404) throw error;
      decision = status === 409 ? "decided" : "unfinished";
    }
    const changed = turn.answer.steps.decide(step.approvalId, decision);
    if (changed && this.#running?.turn === turn) this.#listener.turnChanged(turn, { kind: "step", step: changed });
  }

  /** Lets go of the connection. The server keeps the answer. */
  close(): void {
    this.#running?.abort.abort();
    this.#running = null;
  }

  async #rejoin(message: StoredMessage): Promise<void> {
    const turn = newTurn(uuid(), "");
    turn.answer.messageId = message.id;
    turn.answer.sources = message.sources;
    turn.answer.steps.remember(message.steps);
    this.#listener.turnStarted(turn);
    await this.#run(turn, false);
  }

  async #run(turn: Turn, mayReplaceSession: boolean): Promise<void> {
    const running = { turn, abort: new AbortController(), stopped: false };
    this.#running = running;
    let failure: Trouble | null = null;
    const emit = (change: TurnChange): void => {
      if (this.#running !== running) return;
      if (change.kind === "failed") failure = troubleOfEvent(change.code, change.retryable);
      this.#listener.turnChanged(turn, change);
    };
    try {
      await this.#runInSession(turn, running.abort.signal, mayReplaceSession, emit);
    } catch (error) {
      failure = troubleOf(error);
    }
    // A conversation that was left has nobody to tell.
    if (this.#running !== running) return;
    this.#running = null;
    if (running.stopped) turn.answer.finishReason ||= "cancelled";
    if (failure && !running.stopped) this.#listener.turnFailed(turn, failure);
    else this.#listener.turnEnded(turn);
  }

  async #runInSession(
    turn: Turn,
    signal: AbortSignal,
    mayReplaceSession: boolean,
    emit: (change: TurnChange) => void,
  ): Promise<void> {
    const session = this.#store.load() ?? (await this.#createSession(signal, emit));
    try {
      await runTurn(this.#api, session, turn, signal, emit);
    } catch (error) {
      const gone = error instanceof Problem && troubleOf(error).kind === "expired";
      if (!gone || !mayReplaceSession || turn.answer.messageId) throw error;
      this.#store.forget();
      const next = await this.#createSession(signal, emit);
      this.#listener.sessionReplaced();
      turn.replaces = "";
      await runTurn(this.#api, next, turn, signal, emit);
    }
  }

  /** Waits for the network as a turn does: the first message may be written offline, too. */
  async #createSession(signal: AbortSignal, emit: (change: TurnChange) => void): Promise<Session> {
    const { instanceId, locale, pageUrl } = this.#options;
    for (let failures = 0; ; ) {
      try {
        const session = await this.#api.createSession(instanceId, locale, pageUrl);
        this.#store.save(session);
        if (failures > 0) emit({ kind: "connected" });
        return session;
      } catch (error) {
        failures += 1;
        if (error instanceof Problem || signal.aborted || failures > ATTEMPTS) throw error;
      }
      emit({ kind: "reconnecting" });
      await pause(failures, signal);
    }
  }
}
