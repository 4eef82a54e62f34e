/** The panel beside the lanes: the selected finding, stall or span, or what is wrong. */

import { BETWEEN, counted, pieces, t } from "../language/language";
import * as format from "../model/format";
import { causeOf, findingOf } from "../model/findings";
import { diagnosisNames, rowLabel, stateName, wakeText } from "../model/labels";
import { lookOf } from "../model/looks";
import type { Recording } from "../model/recording";
import type { Finding, Row, Span, Stall } from "../protocol/messages";
import { byId, el } from "./dom";
import { factRows, facts, insideText, lastedText, siteNode, type Fact } from "./details";
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
      this.head([...diagnosisNames(finding.id), format.duration(finding.duration)].join(" · "), finding.severity === "critical", true),
      ...findingNodes(finding, live, started),
      el("div", { class: "side-actions" }, this.fitButton()),
    );
  }

  /** `whole`: a title that is not cut, however long it is. */
  private head(title: string, alarm: boolean, whole = false): HTMLElement {
    const close = el("button", { class: "button icon small", id: "side-close", "aria-label": t("side.close") }, "×");
    close.addEventListener("click", () => this.events.close());
    return el("div", { class: "side-head" }, el("h2", { class: [alarm && "alarm", whole && "whole"].filter(Boolean).join(" ") }, title), close);
  }

  private fitButton(): HTMLElement {
    const fit = el("button", { class: "button small", id: "side-fit" }, t("side.fit"), el("kbd", { "aria-hidden": "true" }, "F"));
    fit.addEventListener("click", () => this.events.fit());
    return fit;
  }

  private showStall(selection: Selection, stall: Stall, made: Finding | null, now: number, started: number, live: boolean): void {
    const { span, row } = selection;
    const open = live && stall.end === null;
    const list: Fact[] = [
      [t("side.start"), format.time(stall.start, 6)],
      [t("side.clock"), format.wallTime(stall.start, started)],
      [t("side.duration"), lastedText(open ? Math.max(stall.duration, now - stall.start) : stall.duration, open)],
    ];
    if (stall.ready > 0) list.push([t("stall.held_up"), t("stall.held_up.ready", { count: format.count(stall.ready) })]);
    if (span?.woken_by) list.push([t("stall.switched_in"), wakeText(span.woken_by)]);
    if (span?.parent) list.push([t("span.spawned"), span.parent.name]);
    if (row !== null) list.push([t("stall.run_time"), format.duration(row.run_time)]);
    const { before, after } = stall;
    const lines: Fact[] = [];
    if (before !== null) lines.push([t("span.went_on"), siteNode(before)]);
    if (after !== null) lines.push([t("stall.next"), siteNode(after)]);
    this.root.replaceChildren(
      this.head(t("stall.head", { duration: format.duration(stall.duration) }), true),
      el("p", {}, ...pieces(open ? "stall.holds" : "stall.held", { name: el("strong", {}, stall.name) }), BETWEEN, heldUp(stall)),
      factRows(list),
    );
    if (made !== null) this.root.append(...stackNodes(made));
    else if (lines.length > 0) {
      this.root.append(
        el("h3", {}, t(after === null ? "stall.after" : "stall.between")),
        factRows(lines),
        el("p", { class: "hint" }, t("stall.not_exact")),
      );
    }
    const advice = el(
      "p",
      { class: "advice" },
      el("strong", {}, `${t("stall.try")} `),
      ...pieces("stall.advice", { code: el("code", {}, "sleep(0)") }),
    );
    this.root.append(advice, el("div", { class: "side-actions" }, this.fitButton()));
  }

  private showSpan(selection: Selection, now: number, started: number): void {
    const { span, row, hub, name } = selection;
    this.root.replaceChildren(this.head(name, false));
    if (span !== null) {
      const end = span.open ? Math.max(now, span.end) : span.end;
      const list: Fact[] = [
        [t("side.start"), format.time(span.start, 6)],
        [t("side.clock"), format.wallTime(span.start, started)],
        [t("side.duration"), lastedText(end - span.start, span.open)],
        ...facts(span, now, started),
      ];
      this.root.append(
        el("p", { class: "tip-state" }, swatch(lookOf(span.state, span.reason, hub)), el("span", {}, stateName(span.state, span.reason, hub))),
        factRows(list),
      );
      const inside = insideText(span);
      if (inside !== null) this.root.append(el("p", { class: "hint" }, t("side.zoom_in", { inside })));
    } else {
      this.root.append(el("p", { class: "hint" }, t("side.unknown")));
    }
    if (row !== null) {
      this.root.append(
        el("h3", {}, t(row.alive ? "side.now" : "side.end")),
        factRows([
          [t("side.state"), rowLabel(row)],
          [t("side.switches"), format.count(row.switches)],
          [t("side.run_time"), format.duration(row.run_time)],
          [t("side.number"), `#${row.id}`],
        ]),
      );
    }
    this.root.append(el("div", { class: "side-actions" }, this.fitButton()));
  }

  private showAll(recording: Recording | null, live: boolean, started: number): void {
    const findings = recording?.findings.slice(0, NEWEST) ?? [];
    this.root.replaceChildren(el("div", { class: "side-head" }, el("h2", {}, t(findings.length > 0 ? "side.wrong" : "side.details"))));
    if (findings.length > 0) {
      const list = el("ul", { class: "findings compact" });
      for (const each of findings) list.append(findingItem(each, live, started, false, () => this.events.showFinding(each)));
      this.root.append(list);
    } else if (recording?.diagnosis) {
      this.root.append(el("p", { class: "calm" }, t("side.nothing")));
    }
    this.root.append(el("p", { class: "hint" }, t("side.hint")));
  }
}

/** Nobody ready says little: what became readable meanwhile is seen at the next poll only. */
function heldUp(stall: Stall): string {
  return stall.ready === 0 ? t("stall.nobody") : counted("stall.others", stall.ready);
}
