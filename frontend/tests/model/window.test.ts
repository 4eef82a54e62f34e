import { describe, expect, it } from "vitest";
import * as win from "../../src/model/window";

const extent = { begin: 0, now: 100e9 };
const live = { from: 90e9, to: 100e9, follow: true };
const still = { from: 40e9, to: 50e9, follow: false };

describe("zooming", () => {
  it("keeps the time under the pointer where it is", () => {
    const closer = win.zoomed(still, 0.5, 42e9, extent);
    expect(win.width(closer)).toBeCloseTo(5e9);
    expect((42e9 - closer.from) / win.width(closer)).toBeCloseTo(0.2);
  });

  it("of a window that follows keeps now at its right edge", () => {
    expect(win.zoomed(live, 2, 91e9, extent)).toEqual({ from: 80e9, to: 100e9, follow: true });
  });

  it("ends at the narrowest and at the widest window", () => {
    expect(win.width(win.zoomed(still, 1e-12, 45e9, extent))).toBeCloseTo(win.NARROWEST_NS, 0);
    expect(win.width(win.zoomed(still, 1e12, 45e9, extent))).toBeCloseTo(win.widest(extent), 0);
  });
});

describe("panning", () => {
  it("away from now stops following", () => {
    expect(win.panned(live, -1e9, extent, true)).toEqual({ from: 89e9, to: 99e9, follow: false });
  });

  it("right past now follows again, while it is live", () => {
    const near = { from: 89.5e9, to: 99.5e9, follow: false };
    expect(win.panned(near, 1e9, extent, true)).toEqual(live);
    expect(win.panned(near, 1e9, extent, false).follow).toBe(false);
  });

  it("does not lose the recording", () => {
    expect(win.panned(still, -1e15, extent, true).from).toBe(-5e9);
    expect(win.panned(still, 1e15, extent, false).from).toBe(95e9);
  });
});

describe("choosing a window", () => {
  it("takes the two times in any order", () => {
    expect(win.chosen(30e9, 20e9, extent)).toEqual({ from: 20e9, to: 30e9, follow: false });
  });

  it("is never narrower than can be drawn", () => {
    const window = win.chosen(30e9, 30e9, extent);
    expect(win.width(window)).toBe(win.NARROWEST_NS);
  });

  it("fits a span with air around it", () => {
    const window = win.fitted(10e9, 11e9, extent);
    expect(window.from).toBeLessThan(10e9);
    expect(window.to).toBeGreaterThan(11e9);
    expect(window.from + window.to).toBeCloseTo(21e9);
  });

  it("shows a span by moving no more than it must", () => {
    expect(win.showing(still, 41e9, 42e9, extent)).toEqual(still);
    const moved = win.showing(still, 60e9, 61e9, extent);
    expect(win.width(moved)).toBe(10e9);
    expect(moved.from).toBe(55.5e9);
    expect(win.width(win.showing(still, 60e9, 80e9, extent))).toBeGreaterThan(20e9);
  });

  it("of everything has all of it in", () => {
    const window = win.whole(extent);
    expect(window.from).toBeLessThan(0);
    expect(window.to).toBeGreaterThan(100e9);
  });
});
