/** Which lane and which segment is under a point, and which is next to it. */

import { OPEN } from "../protocol/messages";
import { lookOf } from "./looks";
import type { Segment, Track } from "./segments";

/** How far from a thin span, in pixels, the pointer may be and still mean it. */
const REACH = 3;

/** The row at `y` pixels below the top of the plot, when `scroll` pixels are scrolled away. */
export function rowAt(y: number, scroll: number, rowHeight: number, total: number): number | null {
  const row = Math.floor((y + scroll) / rowHeight);
  return y >= 0 && row >= 0 && row < total ? row : null;
}

/**
 * The index of the segment meant at `time`, or -1. Where a thin span of higher precedence (one that runs, say)
 * is within reach, it is meant, as it is what the eye sees there. `pixel` is a pixel's width in ns.
 */
export function segmentAt(track: Track, time: number, pixel: number): number {
  let best = -1;
  let bestRank = -1;
  const reach = REACH * pixel;
  for (let i = track.firstEndingAfter(time - reach); i < track.length; i++) {
    const start = track.start[i]!;
    const end = track.end[i]!;
    if (start > time + reach) break;
    const inside = start <= time && (time < end || (track.flags[i]! & OPEN) !== 0);
    const thin = end - start < 2 * reach;
    if (!inside && !thin) continue;
    const rank = (thin ? 100 : 0) + (inside ? 50 : 0) + lookOf(track.state[i]!, track.reason[i]!);
    if (rank > bestRank) {
      bestRank = rank;
      best = i;
    }
  }
  return best;
}

/** The segment before (-1) or after (+1) `time`; null at the end of what is held. */
export function neighbour(track: Track, time: number, direction: -1 | 1): Segment | null {
  const here = track.firstEndingAfter(time);
  const inside = here < track.length && track.start[here]! <= time;
  const index = direction > 0 ? (inside ? here + 1 : here) : here - 1;
  return index >= 0 && index < track.length ? track.at(index) : null;
}

/** A time within a segment, as near as may be to the one pointed at. */
export function inside(segment: Segment, time: number): number {
  return Math.min(Math.max(time, segment.start), Math.max(segment.start, segment.end - 1));
}
