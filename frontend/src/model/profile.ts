/** A profile in words: what it is by, what its columns and headings are, and the bins of its charts. */

import { counted, t } from "../language/language";
import { State, type By, type Load, type Profile, type ProfilePart, type ProfileRow, type Site, type Spread } from "../protocol/messages";
import * as format from "./format";
import { stateLabel, waitName } from "./labels";

/** What a profile by something is called, and is about. */
export function about(by: By): { title: string; text: string } {
  return { title: t(`by.${by}`), text: t(`by.${by}.about`) };
}

export function heading(by: By, part: ProfilePart["part"]): string {
  return t(part === "hub" && (by === "latency" || by === "load") ? `part.hub.${by}` : `part.${part}`);
}

/** What a column says of a row. */
export type Says = "label" | "what" | "sleeper" | "site" | "stack";

const REASON = ["label", t("column.reason")] as const;
const OF_LONGEST = ["site", t("column.longest_line")] as const;
export const COLUMNS: Readonly<Record<By, readonly (readonly [Says, string])[]>> = {
  line: [["site", t("column.line")], REASON],
  stack: [["stack", t("column.stack")], REASON],
  reason: [REASON, OF_LONGEST],
  peer: [["what", t("column.peer")], REASON, OF_LONGEST],
  resource: [["what", t("column.resource")], REASON, OF_LONGEST],
  waker: [["what", t("column.waker")], ["sleeper", t("column.sleeper")], REASON, OF_LONGEST],
  latency: [["what", t("column.greenlet")]],
  load: [["what", t("column.greenlet")]],
};

/** The reason of a row in a word; who accepts waits to read, and is called by what for. */
export function reasonText({ state, reason, label }: Pick<ProfileRow, "state" | "reason" | "label">): string {
  if (label === null) return "";
  if (label === "accept") return t("wait.accept");
  return state === State.WAITING ? waitName(reason) : stateLabel(state, reason);
}

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
      range:
        below === null
          ? t("bin.more", { duration: shortDuration(least) })
          : t("bin.range", { from: shortDuration(least), to: shortDuration(below) }),
      all: count > 0 ? format.duration(total) : null,
    })),
  );
}

export function binsOfLoad(load: Load): Bin[] {
  return bins(
    load.classes.map(({ least, most, count }) => ({
      count,
      tick: `${format.percent(least)}%`,
      range: t("bin.busy", { from: format.percent(least), to: format.percent(most) }),
      all: null,
    })),
  );
}

function bins(classes: readonly { count: number; tick: string; range: string; all: string | null }[]): Bin[] {
  const most = Math.max(1, ...classes.map(({ count }) => count));
  const all = Math.max(1, classes.reduce((sum, { count }) => sum + count, 0));
  return classes.map(({ count, tick, range, all: duration }) => {
    const places = { range, times: counted("times", count), percent: format.percent(count / all) };
    const text = duration === null ? t("bin", places) : t("bin.all", { ...places, duration });
    return { count, height: count / most, tick, text };
  });
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
  return [row.label, reasonText(row), row.what, row.sleeper, ...sites].some((text) => text?.toLowerCase().includes(wanted) ?? false);
}

/** The sums over all greenlets, in a line. */
export function sumsText(profile: Profile): string {
  const { ran, ready, waited, slept, idle } = profile;
  return [
    t("sums.ran", { duration: format.duration(ran) }),
    t("sums.waited", { hub: format.duration(ready), others: format.duration(waited) }),
    t("sums.slept", { duration: format.duration(slept) }),
    t("sums.idle", { duration: format.duration(idle) }),
  ].join(" · ");
}

/** "12 %", "0.4 %". */
export function shareText(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
