/** The stalls the viewer has told about: the one next to another, and the one a span belongs to. */

import type { Stall } from "../protocol/messages";
import { siteText } from "./format";

export function sameStall(a: Stall | null, b: Stall | null): boolean {
  return a !== null && b !== null && a.greenlet === b.greenlet && a.start === b.start;
}

/** Whether what is kept begins after it: there is nothing left to look at. */
export function isGone(stall: Stall, begin: number): boolean {
  return stall.start + stall.duration <= begin;
}

/**
 * Where a stall was: switches tell the line it went on from and the line it parked at, and no more. What took the
 * time lies between them.
 */
export function stallPlace(stall: Stall, live: boolean): string {
  const { before, after } = stall;
  const name = (after ?? before)?.function;
  const of = name ? ` · ${name}` : "";
  if (after !== null) {
    return before === null ? `before ${siteText(after)}${of}` : `between ${siteText(before)} and ${siteText(after)}${of}`;
  }
  if (before === null) return "";
  const until = stall.end !== null ? "until its end" : live ? "still running" : "until the recording ends";
  return `after ${siteText(before)}, ${until}${of}`;
}

/** The stall before (-1) or after (+1) `time` by its start; null when there is none that way. */
export function nextStall(stalls: readonly Stall[], time: number, direction: -1 | 1): Stall | null {
  let best: Stall | null = null;
  for (const stall of stalls) {
    const ahead = (stall.start - time) * direction;
    if (ahead > 0 && (best === null || ahead < (best.start - time) * direction)) best = stall;
  }
  return best;
}

/** The stall of `greenlet` that goes on at some time in [start, end]. */
export function stallOf(stalls: readonly Stall[], greenlet: number, start: number, end: number): Stall | null {
  return (
    stalls.find(
      (stall) => stall.greenlet === greenlet && stall.start <= end && stall.start + stall.duration >= start,
    ) ?? null
  );
}
