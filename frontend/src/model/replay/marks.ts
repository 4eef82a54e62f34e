/**
 * How a greenlet is told from the others, wherever it is shown: by its name, and by a mark that has a shape and a
 * colour. Seven shapes and eight colours go round together, so that 56 in a row are all different.
 */

import type { Overview } from "../../protocol/replay";
import { t } from "../../language/language";

export const COLOURS = 8;

/** Paths in a box of 12 by 12. */
export const SHAPES: readonly string[] = [
  "M6 .8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 0 0 6 .8z", // a disc
  "M6 .9 11.6 10.7H.4z", // a triangle
  "M1.4 1.4h9.2v9.2H1.4z", // a square
  "M6 .2 11.8 6 6 11.8.2 6z", // a diamond
  "M4.2.8h3.6v3.4h3.4v3.6H7.8v3.4H4.2V7.8H.8V4.2h3.4z", // a cross
  "M6 .3 11.4 3.2v5.6L6 11.7.6 8.8V3.2z", // a hexagon
  "M6 .2 7.7 4.1 11.9 4.5 8.7 7.3 9.6 11.5 6 9.3 2.4 11.5 3.3 7.3.1 4.5 4.3 4.1z", // a star
];

/** The hub's: it goes round. */
export const HUB_SHAPE = "M6 1a5 5 0 0 1 4.3 2.4L11.6 2v4H7.7l1.5-1.5A3.5 3.5 0 1 0 9.4 7H11A5 5 0 1 1 6 1z";

export interface Mark {
  shape: string;
  /** Which of the colours; null: the hub's. */
  colour: number | null;
}

export class Names {
  private readonly names = new Map<number, string>();

  constructor(private overview: Overview | null = null) {
    if (overview !== null) this.know(overview);
  }

  know(overview: Overview): void {
    this.overview = overview;
    for (const { id, name } of overview.greenlets) this.names.set(id, name);
  }

  /** More of them. */
  learn(names: Readonly<Record<string, string>>): void {
    for (const [number, name] of Object.entries(names)) this.names.set(Number(number), name);
  }

  isHub(greenlet: number | null): boolean {
    return greenlet !== null && greenlet === this.overview?.hub;
  }

  /** What a greenlet is called. */
  of(greenlet: number): string {
    if (this.isHub(greenlet)) return t("replay.hub");
    return this.names.get(greenlet) ?? t("replay.greenlet", { number: greenlet });
  }

  mark(greenlet: number): Mark {
    if (this.isHub(greenlet)) return { shape: HUB_SHAPE, colour: null };
    return { shape: SHAPES[greenlet % SHAPES.length]!, colour: greenlet % COLOURS };
  }
}
