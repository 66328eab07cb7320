// Markdown to DOM nodes, as it streams. The parser is `streaming-markdown`; this
// renderer is ours because its stock one sets addresses unfiltered. It builds a fixed
// set of elements with text in them and nothing else: no raw HTML, no images, no
// attribute whose value the model chose except a filtered link.

import * as smd from "streaming-markdown";
import { linkTarget, safeLink, setLink, splitBareAddress } from "./links.ts";

export interface MarkdownOptions {
  /** The chip for a mark such as `[1]`, or null to leave the mark as text. */
  citation(id: string): HTMLElement | null;
  /** The highest heading to make; the page has headings of its own above. */
  headingLevel: number;
}

export interface MarkdownStream {
  write(text: string): void;
  end(): void;
}

interface Open {
  token: smd.Token;
  element: Element;
  href: string | null;
}

interface State {
  document: Document;
  root: Element;
  open: Open[];
  options: MarkdownOptions;
}

/** More open elements than any honest answer has; deeper ones fold into their parent. */
const DEPTH_LIMIT = 20;

/** Appends Markdown to `root` as it is written. */
export function markdownStream(root: Element, options: MarkdownOptions): MarkdownStream {
  const data: State = { document: root.ownerDocument, root, open: [], options };
  const parser = smd.parser({
    data,
    add_token: addToken,
    end_token: endToken,
    add_text: addText,
    set_attr: setAttribute,
  } satisfies smd.Renderer<State>);
  return {
    write: (text) => smd.parser_write(parser, text),
    end: () => {
      smd.parser_end(parser);
      // The parser leaves open what the text left open, such as a bracket.
      while (data.open.length > 0) endToken(data);
    },
  };
}

const TAGS: Partial<Record<smd.Token, string>> = {
  [smd.PARAGRAPH]: "p",
  [smd.BLOCKQUOTE]: "blockquote",
  [smd.CODE_BLOCK]: "pre",
  [smd.CODE_FENCE]: "pre",
  [smd.CODE_INLINE]: "code",
  [smd.ITALIC_AST]: "em",
  [smd.ITALIC_UND]: "em",
  [smd.STRONG_AST]: "strong",
  [smd.STRONG_UND]: "strong",
  [smd.STRIKE]: "s",
  [smd.LINE_BREAK]: "br",
  [smd.RULE]: "hr",
  [smd.LIST_UNORDERED]: "ul",
  [smd.LIST_ORDERED]: "ol",
  [smd.LIST_ITEM]: "li",
  [smd.TABLE]: "table",
  [smd.TABLE_ROW]: "tr",
  [smd.EQUATION_BLOCK]: "pre",
  [smd.EQUATION_INLINE]: "code",
};

/** Blocks find their own direction, so that an Arabic answer reads right in an English page. */
const BLOCKS = new Set(["p", "blockquote", "ul", "ol", "li", "table", "h2", "h3", "h4", "h5", "h6"]);

function addToken(state: State, token: smd.Token): void {
  const parent = state.open[state.open.length - 1]?.element ?? state.root;
  const element = token === smd.DOCUMENT || state.open.length > DEPTH_LIMIT ? parent : create(state, token, parent);
  state.open.push({ token, element, href: null });
}

function create(state: State, token: smd.Token, parent: Element): Element {
  const tag = tagOf(state, token, parent);
  const element = state.document.createElement(tag);
  if (BLOCKS.has(tag)) element.setAttribute("dir", "auto");
  if (tag === "pre") element.setAttribute("tabindex", "0");
  if (token === smd.CHECKBOX) element.textContent = "\u2610 ";
  if (token === smd.TABLE) {
    const scroller = state.document.createElement("div");
    scroller.className = "stoa-table";
    scroller.tabIndex = 0;
    scroller.append(element);
    parent.append(scroller);
  } else {
    parent.append(element);
  }
  return element;
}

function tagOf(state: State, token: smd.Token, parent: Element): string {
  const level = smd.heading_to_level(token);
  if (level > 0) return `h${Math.min(6, level - 1 + state.options.headingLevel)}`;
  if (token === smd.TABLE_CELL) return parent === parent.parentElement?.firstElementChild ? "th" : "td";
  // Links and images begin as spans: whether they may become more is known at their end.
  return TAGS[token] ?? "span";
}

function endToken(state: State): void {
  const closed = state.open.pop();
  if (!closed || closed.element === (state.open[state.open.length - 1]?.element ?? state.root)) return;
  if (closed.token === smd.LINK) endLink(state, closed);
  if (closed.token === smd.RAW_URL) endBareAddress(state, closed);
}

function addText(state: State, text: string): void {
  const top = state.open[state.open.length - 1];
  (top?.element ?? state.root).append(state.document.createTextNode(text));
}

function setAttribute(state: State, attribute: smd.Attr, value: string): void {
  const top = state.open[state.open.length - 1];
  if (!top) return;
  if (attribute === smd.HREF) top.href = value;
  if (attribute === smd.CHECKED) top.element.textContent = "\u2611 ";
  if (attribute === smd.START && /^\d{1,6}$/.test(value)) top.element.setAttribute("start", value);
}

function endLink(state: State, link: Open): void {
  const text = link.element.textContent ?? "";
  if (link.href === null) {
    const chip = /^\^?\d{1,3}$/.test(text) ? state.options.citation(text.replace("^", "")) : null;
    if (chip) link.element.replaceWith(chip);
    // Not a link after all: give the brackets back that the parser took.
    else {
      link.element.prepend("[");
      link.element.append("]");
    }
    return;
  }
  const address = safeLink(linkTarget(link.href));
  if (address) replaceWithAnchor(state, link.element, address);
}

function endBareAddress(state: State, bare: Open): void {
  const [written, rest] = splitBareAddress(bare.element.textContent ?? "");
  const address = safeLink(written);
  if (!address) return;
  bare.element.textContent = written;
  const anchor = replaceWithAnchor(state, bare.element, address);
  if (rest) anchor.after(rest);
}

function replaceWithAnchor(state: State, element: Element, address: string): HTMLAnchorElement {
  const anchor = state.document.createElement("a");
  setLink(anchor, address);
  anchor.append(...element.childNodes);
  element.replaceWith(anchor);
  return anchor;
}
