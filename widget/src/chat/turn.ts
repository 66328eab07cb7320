// One question and its answer, carried through broken connections.

import { Problem, Unreachable } from "../api/problem.ts";
import type { ChatApi } from "../api/client.ts";
import { events } from "../api/sse.ts";
import type { Session } from "../api/types.ts";
import { Answer, type AnswerChange, GapInAnswer } from "./answer.ts";
import { pause } from "./pause.ts";

/** Attempts in a row without a single event before the visitor is asked. */
export const ATTEMPTS = 7;
/** The server sends a comment every 10 s; this is two of them and some air. */
const SILENCE_LIMIT = 25_000;

export type TurnChange =
  | AnswerChange
  /** The text so far is void; it comes again from its start. */
  | { kind: "restarted" }
  | { kind: "reconnecting" }
  | { kind: "connected" };

export interface Turn {
  /** Also the `client_message_id`: the same turn may be sent again. */
  key: string;
  question: string;
  answer: Answer;
  /** The id of an answer that broke off, of which this turn makes another version; else empty. */
  replaces: string;
}

export function newTurn(key: string, question: string, replaces = ""): Turn {
  return { key, question, answer: new Answer(), replaces };
}

/**
 * Streams the answer until it has ended. Before the answer has an id, a broken
 * connection means asking again with the same key; afterwards, resuming.
 * Throws a `Problem`, or `Unreachable` when all attempts are used up.
 */
export async function runTurn(
  api: ChatApi,
  session: Session,
  turn: Turn,
  signal: AbortSignal,
  emit: (change: TurnChange) => void,
): Promise<void> {
  const { answer } = turn;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const response = await send(api, session, turn, signal);
      if (failures > 0) emit({ kind: "connected" });
      await follow(response, answer, signal, (change) => {
        failures = 0;
        emit(change);
      });
      if (answer.ended || answer.finishReason) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof GapInAnswer) {
        answer.restart();
        emit({ kind: "restarted" });
      } else if (error instanceof Problem && error.status === 409 && turn.replaces && turn.question) {
        // It is no longer the last answer: the question is asked anew.
        turn.replaces = "";
        continue;
      } else if (error instanceof Problem && !isPassing(error, answer)) {
        throw error;
      }
    }
    failures += 1;
    if (failures > ATTEMPTS) throw new Unreachable("all attempts failed");
    emit({ kind: "reconnecting" });
    await pause(failures, signal);
  }
}

function send(api: ChatApi, session: Session, turn: Turn, signal: AbortSignal): Promise<Response> {
  const { messageId, lastEventId } = turn.answer;
  if (messageId) return api.resume(session, messageId, lastEventId, signal);
  if (turn.replaces) return api.regenerate(session, turn.replaces, signal);
  return api.ask(session, turn.question, turn.key, signal);
}

async function follow(
  response: Response,
  answer: Answer,
  signal: AbortSignal,
  emit: (change: AnswerChange) => void,
): Promise<void> {
  if (!response.body) return;
  for await (const event of events(response.body, SILENCE_LIMIT)) {
    if (signal.aborted) return;
    emit(answer.apply(event));
    if (answer.ended) return;
  }
}

/** A proxy without its server, or a server about to restart while an answer is under way. */
function isPassing(problem: Problem, answer: Answer): boolean {
  const gateway = problem.status === 502 || problem.status === 503 || problem.status === 504;
  return gateway && (answer.messageId !== "" || problem.code === "");
}
