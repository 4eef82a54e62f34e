/** What is under the pointer, or at the keyboard's cursor: at once from what is held, then in full from the viewer. */

import { t } from "../language/language";
import * as format from "../model/format";
import { stateName } from "../model/labels";
import { lookOf } from "../model/looks";
import type { Segment } from "../model/segments";
import { OPEN, SEVERAL, type Span } from "../protocol/messages";
import { byId, el } from "./dom";
import { factRows, facts, insideText, lastedText } from "./details";
import { swatch } from "./swatch";

export class Tooltip {
  private readonly root = byId("tooltip");

  show(
    name: string,
    segment: Segment,
    hub: boolean,
    span: Span | null,
    clock: { now: number; started: number },
    x: number,
    y: number,
  ): void {
    const { now, started } = clock;
    const state = span?.state ?? segment.state;
    const reason = span?.reason ?? segment.reason;
    const open = span?.open ?? (segment.flags & OPEN) !== 0;
    const start = span?.start ?? segment.start;
    const end = open ? Math.max(now, span?.end ?? segment.end) : (span?.end ?? segment.end);
    const several = span === null ? (segment.flags & SEVERAL) !== 0 : span.inside > 1;
    const inside = span === null ? null : insideText(span);
    this.root.replaceChildren(
      el("div", { class: "tip-head" }, el("strong", {}, name), el("span", { class: "hint" }, t("span.at", { moment: format.moment(start, 3, started) }))),
      el(
        "div",
        { class: "tip-state" },
        swatch(lookOf(state, reason, hub)),
        el("span", {}, stateName(state, reason, hub)),
        el(
          "strong",
          {},
          several && span === null ? t("span.several") : lastedText(end - start, open),
        ),
      ),
    );
    if (span !== null) {
      const list = facts(span, now, started);
      if (list.length > 0) this.root.append(factRows(list));
      if (inside !== null) this.root.append(el("p", { class: "hint" }, inside));
    }
    this.root.hidden = false;
    this.place(x, y);
  }

  hide(): void {
    this.root.hidden = true;
  }

  private place(x: number, y: number): void {
    const box = this.root.getBoundingClientRect();
    const left = x + 16 + box.width > innerWidth - 8 ? x - 16 - box.width : x + 16;
    const top = y + 18 + box.height > innerHeight - 8 ? y - 14 - box.height : y + 18;
    this.root.style.transform = `translate(${Math.max(8, Math.round(left))}px, ${Math.max(8, Math.round(top))}px)`;
  }
}
