// The shapes of the chat API. What the server sends is read leniently: a missing
// field has a default, an unknown one is ignored.

/** A passage that an answer stands on. `id` is the number that the answer cites. */
export interface Source {
  id: string;
  title: string;
  url: string | null;
  text: string;
}

export type Role = "user" | "assistant" | "agent";
export type Rating = "up" | "down";

/**
 * Where a call of a tool stands. `asking` waits for the visitor's yes; `decided` was answered
 * elsewhere, nobody here knows how; `unfinished` is one whose answer ended before it did.
 */
export type StepState =
  | "running"
  | "asking"
  | "approved"
  | "decided"
  | "declined"
  | "done"
  | "failed"
  | "unfinished";

/** A call of a tool, at its place in the answer. */
export interface Step {
  /** Its place among the calls of the answer, such as `c1`. */
  id: string;
  tool: string;
  state: StepState;
  /** Whether it changes something, so that the visitor is asked first. */
  writes: boolean;
  /** By which the visitor's yes or no is sent; empty for what needs none. */
  approvalId: string;
  /** Where the call goes; empty if nobody said. */
  host: string;
  /** Null until it is known. */
  input: Record<string, unknown> | null;
  output: unknown;
  /** What went wrong; empty unless it failed. */
  error: string;
  /** Characters (Unicode code points) of the answer's text before it. */
  at: number;
}

/** A stored message, as `GET /sessions/{id}/messages` lists it. */
export interface StoredMessage {
  id: string;
  role: Role;
  content: string;
  state: "streaming" | "complete";
  finishReason: string | null;
  sources: Source[];
  steps: Step[];
  createdAt: string;
  feedback: Rating | null;
}

/** The public part of the live configuration. */
export interface Configuration {
  instance: { id: string; name: string; status: string };
  display: {
    botName: string;
    tagline: string;
    greeting: string;
    placeholder: string;
    starters: string[];
    disclaimer: string;
    showSources: boolean;
    language: string;
  };
  theme: {
    accent: string;
    accentDark: string;
    colorScheme: "auto" | "light" | "dark";
    radius: number;
    logoUrl: string | null;
  };
  features: { feedback: boolean; showPoweredBy: boolean };
  /** False while the client's database is closed or away: the looks are as they last were. */
  available: boolean;
}

/** A visitor's conversation and the secret that opens it. */
export interface Session {
  id: string;
  token: string;
}
