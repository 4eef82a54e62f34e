/** How the hub fares: who holds it up, how late it is, and whom it ran when its process died. */

import { BETWEEN, t } from "../language/language";
import type { Running, Status } from "../protocol/messages";
import { duration, siteText } from "./format";

/** Who has held the hub for the stall threshold or longer, and still does. */
export function blocker(status: Status | null): Running | null {
  if (status?.state !== "live" || !status.running) return null;
  return status.stall_threshold > 0 && status.running.duration >= status.stall_threshold ? status.running : null;
}

export interface Latency {
  ns: number;
  /** The figure is of what goes on now, not the last seconds' 99th percentile. */
  now: boolean;
  note: string;
}

/** The greatest of what was measured and what is pending: while nobody else runs, nothing new is measured. */
export function latency(status: Status): Latency {
  const p99 = duration(status.latency_p99);
  const blocked = blocker(status);
  if (blocked !== null && blocked.duration >= status.latency_p99) {
    const ns = Math.max(blocked.duration, status.latency_now);
    return { ns, now: true, note: t("card.latency.holds", { name: blocked.name, p99 }) };
  }
  if (status.latency_now > status.latency_p99) {
    return { ns: status.latency_now, now: true, note: t("card.latency.ready", { p99 }) };
  }
  const pending = status.latency_now > 1e6 ? t("card.latency.late", { duration: duration(status.latency_now) }) : t("card.latency.about");
  return { ns: status.latency_p99, now: false, note: pending };
}

/** What the banner says of a process that did not say goodbye. */
export function deathText(status: Status | null): string {
  const running = status?.running;
  if (!running) return t("died");
  const { name, site } = running;
  const since = duration(running.duration);
  const words = site === null ? t("died.running", { name, duration: since }) : t("died.running.from", { name, duration: since, site: siteText(site) });
  return t("died") + BETWEEN + words;
}
