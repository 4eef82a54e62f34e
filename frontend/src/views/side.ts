/** The panel beside the lanes: the selected stall, the selected span, or the newest stalls. */

import * as format from "../model/format";
import { lookOf } from "../model/looks";
import { isGone } from "../model/stalls";
import type { Row, Span, Stall, Status } from "../protocol/messages";
import { byId, el } from "./dom";
import { factRows, facts, insideText, siteNode, stateName, type Fact } from "./details";
import { stallItem } from "./stalls";
import { swatch } from "./swatch";

export interface SideEvents {
  showStall(stall: Stall): void;
  fit(): void;
  close(): void;
}

export interface Selection {
  greenlet: number;
  name: string;
  hub: boolean;
  span: Span | null;
  stall: Stall | null;
  row: Row | null;
}

export class Side {
  private readonly root = byId("side");
  private shown = "";

  constructor(private readonly events: SideEvents) {}

  show(selection: Selection | null, status: Status | null, now: number, started: number): void {
    // Rebuilding would take the focus from a button; so only when what it says has changed.
    const key = JSON.stringify([
      selection,
      selection?.span?.open ? Math.round(now / 1e8) : 0,
      selection === null ? status?.stalls.slice(0, 8) : 0,
      selection === null ? status?.stall_threshold : 0,
      selection === null ? status?.stalls.slice(0, 8).filter((stall) => isGone(stall, status.begin)).length : 0,
      status?.state,
      started,
    ]);
    if (key === this.shown) return;
    this.shown = key;
    const focused = this.root.contains(document.activeElement) ? document.activeElement?.id : null;
    if (selection === null) this.showNewest(status, started);
    else if (selection.stall !== null) this.showStall(selection, selection.stall, now, started, status?.state === "live");
    else this.showSpan(selection, now, started);
    if (focused) document.getElementById(focused)?.focus();
  }

  private head(title: string, alarm: boolean): HTMLElement {
    const close = el("button", { class: "button icon small", id: "side-close", "aria-label": "Close details" }, "×");
    close.addEventListener("click", () => this.events.close());
    return el("div", { class: "side-head" }, el("h2", { class: alarm ? "alarm" : undefined }, title), close);
  }

  private fitButton(): HTMLElement {
    const fit = el("button", { class: "button small", id: "side-fit" }, "Fit in view", el("kbd", { "aria-hidden": "true" }, "F"));
    fit.addEventListener("click", () => this.events.fit());
    return fit;
  }

  private showStall(selection: Selection, stall: Stall, now: number, started: number, live: boolean): void {
    const { span, row } = selection;
    const open = live && stall.end === null;
    const list: Fact[] = [
      ["Start", format.time(stall.start, 6)],
      ["Clock", format.wallTime(stall.start, started)],
      ["Duration", `${format.duration(open ? Math.max(stall.duration, now - stall.start) : stall.duration)}${open ? " so far" : ""}`],
    ];
    if (stall.ready > 0) list.push(["Held up", `${format.count(stall.ready)} ready`]);
    if (span?.woken_by) list.push(["Switched in by", span.woken_by]);
    if (span?.parent) list.push(["Spawned by", span.parent.name]);
    if (row !== null) list.push(["Run time in all", format.duration(row.run_time)]);
    const { before, after } = stall;
    const lines: Fact[] = [];
    if (before !== null) lines.push(["Went on after", siteNode(before)]);
    if (after !== null) lines.push(["Parked next at", siteNode(after)]);
    this.root.replaceChildren(
      this.head(`Stall · ${format.duration(stall.duration)}`, true),
      el("p", {}, el("strong", {}, stall.name), open ? " holds the hub without yielding. " : " held the hub without yielding. ", heldUp(stall)),
      factRows(list),
    );
    if (lines.length > 0) {
      this.root.append(
        el("h3", {}, after === null ? "After this line" : "Between these lines"),
        factRows(lines),
        el("p", { class: "hint" }, "Switches alone do not tell the exact line: what took the time ran in between."),
      );
    }
    const advice = el("p", { class: "advice" }, el("strong", {}, "Try "));
    advice.append(
      el("code", {}, "sleep(0)"),
      " now and then in the code that runs there, so that others get their turn; or move the work to a thread or another process.",
    );
    this.root.append(advice, el("div", { class: "side-actions" }, this.fitButton()));
  }

  private showSpan(selection: Selection, now: number, started: number): void {
    const { span, row, hub, name } = selection;
    this.root.replaceChildren(this.head(name, false));
    if (span !== null) {
      const end = span.open ? Math.max(now, span.end) : span.end;
      const list: Fact[] = [
        ["Start", format.time(span.start, 6)],
        ["Clock", format.wallTime(span.start, started)],
        ["Duration", `${format.duration(end - span.start)}${span.open ? " so far" : ""}`],
        ...facts(span, now, started),
      ];
      this.root.append(
        el("p", { class: "tip-state" }, swatch(lookOf(span.state, span.reason, hub)), el("span", {}, stateName(span.state, span.reason, hub))),
        factRows(list),
      );
      const inside = insideText(span);
      if (inside !== null) this.root.append(el("p", { class: "hint" }, `${inside}. Zoom in to tell them apart.`));
    } else {
      this.root.append(el("p", { class: "hint" }, "Nothing is known of it at this time."));
    }
    if (row !== null) {
      this.root.append(
        el("h3", {}, row.alive ? "Now" : "In the end"),
        factRows([
          ["State", row.alive ? row.label : (row.exit ?? "exited")],
          ["Switches", format.count(row.switches)],
          ["Run time", format.duration(row.run_time)],
          ["Number", `#${row.id}`],
        ]),
      );
    }
    this.root.append(el("div", { class: "side-actions" }, this.fitButton()));
  }

  private showNewest(status: Status | null, started: number): void {
    const stalls = status?.stalls.slice(0, 8) ?? [];
    this.root.replaceChildren(el("div", { class: "side-head" }, el("h2", {}, stalls.length > 0 ? "Newest stalls" : "Details")));
    if (stalls.length > 0) {
      const list = el("ul", { class: "stalls compact" });
      const context = { started, begin: status?.begin ?? 0, live: status?.state === "live" };
      for (const stall of stalls) list.append(stallItem(stall, context, () => this.events.showStall(stall)));
      this.root.append(list);
    } else if (status !== null) {
      this.root.append(
        el("p", { class: "calm" }, `No greenlet has held the hub for ${format.duration(status.stall_threshold)} or longer.`),
      );
    }
    this.root.append(el("p", { class: "hint" }, "Click a span in a lane to see what it waited on, at which line, and what woke it."));
  }
}

/** Nobody ready says little: what became readable meanwhile is seen at the next poll only. */
function heldUp(stall: Stall): string {
  if (stall.ready === 0) return "Until it yields the hub cannot poll, and nobody else can run.";
  const who = stall.ready === 1 ? "1 greenlet was" : `${format.count(stall.ready)} greenlets were`;
  return `${who} ready and had to wait.`;
}
