// Reads untrusted JSON into the shapes of `types.ts`, with a default for whatever
// is missing or of the wrong type.

import type { Configuration, Rating, Role, Source, Step, StepState, StoredMessage } from "./types.ts";

type Bag = Record<string, unknown>;

export function bag(value: unknown): Bag {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bag) : {};
}

export function text(value: unknown, fallback = ""): string {
  return typeof value === "string" ? value : fallback;
}

function flag(value: unknown, fallback: boolean): boolean {
  return typeof value === "boolean" ? value : fallback;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function readConfiguration(json: unknown): Configuration {
  const root = bag(json);
  const instance = bag(root["instance"]);
  const display = bag(root["display"]);
  const theme = bag(root["theme"]);
  const features = bag(root["features"]);
  const name = text(instance["name"]);
  const scheme = theme["color_scheme"];
  const radius = theme["radius"];
  return {
    instance: { id: text(instance["id"]), name, status: text(instance["status"], "active") },
    display: {
      botName: text(display["bot_name"]) || name,
      tagline: text(display["tagline"]),
      greeting: text(display["greeting"]),
      placeholder: text(display["placeholder"]),
      starters: list(display["starters"])
        .map((starter) => text(starter).trim())
        .filter(Boolean)
        .slice(0, 6),
      disclaimer: text(display["disclaimer"]),
      showSources: flag(display["show_sources"], true),
      language: text(display["language"], "auto"),
    },
    theme: {
      accent: text(theme["accent"]),
      accentDark: text(theme["accent_dark"]),
      colorScheme: scheme === "light" || scheme === "dark" ? scheme : "auto",
      radius: typeof radius === "number" && radius >= 0 ? Math.min(radius, 24) : 10,
      logoUrl: text(theme["logo_url"]) || null,
    },
    features: {
      feedback: flag(features["feedback"], true),
      showPoweredBy: flag(features["show_powered_by"], true),
    },
    available: flag(root["available"], true),
  };
}

/** A source from a message's `sources`. */
function readStoredSource(json: unknown): Source {
  const source = bag(json);
  return {
    id: text(source["source_id"]),
    title: text(source["title"]),
    url: text(source["url"]) || null,
    text: text(source["text"]),
  };
}

/** A source from a `source-document` event of the stream. */
export function readStreamedSource(event: Record<string, unknown>): Source {
  const more = bag(bag(event["providerMetadata"])["stoa"]);
  return {
    id: text(event["sourceId"]),
    title: text(event["title"]),
    url: text(more["url"]) || null,
    text: text(more["text"]),
  };
}

const STORED_STATES: Record<string, StepState> = {
  asking: "asking",
  approved: "approved",
  denied: "declined",
  running: "running",
  done: "done",
  failed: "failed",
};

/** A step from a message's `steps`. What was given up, or is in no state known here, is unfinished. */
function readStoredStep(json: unknown): Step {
  const step = bag(json);
  const position = step["position"];
  const approvalId = text(step["approval_id"]);
  return {
    id: text(step["tool_call_id"]),
    tool: text(step["tool"]),
    state: STORED_STATES[text(step["state"])] ?? "unfinished",
    writes: approvalId !== "",
    approvalId,
    host: text(step["host"]),
    input: bag(step["input"]),
    output: step["output"],
    error: text(step["error"]),
    at: typeof position === "number" ? position : 0,
  };
}

function readRole(value: unknown): Role {
  return value === "user" || value === "agent" ? value : "assistant";
}

export function readRating(value: unknown): Rating | null {
  return value === "up" || value === "down" ? value : null;
}

export function readMessage(json: unknown): StoredMessage {
  const message = bag(json);
  return {
    id: text(message["id"]),
    role: readRole(message["role"]),
    content: text(message["content"]),
    state: message["state"] === "streaming" ? "streaming" : "complete",
    finishReason: text(message["finish_reason"]) || null,
    sources: list(message["sources"]).map(readStoredSource),
    steps: list(message["steps"]).map(readStoredStep),
    createdAt: text(message["created_at"]),
    feedback: readRating(message["feedback"]),
  };
}

export function readMessagePage(json: unknown): { messages: StoredMessage[]; next: string | null } {
  const page = bag(json);
  return { messages: list(page["data"]).map(readMessage), next: text(page["next_cursor"]) || null };
}
