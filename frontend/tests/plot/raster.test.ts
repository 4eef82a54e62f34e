import { describe, expect, it } from "vitest";
import { APPEARANCE, Look, lookOf } from "../../src/model/looks";
import { Track } from "../../src/model/segments";
import { laneColumns, Palette, pixelOf } from "../../src/plot/raster";
import { OPEN } from "../../src/protocol/messages";

function columns(track: Track, from = 0, pixel = 10, now = 0, hub = false): number[] {
  const into = new Uint8Array(10);
  laneColumns(track, { from, pixel, width: 10, least: 1, now }, hub, into);
  return [...into];
}

describe("a lane's pixel columns", () => {
  it("have the look of the span over them", () => {
    const track = new Track();
    track.push(0, 50, 2, 1, 0);
    track.push(50, 80, 0, 0, 0);
    const { READ, RUNNING } = Look;
    expect(columns(track)).toEqual([READ, READ, READ, READ, READ, RUNNING, RUNNING, RUNNING, 0, 0]);
  });

  it("show that it ran for less than a pixel, over what surrounds it", () => {
    const track = new Track();
    track.push(0, 32, 2, 1, 0);
    track.push(32, 33, 0, 0, 0);
    track.push(33, 100, 2, 1, 0);
    expect(columns(track)[3]).toBeGreaterThan(Look.STALLED);
    expect(columns(track)[4]).toBe(Look.READ);
  });

  it("tell running a little from running a lot", () => {
    const busy = new Track();
    const idle = new Track();
    for (let at = 0; at < 100; at += 5) {
      idle.push(at, at + 0.1, 0, 0, 0);
      idle.push(at + 0.1, at + 5, 2, 1, 0);
      busy.push(at, at + 4.5, 0, 0, 0);
      busy.push(at + 4.5, at + 5, 2, 1, 0);
    }
    expect(columns(busy)[5]! - columns(idle)[5]!).toBeGreaterThanOrEqual(5);
  });

  it("that run a moment in each pixel are nearly nothing, and a moment now and then are a tick", () => {
    const look = (every: number): number => {
      const track = new Track();
      for (let at = 0; at < 1000; at += every) {
        track.push(at, at + 0.02, 0, 0, 0);
        track.push(at + 0.02, at + every, 2, 1, 0);
      }
      const into = new Uint8Array(100);
      laneColumns(track, { from: 0, pixel: 10, width: 100, least: 1, now: 0 }, false, into);
      return into[50]!;
    };
    const palette = new Palette(20, 1, null);
    const green = pixelOf(APPEARANCE[Look.RUNNING].color);
    const blue = pixelOf(APPEARANCE[Look.READ].color);
    const pixels = (code: number): number[] => {
      const into = new Uint32Array(20);
      palette.write(Uint8Array.of(code), new Uint32Array(1), into, new Uint32Array(1), 0, 20, 10, 20);
      return [...into];
    };
    const count = (code: number, color: number): number => pixels(code).filter((pixel) => pixel === color).length;
    expect(count(look(10), green)).toBe(1);
    expect(count(look(10), blue)).toBe(4);
    expect(count(look(100), green)).toBeGreaterThan(8);
  });

  it("show being ready where that was most of a pixel, and not where it was a moment", () => {
    const track = new Track();
    track.push(0, 41, 2, 1, 0);
    track.push(41, 48, 1, 0, 0);
    track.push(48, 49, 0, 0, 0);
    track.push(49, 61, 2, 1, 0);
    track.push(61, 61.2, 1, 0, 0);
    track.push(61.2, 62, 0, 0, 0);
    track.push(62, 100, 2, 1, 0);
    expect(columns(track)[4]).toBe(Look.READY);
    expect(columns(track)[6]).toBeGreaterThan(Look.STALLED);
  });

  it("begin and end at the window", () => {
    const track = new Track();
    track.push(-1e12, 1e12, 1, 0, 0);
    expect(columns(track)).toEqual(new Array(10).fill(Look.READY));
    expect(columns(track, 5e12)).toEqual(new Array(10).fill(0));
  });

  it("hold what ends further away than a 32-bit number of pixels", () => {
    const track = new Track();
    track.push(0, 600e9, 2, 1, 0);
    track.push(600e9, 601e9, 0, 0, 0);
    expect(columns(track, 10e9, 0.1)).toEqual(new Array(10).fill(Look.READ));
    track.push(700e9, 1e15, 2, 1, OPEN);
    expect(columns(track, 800e9, 0.1, 2e15)).toEqual(new Array(10).fill(Look.READ));
  });

  it("carry on with what is still going on", () => {
    const track = new Track();
    track.push(0, 20, 2, 1, OPEN);
    expect(columns(track, 0, 10, 60).slice(4, 7)).toEqual([Look.READ, Look.READ, 0]);
  });

  it("are the hub's own where the hub runs", () => {
    const track = new Track();
    track.push(0, 50, 0, 0, 0);
    track.push(50, 100, 2, 9, 0);
    expect(columns(track, 0, 10, 0, true).slice(4, 6)).toEqual([Look.HUB, Look.HUB_POLL]);
  });
});

describe("looks", () => {
  it("differ in colour, height or dash", () => {
    const seen = Object.values(APPEARANCE).map((a) => `${a.color} ${a.height} ${String(a.dash)} ${String(a.hatched)}`);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it("differ in height or dash where running, ready, waiting and stalled differ", () => {
    const shape = (state: number): string => {
      const a = APPEARANCE[lookOf(state, 1) as Exclude<Look, 0>];
      return `${a.height} ${String(a.hatched)}`;
    };
    expect(new Set([0, 1, 2, 3].map(shape)).size).toBe(4);
  });

  it("of an unknown reason is other", () => {
    expect(lookOf(2, 200)).toBe(Look.OTHER);
  });
});

it("a colour is a little-endian pixel", () => {
  expect(pixelOf("#112233")).toBe(0xff332211);
  expect(pixelOf("rgba(1,2,3,0.5)")).toBe(0x80030201);
});

it("a lane is written around its middle and leaves the base elsewhere", () => {
  const palette = new Palette(20, 1, null);
  const base = new Uint32Array(2).fill(5);
  const into = new Uint32Array(2 * 20).fill(5);
  palette.write(Uint8Array.of(Look.RUNNING, Look.TIMER), base, into, new Uint32Array(2), 0, 20, 10, 20);
  const green = pixelOf(APPEARANCE[Look.RUNNING].color);
  const grey = pixelOf(APPEARANCE[Look.TIMER].color);
  const column = (x: number): number[] => Array.from({ length: 20 }, (_, y) => into[y * 2 + x]!);
  expect(column(0).filter((p) => p === green).length).toBeGreaterThan(14);
  expect(column(1).filter((p) => p === grey).length).toBeLessThan(4);
  expect(column(0)[0]).toBe(5);
  expect(column(1)[9]).toBe(5);
});
