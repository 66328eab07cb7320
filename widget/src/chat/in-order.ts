// An answer as it was written: its words, and the calls of tools between them.

import type { Step } from "../api/types.ts";

/** Cuts the text where there are steps. */
export function inOrder(content: string, steps: readonly Step[]): (string | Step)[] {
  const characters = Array.from(content);
  const pieces: (string | Step)[] = [];
  let from = 0;
  const wordsUntil = (to: number): void => {
    if (to > from) pieces.push(characters.slice(from, to).join(""));
    from = Math.max(from, to);
  };
  for (const step of [...steps].sort((one, other) => one.at - other.at)) {
    wordsUntil(Math.min(step.at, characters.length));
    pieces.push(step);
  }
  wordsUntil(characters.length);
  return pieces;
}
