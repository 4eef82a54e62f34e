/** What the page says it shows: the `view` message, made of what is on screen. */

import type { View } from "../protocol/messages";
import type { Order } from "./table";
import { width, type TimeWindow } from "./window";

export type Request = Omit<View, "type" | "serial">;

const MOST_PIXELS = 4000;
const FEWEST_PIXELS = 50;
export const MOST_ROWS = 200;
const ROWS_AROUND = 8;
/**
 * The viewer sends a quarter more on the left of a window that follows. It is drawn a moment behind the
 * newest time, so a narrow one needs more than that.
 */
const FOLLOW_EXTRA_NS = 0.3e9;

export interface OnScreen {
  window: TimeWindow;
  /** Device pixels. */
  pixels: number;
  rows: { first: number; count: number };
  /** The row from which a lane is looked for, if one is. */
  lookFrom: number | null;
  search: string;
  exited: boolean;
  order: Order;
}

export function requestFor({ window, pixels, rows, lookFrom, search, exited, order }: OnScreen): Request {
  const span = width(window);
  const asked = window.follow && span < 4 * FOLLOW_EXTRA_NS ? span + FOLLOW_EXTRA_NS : span;
  const first = lookFrom ?? Math.max(0, rows.first - ROWS_AROUND);
  return {
    from: Math.floor(window.to - asked),
    to: Math.ceil(window.to),
    follow: window.follow,
    pixels: Math.round(Math.min(MOST_PIXELS, Math.max(FEWEST_PIXELS, pixels * (asked / span)))),
    first,
    count: lookFrom !== null ? MOST_ROWS : Math.min(MOST_ROWS, rows.first - first + rows.count + ROWS_AROUND),
    search: search.trim(),
    exited,
    sort: order.column,
    descending: order.descending,
  };
}

/** Equal for two requests that ask for the same: a window that follows moves by itself, only its width counts. */
export function requestKey(request: Request): string {
  if (!request.follow) return JSON.stringify(request);
  // Following rounds both ends to whole nanoseconds at each frame; that is no other width.
  const wide = (request.to - request.from).toPrecision(6);
  return JSON.stringify({ ...request, from: 0, to: wide });
}
