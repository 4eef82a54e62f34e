/** The panel beside the lanes: the selected finding, stall or span, or what is wrong. */

import * as format from "../model/format";
import { lookOf } from "../model/looks";
import { causeOf, findingOf } from "../model/findings";
import type { Recording } from "../model/recording";
import type { Finding, Row, Span, Stall } from "../protocol/messages";
import { byId, el } from "./dom";
import { factRows, facts, insideText, siteNode, stateName, type Fact } from "./details";
import { findingItem, findingNodes, stackNodes } from "./findings";
import { swatch } from "./swatch";

export interface SideEvents {
  showFinding(finding: Finding): void;
  fit(): void;
  close(): void;
}

export interface Selection {
  greenlet: number;
  name: string;
  hub: boolean;
  span: Span | null;
  stall: Stall | null;
  finding: Finding | null;
  row: Row | null;
}

const NEWEST = 8;

export class Side {
  private readonly root = byId("side");
  private shown = "";

  constructor(private readonly events: SideEvents) {}

  show(selection: Selection | null, recording: Recording | null, now: number, started: number): void {
    const status = recording?.status ?? null;
    const findings = recording?.findings ?? [];
    const live = recording?.live ?? false;
    const made = selection?.stall ? findingOf(findings, selection.stall) : null;
    // Rebuilding would take the focus from a button; so only when what it says has changed.
    const key = JSON.stringify([
      selection,
      selection?.span?.open ? Math.round(now / 1e8) : 0,
      selection === null ? findings.slice(0, NEWEST).map((each) => [causeOf(each), each.sentence]) : 0,
      selection === null ? recording?.diagnosis === null : 0,
      made === null ? 0 : causeOf(made),
      status?.state,
      started,
    ]);
    if (key === this.shown) return;
    this.shown = key;
    const focused = this.root.contains(document.activeElement) ? document.activeElement?.id : null;
    if (selection === null) this.showAll(recording, live, started);
    else if (selection.finding !== null) this.showFinding(selection.finding, live, started);
    else if (selection.stall !== null) this.showStall(selection, selection.stall, made, now, started, live);
    else this.showSpan(selection, now, started);
    if (focused) document.getElementById(focused)?.focus();
  }

  private showFinding(finding: Finding, live: boolean, started: number): void {
    this.root.replaceChildren(
      this.head(`${finding.id} · ${format.duration(finding.duration)}`, finding.severity === "critical"),
      ...findingNodes(finding, live, started),
      el("div", { class: "side-actions" }, this.fitButton()),
    );
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

  private showStall(selection: Selection, stall: Stall, made: Finding | null, now: number, started: number, live: boolean): void {
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
    if (made !== null) this.root.append(...stackNodes(made));
    else if (lines.length > 0) {
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

  private showAll(recording: Recording | null, live: boolean, started: number): void {
    const findings = recording?.findings.slice(0, NEWEST) ?? [];
    this.root.replaceChildren(el("div", { class: "side-head" }, el("h2", {}, findings.length > 0 ? "What is wrong" : "Details")));
    if (findings.length > 0) {
      const list = el("ul", { class: "findings compact" });
      for (const each of findings) list.append(findingItem(each, live, started, false, () => this.events.showFinding(each)));
      this.root.append(list);
    } else if (recording?.diagnosis) {
      this.root.append(el("p", { class: "calm" }, "Nothing is wrong."));
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
