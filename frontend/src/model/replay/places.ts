/** Where in the program's text everybody is: the line of a step, and where each parked greenlet will go on. */

import type { Site } from "../../protocol/messages";
import type { Frame, Overview, SourceFile } from "../../protocol/replay";

/** A text of more lines than this is shown around the line that matters. */
export const MOST_LINES = 1500;

/** Which file to show: the one of the step, else the one shown before, else where most are parked, else the first. */
export function fileFor(frame: Frame | null, overview: Overview | null, before: string | null): string | null {
  if (frame?.site) return frame.site.file;
  if (before !== null) return before;
  return frame?.parked.find(({ site }) => site !== null)?.site?.file ?? overview?.files[0]?.file ?? null;
}

export interface Bookmark {
  greenlet: number;
  /** Whether it only waits for its turn. */
  ready: boolean;
}

/** Who will go on at which line of a file: those that are ready, and those that are parked. */
export function bookmarks(frame: Frame | null, file: string): Map<number, Bookmark[]> {
  const marks = new Map<number, Bookmark[]>();
  const add = (ones: readonly { greenlet: number; site: Site | null }[], ready: boolean): void => {
    for (const { greenlet, site } of ones) {
      if (site !== null && site.file === file) marks.set(site.line, [...(marks.get(site.line) ?? []), { greenlet, ready }]);
    }
  };
  add(frame?.ready ?? [], true);
  add(frame?.parked ?? [], false);
  for (const line of marks.values()) line.sort((a, b) => a.greenlet - b.greenlet);
  return marks;
}

/** How whoever a step is about stands after it, so how its line is marked. */
export type Standing = "running" | "ready" | "parked" | "other";

export function standing({ greenlet, running, ready, parked }: Frame): Standing {
  const is = (one: { greenlet: number }): boolean => one.greenlet === greenlet;
  if (greenlet !== null && greenlet === running) return "running";
  return ready.some(is) ? "ready" : parked.some(is) ? "parked" : "other";
}

export function textOf(overview: Overview | null, file: string): SourceFile | null {
  return overview?.files.find((each) => each.file === file) ?? null;
}

/** The lines to show of so many: all, or those around one. */
export function around(lines: number, line: number | null): { first: number; last: number } {
  if (lines <= MOST_LINES) return { first: 1, last: lines };
  const first = Math.max(1, Math.min((line ?? 1) - Math.floor(MOST_LINES / 2), lines - MOST_LINES + 1));
  return { first, last: first + MOST_LINES - 1 };
}
