/**
 * The window of time on screen: zoom, pan and follow, as arithmetic on values.
 *
 * A window that follows has its right edge at "now"; whatever moves it away from there by hand stops
 * the following, and panning right past "now" takes it up again.
 */

export interface TimeWindow {
  readonly from: number;
  readonly to: number;
  readonly follow: boolean;
}

/** What there is to see: the oldest and the newest time. */
export interface Extent {
  readonly begin: number;
  readonly now: number;
}

export const NARROWEST_NS = 2e3;
export const FIRST_WIDTH_NS = 10e9;

export function width(window: TimeWindow): number {
  return window.to - window.from;
}

export function widest(extent: Extent): number {
  return Math.max(FIRST_WIDTH_NS, (extent.now - extent.begin) * 1.1);
}

/** The window with its right edge at `now`. */
export function followed(window: TimeWindow, now: number): TimeWindow {
  return { from: now - width(window), to: now, follow: true };
}

/** Zooms by `factor` (below 1: closer) around `anchor`, a time that stays where it is on screen. */
export function zoomed(window: TimeWindow, factor: number, anchor: number, extent: Extent): TimeWindow {
  const before = width(window);
  const after = Math.min(Math.max(before * factor, NARROWEST_NS), widest(extent));
  if (window.follow) return { from: window.to - after, to: window.to, follow: true };
  const share = (anchor - window.from) / before;
  const from = anchor - share * after;
  return kept({ from, to: from + after, follow: false }, extent);
}

/** Moves by `ns`; to the left stops following, to the right past now follows again. */
export function panned(window: TimeWindow, ns: number, extent: Extent, live: boolean): TimeWindow {
  const to = window.to + ns;
  if (live && ns > 0 && to >= extent.now) return followed(window, extent.now);
  return kept({ from: window.from + ns, to, follow: false }, extent);
}

/** The window over a span, with some air around it. */
export function fitted(start: number, end: number, extent: Extent, air = 0.35): TimeWindow {
  const span = Math.max(end - start, NARROWEST_NS / (1 + 2 * air));
  const middle = (start + end) / 2;
  const half = Math.min((span * (1 + 2 * air)) / 2, widest(extent) / 2);
  return { from: middle - half, to: middle + half, follow: false };
}

/** The whole recording. */
export function whole(extent: Extent): TimeWindow {
  const span = Math.max(extent.now - extent.begin, NARROWEST_NS);
  return { from: extent.begin - span * 0.01, to: extent.now + span * 0.01, follow: false };
}

/** The window between two times chosen by hand, in any order. */
export function chosen(a: number, b: number, extent: Extent): TimeWindow {
  const from = Math.min(a, b);
  const to = Math.max(a, b);
  if (to - from >= NARROWEST_NS) return kept({ from, to, follow: false }, extent);
  const middle = (from + to) / 2;
  return kept({ from: middle - NARROWEST_NS / 2, to: middle + NARROWEST_NS / 2, follow: false }, extent);
}

/** Shows `time`: unchanged where it is well inside already, else with it in the middle. */
export function showing(window: TimeWindow, start: number, end: number, extent: Extent): TimeWindow {
  const span = width(window);
  if (start >= window.from && end <= window.to) return { ...window, follow: false };
  if (end - start > span * 0.8) return fitted(start, end, extent);
  const middle = (start + end) / 2;
  return kept({ from: middle - span / 2, to: middle + span / 2, follow: false }, extent);
}

/** Half a window of nothing at either side is allowed, more is being lost. */
function kept(window: TimeWindow, extent: Extent): TimeWindow {
  const span = width(window);
  const lowest = extent.begin - span / 2;
  const highest = Math.max(extent.now - span / 2, lowest);
  if (window.from < lowest) return { from: lowest, to: lowest + span, follow: window.follow };
  if (window.from > highest) return { from: highest, to: highest + span, follow: window.follow };
  return window;
}
