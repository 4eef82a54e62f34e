import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ProfileControl } from "../src/profiling";

describe("the profile is asked for", () => {
  const world = { ring: "a", shown: true, live: true, paused: false };
  let asked: string[] = [];
  let now = 0;
  let control: ProfileControl;

  const seconds = async (count: number): Promise<void> => {
    for (let i = 0; i < count * 2; i++) {
      now += 500;
      control.refresh(now);
      await vi.waitFor(() => undefined);
    }
  };

  beforeEach(() => {
    Object.assign(world, { ring: "a", shown: true, live: true, paused: false });
    asked = [];
    now = 0;
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      return Promise.resolve({ ok: true, json: () => Promise.resolve({ from: url }) });
    });
    vi.spyOn(performance, "now").mockImplementation(() => now);
    control = new ProfileControl({
      ring: () => world.ring,
      shown: () => world.shown,
      live: () => world.live,
      paused: () => world.paused,
      changed: () => undefined,
    });
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  it("at once, and then every three seconds", async () => {
    await seconds(7);
    expect(asked).toEqual(Array(3).fill("api/rings/a/profile?by=line"));
    expect(control.current).toEqual({ from: asked[0] });
  });

  it("not while it is not on screen", async () => {
    world.shown = false;
    await seconds(7);
    expect(asked).toEqual([]);
  });

  it("while paused only if there is none", async () => {
    world.paused = true;
    await seconds(7);
    expect(asked).toHaveLength(1);
    control.choose("peer");
    await seconds(7);
    expect(asked).toHaveLength(2);
  });

  it("once more when the process has ended, and then no more", async () => {
    await seconds(1);
    world.live = false;
    await seconds(12);
    expect(asked).toHaveLength(2);
  });

  it("at once when another choice or ring is shown, and an answer that comes late is not shown", async () => {
    await seconds(1);
    let late = (_: unknown): void => undefined;
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      return new Promise((resolve) => (late = resolve));
    });
    control.choose("waker");
    const first = late;
    world.ring = "b";
    control.refresh(now);
    first({ ok: true, json: () => Promise.resolve("late") });
    await vi.waitFor(() => expect(asked.slice(1)).toEqual(["api/rings/a/profile?by=waker", "api/rings/b/profile?by=waker"]));
    late({ ok: true, json: () => Promise.resolve("right") });
    await vi.waitFor(() => expect(control.current).toBe("right"));
  });

  it("again after a failure, which is told only while there is nothing to show", async () => {
    vi.stubGlobal("fetch", () => Promise.resolve({ ok: false, status: 500 }));
    await seconds(1);
    expect(control.failed).toBe(true);
  });
});
