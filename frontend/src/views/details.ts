/** What is known of a span, as rows of words: the tooltip and the side panel say the same. */

import { t } from "../language/language";
import * as format from "../model/format";
import { peerName, wakeText } from "../model/labels";
import { resourceText } from "../model/table";
import { State, type Site, type Span } from "../protocol/messages";
import { el } from "./dom";

export function siteNode(site: Site): HTMLElement {
  const words = el("span", { class: "site", title: `${site.file}:${site.line}` }, format.siteText(site));
  return el("span", {}, words, site.function ? el("span", { class: "function" }, ` ${site.function}`) : null);
}

export type Fact = [name: string, value: string | HTMLElement];

/** What the site of a span is to it: of one that runs, only the line it went on from is known. */
const SITE_NAMES: Readonly<Record<number, string>> = {
  [State.RUNNING]: t("span.went_on"),
  [State.STALLED]: t("span.went_on"),
  [State.READY]: t("span.goes_on"),
  [State.WAITING]: t("span.parked"),
};

/** The facts of a span, in the order a person asks: on what, where, until when, why it went on. */
export function facts(span: Span, now: number, started: number): Fact[] {
  const list: Fact[] = [];
  if (span.fd !== null) list.push([t("span.on"), `fd ${span.fd}${span.peer ? ` · ${peerName(span.peer)}` : ""}`]);
  else if (span.peer) list.push([t("span.on"), peerName(span.peer)]);
  else if (span.state === State.WAITING) {
    const resource = resourceText(span.reason, span.resource);
    if (resource !== "") list.push([t("span.on"), resource]);
  }
  if (span.site !== null) list.push([SITE_NAMES[span.state] ?? t("span.line"), siteNode(span.site)]);
  if (span.deadline !== null) {
    const left = span.deadline - now;
    const soon = span.open && left > 0;
    const until = soon ? inText(left) : t("span.at", { moment: format.moment(span.deadline, 3, started) });
    list.push([t("span.until"), until]);
  } else if (span.state === State.WAITING && span.open) list.push([t("span.until"), t("span.no_deadline")]);
  if (span.woken_by !== null) list.push([t("span.woken"), wakeText(span.woken_by)]);
  if (span.parent !== null) list.push([t("span.spawned"), span.parent.name]);
  return list;
}

/** When something is due, or was: "in 2.00 s", "2.00 s ago". */
export function inText(left: number): string {
  return left >= 0 ? t("span.until.in", { duration: format.duration(left) }) : t("span.until.ago", { duration: format.duration(-left) });
}

/** How long something lasted, or has lasted so far. */
export function lastedText(ns: number, goesOn: boolean): string {
  return goesOn ? t("span.so_far", { duration: format.duration(ns) }) : format.duration(ns);
}

export function factRows(list: readonly Fact[]): HTMLElement {
  return el("dl", { class: "facts" }, ...list.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const SHARES = [
  ["running", t("state.running")],
  ["ready", t("state.ready")],
  ["waiting", t("state.waits")],
] as const;

/** "3 spans in this pixel: 61 % ready, 30 % running"; null when the pixel holds one. */
export function insideText(span: Span): string | null {
  if (span.inside <= 1) return null;
  const all = Math.max(1, span.running + span.ready + span.waiting);
  const shares = SHARES.filter(([name]) => span[name] > 0)
    .sort(([a], [b]) => span[b] - span[a])
    .map(([name, state]) => t("span.share", { percent: format.percent(span[name] / all), state }));
  return t("span.inside", { count: format.count(span.inside), shares: shares.join(t("list.comma")) });
}
