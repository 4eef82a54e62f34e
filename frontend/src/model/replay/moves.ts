/** How one moves through a replay: by event, by switch, until a greenlet runs again, to an end. */

import type { Frame } from "../../protocol/replay";

export type Move = "back" | "on" | "switch_back" | "switch_on" | "again_back" | "again" | "first" | "last";

export const MOVES: readonly Move[] = ["first", "again_back", "switch_back", "back", "on", "switch_on", "again", "last"];

/** Where a move leads to from a step; null: nowhere, or nobody knows before the step's frame is here. */
export function target(move: Move, step: number, steps: number, frame: Frame | null): number | null {
  const to = raw(move, step, steps, frame?.step === step ? frame : null);
  return to === null || to === step || to < 0 || to >= steps ? null : to;
}

function raw(move: Move, step: number, steps: number, frame: Frame | null): number | null {
  switch (move) {
    case "back":
      return step - 1;
    case "on":
      return step + 1;
    case "first":
      return 0;
    case "last":
      return steps - 1;
    default:
      return frame?.go[move] ?? null;
  }
}

/** A step that the page's address names: what is meant, or why it is none. */
export function stepOf(text: string, steps: number): { step: number; wrong: boolean } {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (Number.isNaN(number)) return { step: 0, wrong: true };
  return { step: Math.max(0, Math.min(number, steps - 1)), wrong: number >= steps };
}

/** How fast a replay plays, in steps a second. */
export const SPEEDS: readonly number[] = [0.25, 0.5, 1, 2, 5, 15];
export const SPEED = 0.5;
