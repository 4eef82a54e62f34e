/**
 * How a segment looks: one class for each thing an eye should tell apart, by colour *and* by height or
 * dash, so that nothing depends on colour alone. The colours are Okabe and Ito's, which survive the
 * common kinds of colour blindness.
 */

import { Wait } from "../protocol/events";
import { REASON_POLL, State } from "../protocol/messages";

/** Classes in order of precedence: where two share a pixel, the greater is seen. 0 is nothing. */
export const Look = {
  NOTHING: 0,
  HUB_POLL: 1,
  TIMER: 2,
  JOIN: 3,
  OTHER: 4,
  EVENT: 5,
  QUEUE: 6,
  LOCK: 7,
  WRITE: 8,
  READ: 9,
  YIELD: 10,
  READY: 11,
  HUB: 12,
  RUNNING: 13,
  STALLED: 14,
} as const;
export type Look = (typeof Look)[keyof typeof Look];

export interface Appearance {
  color: string;
  /** Share of the lane's height. */
  height: number;
  /** Lit and whole length of a dash in CSS pixels; none is solid. */
  dash?: readonly [number, number];
  hatched?: boolean;
}

export const APPEARANCE: Readonly<Record<Exclude<Look, 0>, Appearance>> = {
  [Look.HUB_POLL]: { color: "#CC79A7", height: 0.08 },
  [Look.TIMER]: { color: "#8B949E", height: 0.08 },
  [Look.JOIN]: { color: "#8B949E", height: 0.24, dash: [3, 6] },
  [Look.OTHER]: { color: "#8B949E", height: 0.24 },
  [Look.EVENT]: { color: "#CC79A7", height: 0.24, dash: [6, 9] },
  [Look.QUEUE]: { color: "#E69F00", height: 0.24, dash: [6, 9] },
  [Look.LOCK]: { color: "#E69F00", height: 0.34 },
  [Look.WRITE]: { color: "#0072B2", height: 0.24 },
  [Look.READ]: { color: "#56B4E9", height: 0.24 },
  [Look.YIELD]: { color: "#F0E442", height: 0.24 },
  [Look.READY]: { color: "#F0E442", height: 0.6 },
  [Look.HUB]: { color: "#CC79A7", height: 0.84 },
  [Look.RUNNING]: { color: "#009E73", height: 0.84 },
  [Look.STALLED]: { color: "#D55E00", height: 0.84, hatched: true },
};

const WAITING: Readonly<Record<number, Look>> = {
  [Wait.OTHER]: Look.OTHER,
  [Wait.READ]: Look.READ,
  [Wait.WRITE]: Look.WRITE,
  [Wait.TIMER]: Look.TIMER,
  [Wait.LOCK]: Look.LOCK,
  [Wait.QUEUE]: Look.QUEUE,
  [Wait.EVENT]: Look.EVENT,
  [Wait.JOIN]: Look.JOIN,
  [Wait.YIELD]: Look.YIELD,
  [Wait.THREAD]: Look.OTHER,
  [Wait.CHILD]: Look.OTHER,
  [Wait.SIGNAL]: Look.OTHER,
  [Wait.LOOKUP]: Look.OTHER,
  [REASON_POLL]: Look.HUB_POLL,
};

/** The look of a state and reason; the hub's own running is shown as the hub's. */
export function lookOf(state: number, reason: number, hub = false): Look {
  switch (state) {
    case State.RUNNING:
      return hub ? Look.HUB : Look.RUNNING;
    case State.READY:
      return Look.READY;
    case State.STALLED:
      return hub ? Look.HUB : Look.STALLED;
    default:
      return WAITING[reason] ?? Look.OTHER;
  }
}
