// Makes elements. The only way this app builds its page: there is no HTML in strings.

type Child = Node | string | null;

/** Attributes that are false, null or undefined are left out; true ones are empty. */
type Attributes = Record<string, string | number | boolean | null | undefined>;

export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Line icons of our own on a grid of 20, drawn by strokes in the text's colour. */
const ICONS = {
  send: "M10 16V4M4.5 9.5 10 4l5.5 5.5",
  stop: "M5.5 5.5h9v9h-9z",
  fresh: "M9.5 3.5H4.8A1.8 1.8 0 0 0 3 5.3v9.9A1.8 1.8 0 0 0 4.8 17h9.9a1.8 1.8 0 0 0 1.8-1.8v-4.7M8 12l.5-2.6 7-7 2.1 2.1-7 7z",
  copy: "M7.5 7.5h8.8v8.8H7.5zM12.5 7.5V3.7H3.7v8.8h3.8",
  check: "m4 10.5 4 4 8-9",
  up: "M6.5 16.5V9l3.4-6c1.3.1 2 1.1 1.7 2.6L11 8.5h4.6c1 0 1.6.9 1.4 1.8l-1.1 4.8c-.2.8-.9 1.4-1.7 1.4zM6.5 9H3.4v7.5h3.1",
  down: "M13.5 3.5V11l-3.4 6c-1.3-.1-2-1.1-1.7-2.6l.6-2.9H4.4c-1 0-1.6-.9-1.4-1.8l1.1-4.8c.2-.8.9-1.4 1.7-1.4zM13.5 11h3.1V3.5h-3.1",
  latest: "M10 4v12M4.5 10.5 10 16l5.5-5.5",
  outside: "M8 4H4v12h12v-4M11.5 3.5h5v5M16.5 3.5 9.5 10.5",
  chevron: "m7 5 5 5-5 5",
} as const;

export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "stoa-icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button whose face is an icon and whose name is `label`. */
export function iconButton(name: IconName, label: string, className = ""): HTMLButtonElement {
  return el("button", { type: "button", class: `stoa-icon-button ${className}`.trim(), "aria-label": label, title: label }, icon(name));
}
