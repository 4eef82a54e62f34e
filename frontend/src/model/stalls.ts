/** The stalls that the viewer has told about: what is still kept of one, and the one that a span belongs to. */

import type { Stall } from "../protocol/messages";

/** Whether what is kept begins after it: there is nothing left to look at. */
export function isGone(stall: Stall, begin: number): boolean {
  return stall.start + stall.duration <= begin;
}

/** The stall of `greenlet` that goes on at some time in [start, end]. */
export function stallOf(stalls: readonly Stall[], greenlet: number, start: number, end: number): Stall | null {
  return (
    stalls.find(
      (stall) => stall.greenlet === greenlet && stall.start <= end && stall.start + stall.duration >= start,
    ) ?? null
  );
}
