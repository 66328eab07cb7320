// Which addresses a link may have. Everything else is shown as plain text.

const ALLOWED = new Set(["http:", "https:", "mailto:"]);

/**
 * The address if it is absolute and of an allowed kind, normalised; else null.
 * Relative addresses are refused: they would point into the page that shows them.
 */
export function safeLink(address: string): string | null {
  let url: URL;
  try {
    url = new URL(address.trim());
  } catch {
    return null;
  }
  if (!ALLOWED.has(url.protocol)) return null;
  // A name before an @ is how a link pretends to lead elsewhere.
  if (url.username || url.password) return null;
  return url.href;
}

/** The same for a source's address, which has to be a page. */
export function safePage(address: string | null): string | null {
  const link = address === null ? null : safeLink(address);
  return link?.startsWith("http") ? link : null;
}

/** The address in `[text](<address> "title")`, without the brackets and the title. */
export function linkTarget(written: string): string {
  const trimmed = written.trim();
  const bracketed = /^<([^<>]*)>/.exec(trimmed)?.[1];
  return bracketed ?? trimmed.split(/\s/, 1)[0] ?? "";
}

/** Splits the punctuation that ends a sentence from a bare address. */
export function splitBareAddress(written: string): [address: string, rest: string] {
  const rest = /[.,;:!?'")\]}*]+$/.exec(written)?.[0] ?? "";
  return [written.slice(0, written.length - rest.length), rest];
}

/** Makes an anchor safe to follow: a new tab, no opener, no endorsement. */
export function setLink(anchor: HTMLAnchorElement, address: string): void {
  anchor.href = address;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow ugc";
}
