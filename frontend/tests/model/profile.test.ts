import { describe, expect, it } from "vitest";
import { binsOfLoad, binsOfSpread, heading, rowMentions, shareText, shortDuration } from "../../src/model/profile";
import type { ProfileRow } from "../../src/protocol/messages";

const spread = (classes: [number, number | null, number][]) => ({
  count: 0, total: 0, p50: 0, p99: 0, longest: 0,
  classes: classes.map(([least, below, count]) => ({ least, below, count, total: count * least })),
});
const row = (more: Partial<ProfileRow> = {}): ProfileRow => ({
  state: 2, reason: 1, label: "read", what: "192.0.2.1:5432", sleeper: "query", site: { file: "/srv/db.py", line: 7, function: "ask" }, stack: [],
  total: 10, share: 1, count: 1, still: 0, mean: 10, p99: 10, longest: 10, longest_start: 0, longest_greenlet: { id: 3, name: "query" }, ...more,
});

describe("a histogram of times", () => {
  it("is as high as its fullest class, and says of each what it is", () => {
    const bins = binsOfSpread(spread([[10_000_000, 20_000_000, 3], [20_000_000, 50_000_000, 0], [50_000_000, 100_000_000, 1]]));
    expect(bins.map(({ height }) => height)).toEqual([1, 0, 1 / 3]);
    expect(bins.map(({ text }) => text)).toEqual([
      "10 ms to 20 ms: 3 times, 75 %, 30.0 ms in all",
      "20 ms to 50 ms: 0 times, 0 %",
      "50 ms to 100 ms: once, 25 %, 50.0 ms in all",
    ]);
  });

  it("is labelled at 1, 10 and 100 of a unit", () => {
    const bins = binsOfSpread(spread([[0, 1000, 1], [1000, 2000, 1], [2000, 5000, 1], [10_000, 20_000, 1], [1e9, 2e9, 1]]));
    expect(bins.map(({ tick }) => tick)).toEqual(["", "1 µs", "", "10 µs", "1 s"]);
  });

  it("has an end that is open", () => {
    expect(binsOfSpread(spread([[5e12, null, 2]]))[0]!.text).toMatch(/^5000 s or more: 2 times/);
  });

  it("of nothing is flat", () => {
    const load = { busy: 0, polled: 0, stretch: 1, longest_start: null, classes: [{ least: 0, most: 0.1, count: 0 }] };
    expect(binsOfLoad(load)).toEqual([{ count: 0, height: 0, tick: "0%", text: "0 to 10 % busy: 0 times, 0 %" }]);
  });
});

describe("a profile's words", () => {
  it("say who, where it is about who had the hub", () => {
    expect(heading("load", "hub")).toBe("Who ran");
    expect(heading("reason", "hub")).toBe("On the hub, and waiting for it");
    expect(heading("load", "wait")).toBe("Waiting for others");
  });

  it("are searched, lines and frames too", () => {
    expect(rowMentions(row(), " DB.py:7 ")).toBe(true);
    expect(rowMentions(row(), "192.0.2")).toBe(true);
    expect(rowMentions(row({ stack: [{ file: "/srv/web.py", line: 1, function: "serve" }] }), "serve")).toBe(true);
    expect(rowMentions(row({ site: null, what: null }), "db.py")).toBe(false);
    expect(rowMentions(row(), "")).toBe(true);
  });

  it("are round", () => {
    expect([0, 500, 2000, 5e6, 1e9].map(shortDuration)).toEqual(["0", "500 ns", "2 µs", "5 ms", "1 s"]);
    expect([0.0042, 0.49, 1].map(shareText)).toEqual(["0.4 %", "49 %", "100 %"]);
  });
});
