import { describe, expect, it } from "vitest";
import * as format from "../../src/model/format";
import { niceStep, timeTicks } from "../../src/model/ticks";

const plain = (text: string): string => text.replaceAll("\u2009", " ");

describe("durations", () => {
  it.each([
    [0, "0 ms"],
    [42, "42 ns"],
    [1_234, "1.23 µs"],
    [999_499, "999 µs"],
    [999_999, "1.00 ms"],
    [8_100_000, "8.10 ms"],
    [412_000_000, "412 ms"],
    [999_999_999, "1.00 s"],
    [12_340_000_000, "12.3 s"],
    [59_990_000_000, "1:00 min"],
    [125e9, "2:05 min"],
    [3_725e9, "1:02 h"],
  ])("%d ns is %s", (ns, text) => expect(format.duration(ns)).toBe(text));
});

describe("times", () => {
  it.each([
    [1_301_768_000, 6, "1.301768 s"],
    [59_960_000_000, 1, "1:00.0"],
    [125_500_000_000, 1, "2:05.5"],
    [3_723_000_000_000, 0, "1:02:03"],
    [-500_000_000, 1, "\u22120.5 s"],
  ])("%d ns with %d decimals is %s", (ns, decimals, text) => expect(plain(format.time(ns, decimals))).toBe(text));
});

it("a time is also one on the wall", () => {
  const noon = new Date(2026, 10, 24, 12, 0, 0).getTime() / 1e3;
  expect(plain(format.moment(10.54e9, 3, noon))).toBe("10.540 s · 12:00:10.540");
});

it("a long name loses its middle", () => {
  expect(format.elided("customer :43864", 14)).toBe("customer …3864");
  expect(format.elided("metrics", 14)).toBe("metrics");
});

it("counts are grouped", () => {
  expect(plain(format.count(12_431))).toBe("12 431");
  expect(format.count(999)).toBe("999");
});

it("rates are short", () => {
  expect(format.rateParts(3_123)).toEqual({ value: "3.1", unit: "k/s" });
  expect(format.rateParts(940)).toEqual({ value: "940", unit: "/s" });
});

it("a process is called by what it runs", () => {
  expect(format.commandName(["/usr/bin/python3.11", "-u", "/srv/app.py", "--port", "1"])).toBe("app.py");
  expect(format.commandName(["python", "-m", "shop.web"])).toBe("shop.web");
  expect(format.commandName([])).toBe("python");
});

describe("ticks", () => {
  it.each([
    [1, 1],
    [3, 5],
    [7e6, 1e7],
    [2e9, 2e9],
    [3e9, 5e9],
    [11e9, 15e9],
    [50e9, 60e9],
    [4000e9, 7200e9],
  ])("at least %d ns is a step of %d", (least, step) => expect(niceStep(least)).toBe(step));

  it("say as many decimals as they need", () => {
    const ticks = timeTicks(1.05e9, 1.45e9, 0.08e9);
    expect(ticks.labels.map(plain)).toEqual(["1.1 s", "1.2 s", "1.3 s", "1.4 s"]);
  });

  it("close up count from a base", () => {
    const ticks = timeTicks(12.345_01e9, 12.345_05e9, 1e4);
    expect(ticks.base).toBe(12.345e9);
    expect(plain(ticks.labels[0]!)).toBe("+10 µs");
  });

  it("do not begin before the recording", () => {
    expect(timeTicks(-5e9, 5e9, 1e9).values[0]).toBe(0);
  });
});
