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

/** A stored message, as `GET /sessions/{id}/messages` lists it. */
export interface StoredMessage {
  id: string;
  role: Role;
  content: string;
  state: "streaming" | "complete";
  finishReason: string | null;
  sources: Source[];
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
