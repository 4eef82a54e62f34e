import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ViewerSource } from "../../src/protocol/replay-source";
import { overview } from "../model/replay/made";

const { signal } = new AbortController();
const asked: string[] = [];
let answers: Response[] = [];

/** What was asked last, without the language. */
function last(): string {
  return asked.at(-1)!.replace(/&?lang=\w+/, "");
}

beforeEach(() => {
  vi.stubGlobal("fetch", (address: string) => {
    asked.push(address);
    return Promise.resolve(answers.shift()!);
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
  asked.length = 0;
});

describe("the viewer as the source of a replay", () => {
  it("is asked for the steps of the overview that came last", async () => {
    const source = new ViewerSource("1-1");
    answers = [Response.json(overview({ replay: 7 })), Response.json({ frames: [], names: {} }), Response.json({ causes: [] }), Response.json({})];
    await source.overview(signal);
    await source.frames(0, 32, signal);
    expect(last()).toBe("api/rings/1-1/replay/frames?from=0&to=32&of=7");
    await source.why(3, signal);
    expect(last()).toBe("api/rings/1-1/replay/why?step=3&of=7");
    await source.strip(0, 9, signal);
    expect(last()).toBe("api/rings/1-1/replay/strip?from=0&to=9&most=800&of=7");
  });

  it("need not send again what is known", async () => {
    const source = new ViewerSource("1-1");
    answers = [Response.json(overview({ replay: 7, steps: 40 })), new Response(null, { status: 204 }), Response.json(overview({ replay: 7, steps: 41 }))];
    const known = await source.overview(signal);
    expect(await source.overview(signal)).toBe(known);
    expect(last()).toBe("api/rings/1-1/replay?of=7&since=40");
    expect((await source.overview(signal)).steps).toBe(41);
  });

  it("says when steps have other numbers: of those that are asked for, or in another overview, but not where that was wanted", async () => {
    const source = new ViewerSource("1-1");
    source.renumbered = vi.fn();
    answers = [Response.json(overview({ replay: 7 })), Response.json({ detail: "other numbers" }, { status: 410 }), Response.json(overview({ replay: 8 }))];
    await source.overview(signal);
    await expect(source.frames(0, 32, signal)).rejects.toThrow("other numbers");
    expect(source.renumbered).toHaveBeenCalledTimes(1);
    await source.overview(signal);
    expect(last()).toBe("api/rings/1-1/replay?anew=false");
    expect(source.renumbered).toHaveBeenCalledTimes(1);
    answers = [Response.json(overview({ replay: 9 })), Response.json(overview({ replay: 10 }))];
    await source.overview(signal);
    expect(source.renumbered).toHaveBeenCalledTimes(2);
    await source.overview(signal, true);
    expect(last()).toBe("api/rings/1-1/replay?anew=true");
    expect(source.renumbered).toHaveBeenCalledTimes(2);
  });

  it("says nothing of that to who has gone on", async () => {
    const source = new ViewerSource("1-1");
    const gone = new AbortController();
    source.renumbered = vi.fn();
    answers = [Response.json({ detail: "other numbers" }, { status: 410 })];
    gone.abort();
    await expect(source.frames(0, 32, gone.signal)).rejects.toThrow("other numbers");
    expect(source.renumbered).not.toHaveBeenCalled();
  });
});
