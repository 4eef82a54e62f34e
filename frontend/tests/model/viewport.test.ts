import { describe, expect, it } from "vitest";
import { FOLLOW_NARROWEST_NS, Viewport } from "../../src/model/viewport";

const extent = { begin: 0, now: 100e9 };

function following(): Viewport {
  const viewport = new Viewport();
  viewport.follow(extent);
  return viewport;
}

describe("the viewport", () => {
  it("follows from the start, ten seconds wide", () => {
    expect(following().window).toEqual({ from: 90e9, to: 100e9, follow: true });
  });

  it("moves on with now only while it follows", () => {
    const viewport = following();
    viewport.advance(101e9);
    expect(viewport.window.to).toBe(101e9);
    viewport.pause();
    viewport.advance(105e9);
    expect(viewport.window.to).toBe(101e9);
    expect(viewport.paused).toBe(true);
  });

  it("does not slide back to live from a pause by panning", () => {
    const viewport = following();
    viewport.pause();
    viewport.pan(5, extent, true);
    expect(viewport.window.follow).toBe(false);
  });

  it("stands still when it is zoomed so close that following would blur", () => {
    const viewport = following();
    viewport.zoom(FOLLOW_NARROWEST_NS / 10e9 / 2, 0.5, extent);
    expect(viewport.window.follow).toBe(false);
    viewport.follow(extent);
    expect(viewport.width).toBe(FOLLOW_NARROWEST_NS);
    expect(viewport.window.to).toBe(100e9);
  });

  it("zooms by key around what is recorded, where the window begins before it", () => {
    const viewport = following();
    viewport.follow({ begin: 95e9, now: 100e9 });
    expect(viewport.anchor(0.1, { begin: 95e9, now: 100e9 })).toBeCloseTo(0.5);
    expect(viewport.anchor(0.7, { begin: 95e9, now: 100e9 })).toBeCloseTo(0.7);
    expect(viewport.anchor(0.5, { begin: 0, now: 80e9 })).toBe(0);
  });

  it("turns a share of the width into a time, and back", () => {
    const viewport = following();
    expect(viewport.timeAt(0.25)).toBe(92.5e9);
    expect(viewport.shareOf(92.5e9)).toBe(0.25);
  });
});
