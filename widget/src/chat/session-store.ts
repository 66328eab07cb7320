// Remembers the visitor's session of one instance across reloads. Storage may be
// full, forbidden or absent; then the session lives as long as the page.

import { bag, text } from "../api/read.ts";
import type { Session } from "../api/types.ts";

export class SessionStore {
  readonly #key: string;
  #current: Session | null = null;

  constructor(instanceId: string) {
    this.#key = `stoa.session.${instanceId}`;
  }

  load(): Session | null {
    if (this.#current) return this.#current;
    try {
      const stored = bag(JSON.parse(localStorage.getItem(this.#key) ?? "null"));
      const session = { id: text(stored["id"]), token: text(stored["token"]) };
      if (session.id && session.token) this.#current = session;
    } catch {
      // Nothing usable is stored.
    }
    return this.#current;
  }

  save(session: Session): void {
    this.#current = session;
    try {
      localStorage.setItem(this.#key, JSON.stringify(session));
    } catch {
      // Kept in memory only.
    }
  }

  forget(): void {
    this.#current = null;
    try {
      localStorage.removeItem(this.#key);
    } catch {
      // It was never there.
    }
  }
}
