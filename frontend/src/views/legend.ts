/** What the colours and heights mean; of the rarer waits, those that this recording has had. */

import { Look } from "../model/looks";
import { byId, el } from "./dom";
import { swatch } from "./swatch";

const STATES: readonly [string, Look][] = [
  ["running", Look.RUNNING],
  ["ready", Look.READY],
  ["stall", Look.STALLED],
  ["hub loop", Look.HUB],
];
const ALWAYS: ReadonlySet<string> = new Set(["read", "write", "timer"]);
const WAITS: readonly [string, Look][] = [
  ["read", Look.READ],
  ["write", Look.WRITE],
  ["timer", Look.TIMER],
  ["lock", Look.LOCK],
  ["queue", Look.QUEUE],
  ["event", Look.EVENT],
  ["join", Look.JOIN],
  ["other", Look.OTHER],
];

export class Legend {
  private readonly seen = new Set(ALWAYS);

  constructor() {
    this.render();
  }

  /** A wait that was seen once stays in the legend: nothing jumps about. */
  show(states: Record<string, number>): void {
    const before = this.seen.size;
    for (const [name] of WAITS) if ((states[name] ?? 0) > 0) this.seen.add(name);
    if (this.seen.size !== before) this.render();
  }

  private render(): void {
    const item = ([name, look]: readonly [string, Look]): HTMLElement => el("li", {}, swatch(look), name);
    byId("legend").replaceChildren(
      ...STATES.map(item),
      el("li", { class: "group" }, "waiting for"),
      ...WAITS.filter(([name]) => this.seen.has(name)).map(item),
    );
  }
}
