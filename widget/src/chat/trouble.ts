// Sorts what went wrong into the few kinds that a visitor can be told about.

import { Problem } from "../api/problem.ts";

export type TroubleKind =
  | "rate_limited"
  | "suspended"
  | "expired"
  | "ai_down"
  | "unanswerable"
  | "database_down"
  | "refused"
  | "too_long"
  | "unreachable"
  | "interrupted";

export interface Trouble {
  kind: TroubleKind;
  /** Asking again may help. */
  retryable: boolean;
  /** Seconds to wait first; 0 if there is no need. */
  wait: number;
  /** What support can find the failure by; may be empty. */
  reference: string;
}

const DEFAULT_WAIT = 10;

export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof Problem)) return trouble("unreachable", true);
  const { status, code, requestId } = error;
  if (status === 429) {
    return { ...trouble("rate_limited", true, requestId), wait: error.retryAfter ?? DEFAULT_WAIT };
  }
  if (status === 401) return trouble("expired", true, requestId);
  if (status === 413) return trouble("too_long", false, requestId);
  const known = troubleOfCode(code, status >= 500, requestId);
  if (known) return known;
  if (status >= 500) return trouble("ai_down", true, requestId);
  // The session, or the message, is gone.
  if (status === 404) return trouble("expired", true, requestId);
  return trouble("refused", false, requestId);
}

/** The same for an `error` event in the stream, which has a code and no status. */
export function troubleOfEvent(code: string, retryable: boolean): Trouble {
  return troubleOfCode(code, retryable, "") ?? trouble("ai_down", retryable);
}

/** Codes are matched by their telling word, so that a new one of a known family is understood. */
function troubleOfCode(code: string, retryable: boolean, reference: string): Trouble | null {
  if (/suspended|not_active|awaiting_setup|deleting/.test(code)) return trouble("suspended", false, reference);
  if (/database|chat_unavailable/.test(code)) return trouble("database_down", true, reference);
  if (/too_(long|large)/.test(code)) return trouble("too_long", false, reference);
  if (/interrupted/.test(code)) return trouble("interrupted", true, reference);
  if (/session/.test(code)) return trouble("expired", true, reference);
  if (/filtered/.test(code)) return trouble("unanswerable", false, reference);
  if (/^ai_|provider|model/.test(code)) return trouble("ai_down", retryable, reference);
  return null;
}

function trouble(kind: TroubleKind, retryable: boolean, reference = ""): Trouble {
  return { kind, retryable, wait: 0, reference };
}
