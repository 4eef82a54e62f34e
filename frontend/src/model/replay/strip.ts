/** The window of the strip: which steps it shows, and where a step is in it. */

export interface Stretch {
  from: number;
  /** Without this one. */
  to: number;
}

/** A step is at least so wide, in CSS pixels. */
const NARROWEST = 9;
const WIDEST = 60;
/** Nearer than this share of the window the position comes to no edge behind which there is more. */
const EDGE = 0.12;

/** The steps to show around a position: as before, as long as that is in their midst. */
export function stretchFor(step: number, steps: number, width: number, before: Stretch | null): Stretch {
  const count = Math.max(1, Math.min(steps, Math.floor(width / NARROWEST)));
  if (count >= steps) return { from: 0, to: steps };
  if (before !== null && before.to - before.from === count && before.to <= steps) {
    const margin = Math.ceil(count * EDGE);
    const least = before.from === 0 ? 0 : before.from + margin;
    const most = before.to === steps ? steps : before.to - margin;
    if (least <= step && step < most) return before;
  }
  const from = Math.max(0, Math.min(step - Math.floor(count / 2), steps - count));
  return { from, to: from + count };
}

/** How wide the steps of a stretch are drawn: a few are not drawn out over everything. */
export function stepWidth({ from, to }: Stretch, width: number): number {
  return Math.min(WIDEST, width / Math.max(1, to - from));
}

/** Which step is at a place of the strip. */
export function stepAt(stretch: Stretch, x: number, width: number): number {
  const step = stretch.from + Math.floor(x / stepWidth(stretch, width));
  return Math.max(stretch.from, Math.min(step, stretch.to - 1));
}
