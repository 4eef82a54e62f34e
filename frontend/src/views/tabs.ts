/** The tabs, as the ARIA practices have them: arrows move, one of them is in the tab order. */

import { byId } from "./dom";

const NAMES = ["timeline", "greenlets", "stalls", "profile", "requests", "replay"] as const;
export type TabName = (typeof NAMES)[number];

export class Tabs {
  current: TabName = "timeline";

  constructor(private readonly changed: () => void) {
    NAMES.forEach((name, i) => {
      const tab = byId(`tab-${name}`);
      tab.addEventListener("click", (event) => {
        this.choose(name);
        if (event.detail > 0) tab.blur(); // by the mouse: the next arrow is for what is shown, and not for the tabs
      });
      tab.addEventListener("keydown", (event) => {
        const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        if (step === 0) return;
        event.preventDefault();
        const next = NAMES[(i + step + NAMES.length) % NAMES.length]!;
        this.choose(next);
        byId(`tab-${next}`).focus();
      });
    });
  }

  choose(name: TabName): void {
    if (name === this.current) return;
    this.current = name;
    for (const each of NAMES) {
      const tab = byId(`tab-${each}`);
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
      byId(`panel-${each}`).hidden = each !== name;
    }
    this.changed();
  }
}
