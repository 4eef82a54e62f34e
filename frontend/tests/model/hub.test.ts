import { describe, expect, it } from "vitest";
import { blocker, deathText, latency } from "../../src/model/hub";
import type { Running, Status } from "../../src/protocol/messages";

const site = { file: "/srv/hog.py", line: 6, function: "hog" };

function running(duration: number): Running {
  return { greenlet: 4, name: "hog", since: 1e9, duration, site };
}

function status(more: Partial<Status>): Status {
  return {
    type: "status", state: "live", now: 20e9, begin: 0, events: 0, events_per_second: 0, lost: 0, illegal: 0,
    switches_per_second: 0, mean_slice: 0, greenlets: 1, states: {}, waiting_long: 0, latency_p99: 8e6, latency_now: 0,
    stall_threshold: 100e6, ring_used: 0, ring_capacity: 1, stalls_total: 0, longest_stall: null, stalls: [],
    running: null, ...more,
  };
}

describe("who blocks the hub", () => {
  it("is who has run for the threshold or longer, and still does", () => {
    expect(blocker(status({ running: running(100e6) }))?.name).toBe("hog");
    expect(blocker(status({ running: running(99e6) }))).toBeNull();
    expect(blocker(status({}))).toBeNull();
    expect(blocker(status({ state: "died", running: running(100e6) }))).toBeNull();
  });
});

describe("the hub's latency", () => {
  it("is the 99th percentile while nothing is worse", () => {
    expect(latency(status({ latency_now: 2e6 }))).toEqual({ ns: 8e6, now: false, note: "now 2.00 ms late" });
  });

  it("is what waits now where that is worse", () => {
    expect(latency(status({ latency_now: 90e6 }))).toMatchObject({ ns: 90e6, now: true });
  });

  it("is how long the hub has been blocked, also while nobody is known to be ready", () => {
    const worst = latency(status({ running: running(13.5e9) }));
    expect(worst).toEqual({ ns: 13.5e9, now: true, note: "hog holds the hub · p99 8.00 ms" });
  });
});

describe("the end without goodbye", () => {
  const ended = "The process ended without goodbye (killed, or crashed). Everything up to its last event is kept.";

  it("says who ran, for how long, and from where", () => {
    expect(deathText(status({ state: "died", running: running(12.3e9) }))).toBe(
      `${ended} hog was running when it ended: since 12.3 s before, from hog.py:6 on.`,
    );
  });

  it("says no more than is known", () => expect(deathText(status({ state: "died" }))).toBe(ended));
});
