import { beforeEach, describe, expect, it, vi } from "vitest";
import { BLOCK, Frames } from "../../../src/model/replay/frames";
import type { Frame } from "../../../src/protocol/replay";
import { frame } from "./made";

interface Question {
  from: number;
  to: number;
  signal: AbortSignal;
  answer: () => Promise<void>;
  fail: (message: string) => Promise<void>;
}

describe("frames", () => {
  const steps = 1000;
  let asked: Question[] = [];
  let now = 0;
  let came = 0;
  let frames: Frames;
  const tick = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  const open = (): Question[] => asked.filter(({ signal }) => !signal.aborted);
  const from = (): number[] => asked.map((each) => each.from / BLOCK);

  beforeEach(() => {
    asked = [];
    now = came = 0;
    frames = new Frames(
      (first, past, signal) =>
        new Promise<Frame[]>((resolve, reject) => {
          const answer = (): Promise<void> => {
            resolve(Array.from({ length: past - first }, (_, i) => frame({ step: first + i })));
            return tick();
          };
          asked.push({ from: first, to: past, signal, answer, fail: (message) => (reject(new Error(message)), tick()) });
          signal.addEventListener("abort", () => reject(new Error("aborted")));
        }),
      () => came++,
      () => now,
    );
  });

  it("are fetched around the position, and ahead", async () => {
    frames.look(5 * BLOCK + 3, steps);
    expect(from()).toEqual([5, 6]);
    expect(frames.at(5 * BLOCK + 3)).toBeNull();
    await asked[0]!.answer();
    expect(frames.at(5 * BLOCK + 3)?.step).toBe(5 * BLOCK + 3);
    expect(came).toBe(1);
    expect(from()).toEqual([5, 6, 4]);
    await asked[1]!.answer();
    frames.look(5 * BLOCK + 4, steps);
    frames.look(6 * BLOCK, steps);
    expect(from()).toEqual([5, 6, 4, 7]);
  });

  it("are fetched backward when one goes backward", async () => {
    frames.look(5 * BLOCK, steps);
    await asked[0]!.answer();
    await asked[1]!.answer();
    await asked[2]!.answer();
    frames.look(4 * BLOCK + 9, steps);
    expect(from()).toEqual([5, 6, 4, 3]);
  });

  it("end where the steps end", () => {
    frames.look(0, 10);
    expect(asked.map(({ from: first, to }) => [first, to])).toEqual([[0, 10]]);
    expect(frames.at(10)).toBeNull();
  });

  it("are not overwritten by what comes late for another place", async () => {
    frames.look(0, steps);
    frames.look(20 * BLOCK, steps);
    expect(open()).toHaveLength(2); // what was asked just now is awaited
    now = 1000;
    frames.look(25 * BLOCK, steps);
    expect(asked.filter(({ signal }) => signal.aborted)).toHaveLength(2);
    const here = asked.find((each) => each.from === 25 * BLOCK)!;
    await here.answer();
    expect(frames.at(25 * BLOCK)?.step).toBe(25 * BLOCK);
    await asked[0]!.answer();
    expect(frames.at(25 * BLOCK)?.step).toBe(25 * BLOCK);
    expect(frames.at(0)).toBeNull();
  });

  it("that do not come are said, and asked for again when one looks again", async () => {
    frames.look(0, steps);
    await asked[0]!.fail("no viewer");
    expect(frames.failed).toBe("no viewer");
    expect(came).toBe(1);
    frames.look(0, steps);
    expect(frames.failed).toBeNull();
    expect(from()).toEqual([0, 1, 0]);
  });

  it("that do not come beside the position are no trouble", async () => {
    frames.look(0, steps);
    await asked[1]!.fail("no viewer");
    expect(frames.failed).toBeNull();
  });

  it("are forgotten when there is more", async () => {
    frames.look(0, steps);
    await asked[0]!.answer();
    frames.forget();
    expect(frames.at(0)).toBeNull();
    expect(asked[1]!.signal.aborted).toBe(true);
    frames.look(0, steps + 5);
    expect(open().at(-2)!.from).toBe(0);
  });

  it("that are far away are let go of", async () => {
    const long = 100 * BLOCK;
    vi.useRealTimers();
    for (let block = 0; block < 100; block++) {
      frames.look(block * BLOCK, long);
      for (const each of asked) await each.answer();
    }
    expect(frames.at(99 * BLOCK)).not.toBeNull();
    expect(frames.at(0)).toBeNull();
  });
});
