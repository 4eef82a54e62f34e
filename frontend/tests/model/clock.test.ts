import { describe, expect, it } from "vitest";
import { DELAY_NS, EXTRAPOLATION_NS, RingClock } from "../../src/model/clock";

describe("the ring's clock on the page", () => {
  it("runs on with the local clock between messages", () => {
    const clock = new RingClock();
    clock.heard(50e9, 1000, true);
    expect(clock.now(1000)).toBe(50e9 - DELAY_NS);
    expect(clock.now(1100)).toBe(50.1e9 - DELAY_NS);
  });

  it("stops when the viewer has said nothing for a while", () => {
    const clock = new RingClock();
    clock.heard(50e9, 1000, true);
    expect(clock.now(9000)).toBe(50e9 + EXTRAPOLATION_NS);
  });

  it("does not jump when messages come late", () => {
    const clock = new RingClock();
    let before = -Infinity;
    for (let ms = 1000; ms < 6000; ms += 16) {
      if (ms % 96 < 16) clock.heard(ms * 1e6 - ((ms * 7919) % 60) * 1e6, ms, true);
      const now = clock.now(ms);
      expect(now).toBeGreaterThanOrEqual(before);
      if (before > 0) expect(now - before).toBeLessThan(60e6);
      before = now;
    }
  });

  it("stands at the last event of a process that has ended", () => {
    const clock = new RingClock();
    clock.heard(50e9, 1000, true);
    clock.heard(50.2e9, 1300, false);
    expect(clock.now(60000)).toBe(50.2e9);
  });

  it("takes a new offset at once when the viewer's clock is another one", () => {
    const clock = new RingClock();
    clock.heard(50e9, 1000, true);
    clock.heard(90e9, 1100, true);
    expect(clock.now(1100)).toBe(90e9 - DELAY_NS);
  });
});
