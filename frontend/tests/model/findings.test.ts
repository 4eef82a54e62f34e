import { describe, expect, it } from "vitest";
import { findingOf, mentions, nextFinding, sameCause } from "../../src/model/findings";
import type { Finding, Stall } from "../../src/protocol/messages";

const site = (line: number) => ({ file: "/srv/hog.py", line, function: "Hog.run" });
const finding = (line: number, more: Partial<Finding> = {}): Finding => ({
  id: "hub-blocked", severity: "critical", greenlet: { id: 3, name: "hog #3" }, site: site(line), start: 100, end: null, duration: 10,
  count: 1, resource: null, others: [], others_total: 0, sentence: "hog #3 kept the hub.", advice: "Let it switch.", evidence: [],
  stack: [site(line)], source: null, ...more,
});

describe("findings", () => {
  const all = [finding(1), finding(2), finding(3)];

  it("are stepped through in the order of the list, and no further than its ends", () => {
    expect(nextFinding(all, null, 1)).toBe(all[0]);
    expect(nextFinding(all, null, -1)).toBe(all[2]);
    expect(nextFinding(all, finding(2), 1)).toBe(all[2]);
    expect(nextFinding(all, finding(2), -1)).toBe(all[0]);
    expect(nextFinding(all, finding(3), 1)).toBeNull();
    expect(nextFinding([], null, 1)).toBeNull();
  });

  it("stay the same when they strike again, and another greenlet at the same line is the same cause", () => {
    expect(sameCause(finding(1), finding(1, { start: 900, count: 2, greenlet: { id: 9, name: "hog #9" } }))).toBe(true);
    expect(sameCause(finding(1), finding(2))).toBe(false);
    expect(sameCause(finding(1), finding(1, { id: "spin" }))).toBe(false);
    expect(sameCause(finding(1, { site: null }), finding(1, { site: null, greenlet: { id: 9, name: "x" } }))).toBe(false);
  });

  it("lend their stack to the stall that they were made of", () => {
    const stall: Stall = { greenlet: 3, name: "hog #3", start: 100, end: 110, duration: 10, ready: 0, before: null, after: null };
    expect(findingOf(all, stall)).toBe(all[0]);
    expect(findingOf(all, { ...stall, start: 500 })).toBeNull();
    expect(findingOf([finding(1, { stack: [] })], stall)).toBeNull();
  });

  it("are searched by what they say", () => {
    expect(mentions(finding(1), "")).toBe(true);
    expect(mentions(finding(1), " HOG.py ")).toBe(true);
    expect(mentions(finding(1), "hub-bl")).toBe(true);
    expect(mentions(finding(1, { others: [{ id: 4, name: "victim" }] }), "victim")).toBe(true);
    expect(mentions(finding(1), "elsewhere")).toBe(false);
  });
});
