/** A profile in words: what it is by, what its columns and headings are, and the bins of its charts. */

import type { By, Load, Profile, ProfilePart, ProfileRow, Site, Spread } from "../protocol/messages";
import * as format from "./format";

export const ABOUT: Readonly<Record<By, { title: string; text: string }>> = {
  line: { title: "Line", text: "What greenlets waited for, at which line." },
  stack: { title: "Stack", text: "The same by whole stacks, where the process records them." },
  reason: { title: "Reason", text: "What for, in all; and how long greenlets ran, and were ready." },
  peer: { title: "Peer", text: "For whom they waited, at the other end of a connection." },
  resource: { title: "Resource", text: "For which lock, queue, event or descriptor." },
  waker: { title: "Waker", text: "Who ended whose wait, and how long that had been." },
  latency: { title: "Latency", text: "How long those that could run waited for the hub." },
  load: { title: "Load", text: "How busy the hub was, and with whom." },
};

export const HEADINGS: Readonly<Record<ProfilePart["part"], string>> = {
  hub: "On the hub, and waiting for it",
  wait: "Waiting for others",
  sleep: "Asleep",
  idle: "Waiting for work to come",
};

const HUB_HEADINGS: Readonly<Partial<Record<By, string>>> = { latency: "Who waited", load: "Who ran" };

export function heading(by: By, part: ProfilePart["part"]): string {
  return (part === "hub" ? HUB_HEADINGS[by] : undefined) ?? HEADINGS[part];
}

/** What a column says of a row. */
export type Says = "label" | "what" | "sleeper" | "site" | "stack";

const OF_LONGEST = "Line of the longest";
export const COLUMNS: Readonly<Record<By, readonly (readonly [Says, string])[]>> = {
  line: [["site", "Line"], ["label", "Reason"]],
  stack: [["stack", "Stack"], ["label", "Reason"]],
  reason: [["label", "Reason"], ["site", OF_LONGEST]],
  peer: [["what", "Peer"], ["label", "Reason"], ["site", OF_LONGEST]],
  resource: [["what", "Resource"], ["label", "Reason"], ["site", OF_LONGEST]],
  waker: [["what", "Woken by"], ["sleeper", "Sleeper"], ["label", "Reason"], ["site", OF_LONGEST]],
  latency: [["what", "Greenlet"]],
  load: [["what", "Greenlet"]],
};

/** One column of a histogram. */
export interface Bin {
  count: number;
  /** Its height, of the tallest. */
  height: number;
  /** Beneath it, where there is room for few. */
  tick: string;
  /** All of it in words. */
  text: string;
}

export function binsOfSpread(spread: Spread): Bin[] {
  return bins(
    spread.classes.map(({ least, below, count, total }) => ({
      count,
      tick: isDecade(least) ? shortDuration(least) : "",
      range: below === null ? `${shortDuration(least)} or more` : `${shortDuration(least)} to ${shortDuration(below)}`,
      more: count > 0 ? `, ${format.duration(total)} in all` : "",
    })),
  );
}

export function binsOfLoad(load: Load): Bin[] {
  return bins(
    load.classes.map(({ least, most, count }) => ({
      count,
      tick: `${format.percent(least)}%`,
      range: `${format.percent(least)} to ${format.percent(most)} % busy`,
      more: "",
    })),
  );
}

function bins(classes: readonly { count: number; tick: string; range: string; more: string }[]): Bin[] {
  const most = Math.max(1, ...classes.map(({ count }) => count));
  const all = Math.max(1, classes.reduce((sum, { count }) => sum + count, 0));
  return classes.map(({ count, tick, range, more }) => ({
    count,
    height: count / most,
    tick,
    text: `${range}: ${count === 1 ? "once" : `${format.count(count)} times`}, ${format.percent(count / all)} %${more}`,
  }));
}

/** 1, 10, 100 of a unit: what the axis is labelled at. */
function isDecade(ns: number): boolean {
  return ns > 0 && /^1(0*)$/.test(String(ns));
}

/** "200 µs", "1 s": the edges of classes are round. */
export function shortDuration(ns: number): string {
  if (ns === 0) return "0";
  const [unit, size] = ns >= 1e9 ? ["s", 1e9] : ns >= 1e6 ? ["ms", 1e6] : ns >= 1e3 ? ["µs", 1e3] : ["ns", 1];
  return `${+(ns / (size as number)).toPrecision(3)} ${unit as string}`;
}

export function siteWords(site: Site | null): string {
  return site === null ? "" : `${format.siteText(site)} ${site.function}`.trim();
}

/** Whether a row's words hold what is searched for. */
export function rowMentions(row: ProfileRow, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  if (wanted === "") return true;
  const sites = [row.site, ...row.stack].flatMap((site) => (site === null ? [] : [site.file, siteWords(site)]));
  return [row.label, row.what, row.sleeper, ...sites].some((text) => text?.toLowerCase().includes(wanted) ?? false);
}

/** The sums over all greenlets, in a line. */
export function sumsText(profile: Profile): string {
  const { ran, ready, waited, slept, idle } = profile;
  return [
    `ran ${format.duration(ran)}`,
    `waited ${format.duration(ready)} for the hub, ${format.duration(waited)} for others`,
    `slept ${format.duration(slept)}`,
    `waited ${format.duration(idle)} for work`,
  ].join(" · ");
}

/** "12 %", "0.4 %". */
export function shareText(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
