/** What the colours and heights mean; of the rarer waits, those that this recording has had. */

import { Look, lookOf } from "../model/looks";
import { State } from "../protocol/messages";
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
  ["turn", Look.YIELD],
  ["other", Look.OTHER],
];

export class Legend {
  private readonly seen = new Set(ALWAYS);

  constructor() {
    this.render();
  }

  /** A wait that was seen once stays in the legend: nothing jumps about. */
  show(waits: ReadonlySet<number>): void {
    const before = this.seen.size;
    for (const reason of waits) {
      const look = lookOf(State.WAITING, reason);
      const found = WAITS.find(([, each]) => each === look);
      if (found) this.seen.add(found[0]);
    }
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
