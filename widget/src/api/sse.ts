// Server-sent events over a byte stream, by the rules of the HTML standard.
// `EventSource` itself cannot send an Authorization header or a body.

export interface ServerEvent {
  /** The last id seen so far, as the standard has it; empty if there was none. */
  id: string;
  data: string;
}

/** The most that one unfinished line may hold before the stream is given up. */
const LINE_LIMIT = 262_144;

/** Turns pieces of text, cut anywhere, into events. */
export class EventDecoder {
  #line = "";
  #data: string[] = [];
  #id = "";
  #afterCarriageReturn = false;

  push(chunk: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    for (const piece of chunk.split(/(\r\n|\r|\n)/)) {
      if (piece === "") continue;
      if (piece === "\n" && this.#afterCarriageReturn) {
        // The second half of a line end that was cut in two.
        this.#afterCarriageReturn = false;
      } else if (piece === "\r\n" || piece === "\r" || piece === "\n") {
        this.#afterCarriageReturn = piece === "\r";
        this.#endLine(events);
      } else {
        this.#afterCarriageReturn = false;
        this.#line += piece;
        if (this.#line.length > LINE_LIMIT) throw new Error("a line of the stream is too long");
      }
    }
    return events;
  }

  #endLine(events: ServerEvent[]): void {
    const line = this.#line;
    this.#line = "";
    if (line === "") {
      if (this.#data.length > 0) events.push({ id: this.#id, data: this.#data.join("\n") });
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    let value = colon === -1 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    // A line that begins with a colon is a comment; other fields are of no use here.
  }
}

/** Reads the events of a response. Ends when the body does; throws when it breaks. */
export async function* events(
  body: ReadableStream<Uint8Array>,
  silenceLimit: number,
): AsyncGenerator<ServerEvent, void, void> {
  const reader = body.getReader();
  const text = new TextDecoder();
  const decoder = new EventDecoder();
  try {
    for (;;) {
      const { done, value } = await withDeadline(reader.read(), silenceLimit);
      if (done) return;
      yield* decoder.push(text.decode(value, { stream: true }));
    }
  } finally {
    // Whoever stops listening early lets the connection go, too.
    reader.cancel().catch(() => undefined);
  }
}

/** The server speaks at least every 10 s; a longer silence means a dead connection. */
async function withDeadline<T>(promise: Promise<T>, limit: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the stream fell silent")), limit);
  });
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}
