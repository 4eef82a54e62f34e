/** The list of what is wrong, worst first; and one finding whole, for the panel beside the lanes. */

import { language, t } from "../language/language";
import { causeOf, mentions, sameCause } from "../model/findings";
import * as format from "../model/format";
import { diagnosisNames } from "../model/labels";
import type { Finding, Findings, Site } from "../protocol/messages";
import { factRows, lastedText, siteNode, type Fact } from "./details";
import { byId, el, english, setText } from "./dom";

/** A mark beside its colour: severity is not told by colour alone. */
const MARKS: Readonly<Record<Finding["severity"], string>> = { critical: "!", warning: "▲", note: "i" };

function lasted(finding: Finding, live: boolean): string {
  return lastedText(finding.duration, live && finding.end === null);
}

export function severityName({ severity }: Finding): string {
  return t(`severity.${severity}`);
}

export function findingItem(finding: Finding, live: boolean, started: number, selected: boolean, show: () => void): HTMLElement {
  const where = finding.site === null ? "" : format.siteText(finding.site);
  const moment = format.moment(finding.start, 2, started);
  const when = [
    t(finding.end === null && live ? "finding.since" : "span.at", { moment }),
    lasted(finding, live),
    finding.count > 1 && t("finding.times", { count: format.count(finding.count) }),
  ];
  const button = el(
    "button",
    { class: `finding ${finding.severity}`, "aria-current": selected ? "true" : undefined },
    el("span", { class: "finding-mark", "aria-hidden": "true" }, MARKS[finding.severity]),
    el(
      "span",
      { class: "finding-id" },
      el("span", { class: "sr-only" }, t("finding.severity", { severity: severityName(finding) })),
      ...diagnosisNames(finding.id).map((name) => el("span", {}, name)),
    ),
    el("span", { class: "finding-sentence", lang: "en" }, finding.sentence),
    el("span", { class: "finding-where", title: finding.site === null ? "" : `${finding.site.file}:${finding.site.line}` }, where),
    el("span", { class: "finding-when" }, when.filter(Boolean).join(" · ")),
  );
  button.addEventListener("click", show);
  return el("li", {}, button);
}

export class FindingList {
  private shown = "";

  constructor(private readonly choose: (finding: Finding) => void) {}

  show(diagnosis: Findings | null, selected: Finding | null, search: string, live: boolean, started: number): void {
    const total = diagnosis?.total ?? 0;
    const badge = byId("stalls-badge");
    badge.hidden = total === 0;
    setText(badge, format.count(total));
    const key = JSON.stringify([diagnosis, selected === null ? null : causeOf(selected), search, live, started]);
    if (key === this.shown) return;
    this.shown = key;
    const findings = (diagnosis?.findings ?? []).filter((finding) => mentions(finding, search));
    setText(
      byId("stalls-count"),
      total > findings.length
        ? t("finding.showing", { count: findings.length, total: format.count(total) })
        : findings.length > 1
          ? t("finding.worst_first")
          : "",
    );
    const list = byId("stalls");
    const at = [...list.children].findIndex((item) => item.contains(document.activeElement));
    list.replaceChildren(
      ...findings.map((finding) => findingItem(finding, live, started, sameCause(finding, selected), () => this.choose(finding))),
    );
    if (at >= 0) list.children[Math.min(at, findings.length - 1)]?.querySelector("button")?.focus();
    const empty = byId("stalls-empty");
    empty.hidden = findings.length > 0;
    setText(
      empty,
      total > 0 ? t("finding.search", { search }) : t(diagnosis === null ? "finding.looking" : "side.nothing"),
    );
  }
}

/** All that is known of it, but for its head and its buttons. */
export function findingNodes(finding: Finding, live: boolean, started: number): HTMLElement[] {
  const list: Fact[] = [
    [t(finding.end === null && live ? "side.since" : "side.start"), format.time(finding.start, 6)],
    [t("side.clock"), format.wallTime(finding.start, started)],
    [t("side.duration"), lasted(finding, live)],
  ];
  if (finding.count > 1) list.push([t("finding.struck"), t("finding.longest", { count: format.count(finding.count) })]);
  if (finding.resource !== null) list.push([t("finding.on"), english(finding.resource)]);
  if (finding.others_total > 0) {
    const named = finding.others.slice(0, 3).map((who) => who.name).join(t("list.comma"));
    const more = finding.others_total - 3;
    list.push([t("finding.with"), more > 0 ? t("finding.more", { names: named, count: format.count(more) }) : named]);
  }
  const nodes: HTMLElement[] = [el("p", { class: "finding-told", lang: "en" }, finding.sentence), factRows(list)];
  nodes.push(...stackNodes(finding));
  if (finding.evidence.length > 0) {
    const seen = finding.evidence.map((each) =>
      el(
        "li",
        {},
        el("span", { class: "evidence-at" }, each.at === null ? "" : format.time(each.at, 3)),
        el("span", { lang: "en" }, each.greenlet === null ? null : el("strong", {}, each.greenlet.name), ` ${each.text}`),
      ),
    );
    nodes.push(el("h3", {}, t("finding.seen")), el("ul", { class: "evidence" }, ...seen));
  }
  const advice = language === "en" ? lowered(finding.advice) : finding.advice;
  nodes.push(el("p", { class: "advice" }, el("strong", {}, `${t("stall.try")} `), english(advice)));
  return nodes;
}

/** The stack, if more than a line is known, and the source around the line. */
export function stackNodes(finding: Finding): HTMLElement[] {
  const nodes: HTMLElement[] = [];
  const { site, stack, source } = finding;
  const frames = stack.length > 0 ? stack : site === null ? [] : [site];
  if (frames.length > 0) {
    const items = frames.map((frame) => el("li", { class: same(frame, site) ? "culprit" : undefined }, siteNode(frame)));
    nodes.push(el("h3", {}, t(frames.length > 1 ? "finding.stack" : "finding.line")), el("ol", { class: "stack" }, ...items));
  }
  if (source !== null && site !== null) {
    const lines = source.lines.map((text, index) => {
      const number = source.first + index;
      return el(
        "div",
        { class: number === site.line ? "source-line here" : "source-line" },
        el("span", { class: "source-number" }, String(number)),
        el("code", {}, text),
      );
    });
    nodes.push(el("div", { class: "source", role: "group", "aria-label": t("finding.source", { line: site.line }), tabindex: 0 }, ...lines));
  }
  return nodes;
}

function same(frame: Site, site: Site | null): boolean {
  return site !== null && frame.file === site.file && frame.line === site.line && frame.function === site.function;
}

function lowered(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
