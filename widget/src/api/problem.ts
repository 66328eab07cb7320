// What can go wrong with a call: the server said no (a problem document), or it
// could not be reached at all.

import { bag, text } from "./read.ts";

/** An `application/problem+json` answer, or any other answer that is not a success. */
export class Problem extends Error {
  readonly status: number;
  /** Stable, in snake case; empty if the answer was no problem document. */
  readonly code: string;
  readonly requestId: string;
  /** Seconds to wait, from `Retry-After`. */
  readonly retryAfter: number | null;

  constructor(status: number, body: unknown, headers: Headers) {
    const problem = bag(body);
    super(text(problem["detail"]) || text(problem["title"]) || `status ${status}`);
    this.status = status;
    this.code = text(problem["code"]);
    this.requestId = text(problem["request_id"]) || headers.get("x-request-id") || "";
    this.retryAfter = readRetryAfter(headers.get("retry-after"));
  }
}

/** No answer came: no network, no server, or a connection that broke. */
export class Unreachable extends Error {}

function readRetryAfter(value: string | null): number | null {
  if (value === null) return null;
  const seconds = /^\d+$/.test(value.trim())
    ? Number(value)
    : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 86_400) : null;
}
