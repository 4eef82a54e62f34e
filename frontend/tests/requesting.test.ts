import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RequestControl } from "../src/requesting";

describe("requests are asked for", () => {
  const world = { ring: "a", shown: true, live: true, paused: false, answer: (url: string): unknown => ({ from: url }) };
  let asked: string[] = [];
  let now = 0;
  let control: RequestControl;

  const seconds = async (count: number): Promise<void> => {
    for (let i = 0; i < count * 2; i++) {
      now += 500;
      control.refresh(now);
      await vi.waitFor(() => undefined);
    }
  };
  const all = "api/rings/a/requests?order=slowest&only=all&route=&search=";

  beforeEach(() => {
    Object.assign(world, { ring: "a", shown: true, live: true, paused: false, answer: (url: string) => ({ from: url }) });
    asked = [];
    now = 0;
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      const answer = world.answer(url);
      return Promise.resolve({ ok: answer !== null, status: answer === null ? 404 : 200, json: () => Promise.resolve(answer) });
    });
    vi.spyOn(performance, "now").mockImplementation(() => now);
    control = new RequestControl({
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

  it("at once, and then every two seconds", async () => {
    await seconds(5);
    expect(asked).toEqual(Array(3).fill(all));
    expect(control.list).toEqual({ from: all });
  });

  it("not while they are not on screen, nor again while paused", async () => {
    world.shown = false;
    await seconds(5);
    expect(asked).toEqual([]);
    Object.assign(world, { shown: true, paused: true });
    await seconds(5);
    expect(asked).toHaveLength(1);
  });

  it("at once when another choice is made, and the list stays until it comes", async () => {
    await seconds(1);
    control.choose({ order: "newest", route: "/a" });
    expect(control.list).toEqual({ from: all });
    await seconds(1);
    expect(asked.at(-1)).toBe("api/rings/a/requests?order=newest&only=all&route=%2Fa&search=");
    expect(control.list).toEqual({ from: asked.at(-1) });
    world.ring = "b";
    control.refresh(now);
    expect(control.list).toBeNull();
  });

  it("of a process that ended until the viewer has read all", async () => {
    world.live = false;
    await seconds(10);
    expect(asked).toHaveLength(2);
    expect(control.list).toEqual({ from: all });
  });

  it("one by one, until it has ended", async () => {
    const whole = (outcome: string) => ({ request: { outcome }, complete: true });
    world.answer = () => whole("going_on");
    control.show(7);
    await seconds(5);
    expect(asked).toEqual(Array(3).fill("api/rings/a/requests/7"));
    world.answer = () => whole("done");
    await seconds(10);
    expect(asked).toHaveLength(4);
    expect(control.whole).toEqual(whole("done"));
    control.show(null);
    await seconds(1);
    expect(asked.at(-1)).toBe(all);
  });

  it("again, if there is none yet", async () => {
    world.answer = () => null;
    control.show(7);
    await seconds(3);
    expect(control.unknown).toBe(true);
    world.answer = () => ({ request: { outcome: "done" }, complete: true });
    await seconds(2);
    expect(control.unknown).toBe(false);
    expect(control.whole).not.toBeNull();
  });
});
