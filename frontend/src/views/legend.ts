/** What the colours and heights mean; of the rarer waits, those that this recording has had. */

import { t } from "../language/language";
import { waitName } from "../model/labels";
import { Look, lookOf } from "../model/looks";
import { Wait } from "../protocol/events";
import { State } from "../protocol/messages";
import { byId, el } from "./dom";
import { swatch } from "./swatch";

const STATES: readonly (readonly [string, Look])[] = [
  [t("state.running"), Look.RUNNING],
  [t("state.ready"), Look.READY],
  [t("legend.stall"), Look.STALLED],
  [t("legend.hub"), Look.HUB],
];
const WAITS: readonly (readonly [string, Look])[] = [
  [waitName(Wait.READ), Look.READ],
  [waitName(Wait.WRITE), Look.WRITE],
  [waitName(Wait.TIMER), Look.TIMER],
  [waitName(Wait.LOCK), Look.LOCK],
  [waitName(Wait.QUEUE), Look.QUEUE],
  [waitName(Wait.EVENT), Look.EVENT],
  [waitName(Wait.JOIN), Look.JOIN],
  [t("legend.turn"), Look.YIELD],
  [waitName(Wait.OTHER), Look.OTHER],
];
const ALWAYS: readonly Look[] = [Look.READ, Look.WRITE, Look.TIMER];

export class Legend {
  private readonly seen = new Set<Look>(ALWAYS);

  constructor() {
    this.render();
  }

  /** A wait that was seen once stays in the legend: nothing jumps about. */
  show(waits: ReadonlySet<number>): void {
    const before = this.seen.size;
    for (const reason of waits) {
      const look = lookOf(State.WAITING, reason);
      if (WAITS.some(([, each]) => each === look)) this.seen.add(look);
    }
    if (this.seen.size !== before) this.render();
  }

  private render(): void {
    const item = ([name, look]: readonly [string, Look]): HTMLElement => el("li", {}, swatch(look), name);
    byId("legend").replaceChildren(
      ...STATES.map(item),
      el("li", { class: "group" }, t("legend.waiting")),
      ...WAITS.filter(([, look]) => this.seen.has(look)).map(item),
    );
  }
}
