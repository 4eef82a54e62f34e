/** The list of stalls. */

import * as format from "../model/format";
import { isGone, sameStall, stallPlace } from "../model/stalls";
import type { Stall, Status } from "../protocol/messages";
import { byId, el, setText } from "./dom";

export interface StallContext {
  /** Seconds since the epoch at time 0, and the oldest time that is kept. */
  started: number;
  begin: number;
  /** Whether what has no end goes on. */
  live: boolean;
}

export function stallItem(stall: Stall, { started, begin, live }: StallContext, show: () => void, selected = false): HTMLElement {
  const where = stallPlace(stall, live);
  const gone = isGone(stall, begin);
  const when = [
    `at ${format.moment(stall.start, 2, started)}`,
    stall.ready > 0 && `${format.count(stall.ready)} held up`,
    gone && "no longer kept",
  ];
  const button = el(
    "button",
    { class: "stall", "aria-current": selected ? "true" : undefined, disabled: gone },
    el("span", { class: "stall-duration" }, format.duration(stall.duration), live && stall.end === null ? "…" : null),
    el("span", { class: "stall-name", title: stall.name }, stall.name),
    el("span", { class: "stall-where", title: where }, where),
    el("span", { class: "stall-when" }, when.filter(Boolean).join(" · ")),
  );
  button.addEventListener("click", show);
  return el("li", {}, button);
}

export class StallList {
  private shown = "";

  constructor(private readonly choose: (stall: Stall) => void) {}

  show(status: Status, selected: Stall | null, search: string, started: number): void {
    const badge = byId("stalls-badge");
    badge.hidden = status.stalls_total === 0;
    setText(badge, format.count(status.stalls_total));
    const gone = status.stalls.filter((stall) => isGone(stall, status.begin)).length;
    const key = JSON.stringify([status.stalls, status.stalls_total, selected?.start, search, status.stall_threshold, status.state, started, gone]);
    if (key === this.shown) return;
    this.shown = key;
    const wanted = search.trim().toLowerCase();
    const stalls = status.stalls.filter(
      (stall) =>
        wanted === "" ||
        [stall.name, stall.before?.file, stall.after?.file].some((field) => field?.toLowerCase().includes(wanted)),
    );
    setText(
      byId("stalls-count"),
      status.stalls_total > stalls.length
        ? `showing ${stalls.length} of ${format.count(status.stalls_total)}, newest first`
        : stalls.length > 0
          ? "newest first"
          : "",
    );
    const list = byId("stalls");
    const at = [...list.children].findIndex((item) => item.contains(document.activeElement));
    const context = { started, begin: status.begin, live: status.state === "live" };
    const item = (stall: Stall): HTMLElement => stallItem(stall, context, () => this.choose(stall), sameStall(stall, selected));
    list.replaceChildren(...stalls.map(item));
    if (at >= 0) list.children[Math.min(at, stalls.length - 1)]?.querySelector("button")?.focus();
    const empty = byId("stalls-empty");
    empty.hidden = stalls.length > 0;
    setText(
      empty,
      status.stalls.length > 0
        ? `No stall matches “${search}”.`
        : `No greenlet has held the hub for ${format.duration(status.stall_threshold)} or longer.`,
    );
  }
}
