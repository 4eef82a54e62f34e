/** The keyboard: which key is which action. help.ts lists the same. */

import { byId } from "./dom";
import type { TabName } from "./tabs";

export interface KeyActions {
  tab(name: TabName): void;
  help(): void;
  /** Whether keys go elsewhere: an overlay is open. */
  busy(): boolean;
  /** The tab that is shown may have keys of its own; whether this is one. */
  first(event: KeyboardEvent): boolean;
  pause(): void;
  live(): void;
  zoom(factor: number): void;
  pan(share: number): void;
  fit(): void;
  whole(): void;
  finding(direction: -1 | 1): void;
  clear(): void;
  cursor(rows: number, direction: -1 | 0 | 1): void;
  page(direction: -1 | 1): void;
  pin(): void;
}

const CLOSER = 0.7;
const STEP = 0.15;

export function listenKeys(actions: KeyActions): void {
  const everywhere: Record<string, () => void> = {
    "?": () => actions.help(),
    "/": () => byId<HTMLInputElement>("search").select(),
    "1": () => actions.tab("timeline"),
    "2": () => actions.tab("greenlets"),
    "3": () => actions.tab("stalls"),
    "4": () => actions.tab("profile"),
    "5": () => actions.tab("requests"),
    "6": () => actions.tab("replay"),
    " ": () => actions.pause(),
    w: () => actions.zoom(CLOSER),
    s: () => actions.zoom(1 / CLOSER),
    a: () => actions.pan(-STEP),
    d: () => actions.pan(STEP),
    f: () => actions.fit(),
    l: () => actions.live(),
    "0": () => actions.whole(),
    "[": () => actions.finding(-1),
    "]": () => actions.finding(1),
    Escape: () => actions.clear(),
  };
  const onPlot: Record<string, () => void> = {
    ArrowUp: () => actions.cursor(-1, 0),
    ArrowDown: () => actions.cursor(1, 0),
    ArrowLeft: () => actions.cursor(0, -1),
    ArrowRight: () => actions.cursor(0, 1),
    PageUp: () => actions.page(-1),
    PageDown: () => actions.page(1),
    Enter: () => actions.pin(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || actions.busy()) return;
    if (actions.first(event)) {
      event.preventDefault();
      return;
    }
    const target = event.target as HTMLElement;
    if (target.matches("input:not([type=checkbox], [type=radio]), select, textarea")) return;
    // Space presses what has the focus, as everywhere.
    if (event.key === " " && target.matches("button, input, summary")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = (target.id === "lanes-canvas" ? onPlot[key] : undefined) ?? everywhere[key];
    if (action === undefined) return;
    action();
    event.preventDefault();
  });
}
