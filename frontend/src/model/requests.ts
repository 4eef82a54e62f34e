/** Requests in words, and what their bars and waterfalls are made of. */

import { counted, t } from "../language/language";
import { PathState, State, type Member, type Only, type Order, type Requests, type ServedRequest } from "../protocol/messages";
import * as format from "./format";
import { stateLabel } from "./labels";
import { niceStep } from "./ticks";

export function orderName(order: Order): string {
  return t(`order.${order}`);
}

/** Those that are offered; the viewer knows more. */
export const ONLY_NAMES: readonly (readonly [Only, string])[] = [
  ["all", t("only.all")],
  ["failed", t("only.failed")],
  ["4xx", "4xx"],
  ["going_on", t("only.going_on")],
];

/** A stretch of a bar. */
export interface Stretch {
  start: number;
  end: number;
  state: number;
  reason: number;
  /** Whether it is the hub's. */
  hub?: boolean;
}

/** "GET /orders/7?all=1". */
export function whatOf(request: ServedRequest): string {
  const target = request.query ? `${request.path}?${request.query}` : request.path;
  return `${request.method} ${target}`.trim() || request.id || t("request.numbered", { number: request.number });
}

/** What became of it, in a word; `live` says whether its process is. */
export function statusOf(request: ServedRequest, live: boolean): string {
  if (request.outcome === "lost") return t("request.end_lost");
  if (request.outcome === "going_on") return t(live ? "request.going_on" : "request.no_end");
  return request.error ?? (request.status === null ? "" : String(request.status));
}

export function statusClass(request: ServedRequest, live: boolean): string {
  if (request.outcome === "going_on") return live ? "going-on" : "lost";
  if (request.outcome === "lost") return "lost";
  return request.failed ? "failed" : (request.status ?? 0) >= 400 ? "refused" : "";
}

/** How long it took, or has taken. */
export function wallText(request: ServedRequest, live: boolean): string {
  const duration = format.duration(request.wall);
  return request.outcome === "going_on" && live ? t("span.so_far", { duration }) : duration;
}

/** Its time as a stacked bar: running, starved, then waits, the longest first. */
export function stretchesOf(request: ServedRequest): Stretch[] {
  const parts: [number, number, number][] = [
    [request.running, State.RUNNING, 0],
    [request.starved, State.READY, 0],
    ...request.waits.map(({ total, reason }): [number, number, number] => [total, State.WAITING, reason]),
    [request.ended, PathState.ENDED, 0],
    [request.unknown, PathState.UNKNOWN, 0],
  ];
  const stretches: Stretch[] = [];
  let at = 0;
  for (const [total, state, reason] of parts) {
    if (total > 0) stretches.push({ start: at, end: (at += total), state, reason });
  }
  return stretches;
}

/** The same in words, for who does not see it. */
export function partsText(request: ServedRequest): string {
  const { running, starved, waits, ended, unknown } = request;
  const parts: [number, string][] = [
    [running, t("state.running")],
    [starved, t("state.starved")],
    ...waits.map(({ total, reason }): [number, string] => [total, stateLabel(State.WAITING, reason)]),
    [ended, t("state.ended")],
    [unknown, t("request.overwritten")],
  ];
  return parts
    .filter(([total]) => total > 0)
    .map(([total, words]) => t("request.part", { state: words, duration: format.duration(total) }))
    .join(t("list.comma"));
}

/** What is not in the list, and why. */
export function missingText({ without_begin, forgotten, lost }: Requests): string {
  const said = [];
  if (without_begin > 0) said.push(counted("requests.left_out", without_begin));
  if (forgotten > 0) said.push(counted("requests.forgotten", forgotten));
  if (lost > 0) said.push(t("requests.lost", { count: format.count(lost) }));
  return said.join(" · ");
}

/** How many have no end; `live` says whether they may still get one. */
export function goingOnText(count: number, live: boolean): string {
  return t(live ? "requests.going_on" : "requests.without_end", { count: format.count(count) });
}

/** How many are shown, of how many. */
export function countText({ requests, found, total, going_on }: Requests, live: boolean): string {
  const words = [];
  if (requests.length < found) words.push(t("requests.showing", { count: requests.length, total: format.count(found) }));
  else if (found < total) words.push(t("requests.of", { count: format.count(found), total: format.count(total) }));
  else words.push(counted("requests.count", total));
  if (going_on > 0) words.push(goingOnText(going_on, live));
  return words.join(" · ");
}

/** Where the axis of a waterfall has ticks, from its beginning: at most so many. */
export function waterfallTicks(wall: number, most: number): { at: number; text: string }[] {
  const step = niceStep(Math.max(1, wall / Math.max(1, most)));
  const ticks = [];
  for (let at = 0; at <= wall; at += step) ticks.push({ at, text: at === 0 ? "0" : shortDuration(at) });
  return ticks;
}

function shortDuration(ns: number): string {
  const { value, unit } = format.durationParts(ns);
  return `${value.replace(/\.?0+$/, (zeros) => (zeros.startsWith(".") ? "" : zeros))} ${unit}`;
}

/** Where the critical path goes from one greenlet's row to another's. */
export function handOvers(members: readonly Member[]): { at: number; from: number; to: number }[] {
  const stretches = members.flatMap((member, row) => member.on_path.map(([start, end]) => ({ start, end, row })));
  stretches.sort((a, b) => a.start - b.start || a.end - b.end);
  const found = [];
  for (let i = 1; i < stretches.length; i++) {
    const [before, after] = [stretches[i - 1]!, stretches[i]!];
    if (before.row !== after.row) found.push({ at: after.start, from: before.row, to: after.row });
  }
  return found;
}
