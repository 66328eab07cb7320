// A client's accent is made readable before it is used: on every scheme's ground it
// keeps a contrast of 4.5 to 1 (WCAG 2.2, 1.4.3), moved towards ink or paper as far
// as needed. Luminance and contrast after WCAG's own definitions.

type Rgb = readonly [number, number, number];

const GROUNDS = { light: [251, 251, 249], dark: [18, 22, 20] } as const satisfies Record<string, Rgb>;
const INK: Rgb = [23, 32, 29];
const PAPER: Rgb = [255, 255, 255];
/** What may stand on an accent, in order of liking; the last one reads on all that the others do not. */
const ON_ACCENT: readonly Rgb[] = [PAPER, [6, 35, 27], [8, 14, 12]];
/** A little more than is asked for, since colours are rounded. */
const WANTED = 4.55;

export interface Accent {
  accent: string;
  onAccent: string;
}

/** Null if `colour` is not `#rgb` or `#rrggbb`. */
export function accentFor(scheme: "light" | "dark", colour: string): Accent | null {
  const wanted = parse(colour);
  if (!wanted) return null;
  const goal = scheme === "light" ? INK : PAPER;
  let accent = wanted;
  for (let step = 1; step <= 20 && contrast(accent, GROUNDS[scheme]) < WANTED; step += 1) {
    accent = mix(wanted, goal, step / 20);
  }
  const onAccent = ON_ACCENT.find((colour) => contrast(accent, colour) >= WANTED) ?? PAPER;
  return { accent: hex(accent), onAccent: hex(onAccent) };
}

function parse(colour: string): Rgb | null {
  const digits = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour.trim())?.[1];
  if (!digits) return null;
  const full = digits.length === 3 ? digits.replace(/./g, "$&$&") : digits;
  const value = Number.parseInt(full, 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function hex(colour: Rgb): string {
  return `#${colour.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const part = (index: 0 | 1 | 2): number => from[index] + (to[index] - from[index]) * share;
  return [part(0), part(1), part(2)];
}

function luminance(colour: Rgb): number {
  const linear = (part: number): number => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2]);
}

export function contrastOf(one: string, other: string): number {
  const first = parse(one);
  const second = parse(other);
  return first && second ? contrast(first, second) : 1;
}

function contrast(one: Rgb, other: Rgb): number {
  const [dim, bright] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (bright + 0.05) / (dim + 0.05);
}
