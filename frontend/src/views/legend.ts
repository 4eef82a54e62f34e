/** What the colours and heights mean; the looks the recording has right now, and the constant ones. */

import { APPEARANCE, Look } from "../model/looks";
import { byId, el } from "./dom";
import { swatch } from "./swatch";

const ALWAYS: Look[] = [Look.RUNNING, Look.READY, Look.READ, Look.WRITE, Look.TIMER, Look.STALLED, Look.HUB];
const MAYBE: [string, Look][] = [
  ["lock", Look.LOCK],
  ["queue", Look.QUEUE],
  ["event", Look.EVENT],
  ["join", Look.JOIN],
  ["other", Look.OTHER],
];

export class Legend {
  private readonly seen = new Set<Look>(ALWAYS);

  constructor() {
    this.render();
  }

  /** A state that was seen once stays in the legend: nothing jumps about. */
  show(states: Record<string, number>): void {
    const before = this.seen.size;
    for (const [name, look] of MAYBE) if ((states[name] ?? 0) > 0) this.seen.add(look);
    if (this.seen.size !== before) this.render();
  }

  private render(): void {
    const order = [...ALWAYS.slice(0, 5), ...MAYBE.map(([, look]) => look), ...ALWAYS.slice(5)];
    byId("legend").replaceChildren(
      ...order
        .filter((look) => this.seen.has(look) && look !== Look.NOTHING)
        .map((look) => el("li", {}, swatch(look), APPEARANCE[look as Exclude<Look, 0>].name)),
    );
  }
}
