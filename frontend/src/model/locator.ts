/**
 * Finds the row of a greenlet's lane. The viewer lists only the lanes on screen; where the wanted one is not
 * among them, they are gone through, as many at a time as may be asked for.
 */

import type { Lanes } from "../protocol/messages";

const LOOKS_FOR_MS = 1500;

export class Locator {
  private wanted: { greenlet: number; from: number; found: boolean; until: number } | null = null;

  /** Begins; `found` when its row is known already (it may move yet, if the window has just changed). */
  look(greenlet: number, found: boolean, localMs: number): void {
    this.wanted = { greenlet, from: 0, found, until: localMs + LOOKS_FOR_MS };
  }

  /** The first row to ask for, while looking; else null. */
  get lookFrom(): number | null {
    return this.wanted === null || this.wanted.found ? null : this.wanted.from;
  }

  /** New lanes have come: the row to show, or null. */
  came(lanes: Lanes, localMs: number): number | null {
    const { wanted } = this;
    if (wanted === null) return null;
    if (this.expire(localMs)) return null;
    const index = lanes.lanes.findIndex((lane) => lane.id === wanted.greenlet);
    if (index >= 0) {
      this.wanted = { ...wanted, found: true };
      return lanes.first + index;
    }
    if (!wanted.found && lanes.first === wanted.from) {
      const next = lanes.first + lanes.lanes.length;
      this.wanted = lanes.lanes.length > 0 && next < lanes.total ? { ...wanted, from: next } : null;
    }
    return null;
  }

  /** Gives up after a while: the lane may not be in the window at all. Whether it just did. */
  expire(localMs: number): boolean {
    if (this.wanted === null || localMs <= this.wanted.until) return false;
    this.wanted = null;
    return true;
  }
}
