/** What is known of a span, as rows of words: the tooltip and the side panel say the same. */

import * as format from "../model/format";
import { APPEARANCE, Look, lookOf } from "../model/looks";
import { resourceText } from "../model/table";
import { State, type Site, type Span } from "../protocol/messages";
import { el } from "./dom";

export function lookName(look: Look): string {
  return look === Look.NOTHING ? "Nothing known" : APPEARANCE[look].name;
}

export function stateName(state: number, reason: number, hub: boolean): string {
  if (state === State.RUNNING && hub) return "Hub loop";
  if (state === State.STALLED) return "Stalled";
  if (state === State.READY) return "Ready";
  return lookName(lookOf(state, reason, hub));
}

export function siteNode(site: Site): HTMLElement {
  const words = el("span", { class: "site", title: `${site.file}:${site.line}` }, format.siteText(site));
  return el("span", {}, words, site.function ? el("span", { class: "function" }, ` ${site.function}`) : null);
}

export type Fact = [name: string, value: string | HTMLElement];

/** What the site of a span is to it: of one that runs, only the line it went on from is known. */
const SITE_NAMES: Readonly<Record<number, string>> = {
  [State.RUNNING]: "Went on after",
  [State.STALLED]: "Went on after",
  [State.READY]: "Goes on after",
  [State.WAITING]: "Parked at",
};

/** The facts of a span, in the order a person asks: on what, where, until when, why it went on. */
export function facts(span: Span, now: number, started: number): Fact[] {
  const list: Fact[] = [];
  if (span.fd !== null) list.push(["Waiting on", `fd ${span.fd}${span.peer ? ` · ${span.peer}` : ""}`]);
  else if (span.peer) list.push(["Waiting on", span.peer]);
  else if (span.state === State.WAITING) {
    const resource = resourceText(span.reason, span.resource);
    if (resource !== "") list.push(["Waiting on", resource]);
  }
  if (span.site !== null) list.push([SITE_NAMES[span.state] ?? "Line", siteNode(span.site)]);
  if (span.deadline !== null) {
    const left = span.deadline - now;
    const until = span.open && left > 0 ? `in ${format.duration(left)}` : `at ${format.moment(span.deadline, 3, started)}`;
    list.push(["Until", until]);
  } else if (span.state === State.WAITING && span.open) list.push(["Until", "no deadline"]);
  if (span.woken_by !== null) list.push(["Woken by", span.woken_by]);
  if (span.parent !== null) list.push(["Spawned by", span.parent.name]);
  return list;
}

export function factRows(list: readonly Fact[]): HTMLElement {
  return el("dl", { class: "facts" }, ...list.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** "3 spans in this pixel: 61 % ready, 30 % running"; null when the pixel holds one. */
export function insideText(span: Span): string | null {
  if (span.inside <= 1) return null;
  const all = Math.max(1, span.running + span.ready + span.waiting);
  const shares = (["running", "ready", "waiting"] as const)
    .filter((name) => span[name] > 0)
    .sort((a, b) => span[b] - span[a])
    .map((name) => `${format.percent(span[name] / all)} % ${name}`);
  return `${format.count(span.inside)} spans in this pixel: ${shares.join(", ")}`;
}
