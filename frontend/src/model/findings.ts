/** The findings the viewer has told about: which is which, the one next to another, and the one a stall belongs to. */

import { diagnosisNames } from "./labels";
import type { Finding, Stall } from "../protocol/messages";

/** Stays the same while a finding grows: a worse time of the same cause moves its start, but not its line. */
export function causeOf(finding: Finding): string {
  const { id, site, resource, greenlet } = finding;
  return JSON.stringify(site !== null ? [id, site.file, site.line, site.function] : [id, resource, greenlet?.id ?? null]);
}

export function sameCause(a: Finding | null, b: Finding | null): boolean {
  return a !== null && b !== null && causeOf(a) === causeOf(b);
}

/** The finding before (-1) or after (+1) one in the list; the first or last when none is given; null past the ends. */
export function nextFinding(findings: readonly Finding[], from: Finding | null, direction: -1 | 1): Finding | null {
  const at = from === null ? -1 : findings.findIndex((each) => sameCause(each, from));
  if (at < 0) return findings[direction > 0 ? 0 : findings.length - 1] ?? null;
  return findings[at + direction] ?? null;
}

/** The finding that was made of a stall, if it is its worst time. */
export function findingOf(findings: readonly Finding[], stall: Stall): Finding | null {
  return findings.find((each) => each.greenlet?.id === stall.greenlet && each.start === stall.start && each.stack.length > 0) ?? null;
}

/** Whether its words hold what is searched for. */
export function mentions(finding: Finding, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  if (wanted === "") return true;
  const { id, sentence, site, greenlet, resource, others } = finding;
  const texts = [...diagnosisNames(id), sentence, site?.file, site?.function, greenlet?.name, resource, ...others.map((who) => who.name)];
  return texts.some((text) => text?.toLowerCase().includes(wanted));
}
