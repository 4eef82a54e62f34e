import { describe, expect, it, vi } from "vitest";
import { Latest } from "../../../src/model/replay/latest";
import { levelText } from "../../../src/model/replay/level";
import { Names, SHAPES } from "../../../src/model/replay/marks";
import { stepOf, target } from "../../../src/model/replay/moves";
import { MOST_LINES, around, bookmarks, fileFor, standing } from "../../../src/model/replay/places";
import { Player, type Took } from "../../../src/model/replay/player";
import { highlighted } from "../../../src/model/replay/python";
import { told } from "../../../src/model/replay/sentence";
import { stepAt, stretchFor } from "../../../src/model/replay/strip";
import { HUB, frame, overview, parked } from "./made";

describe("a move", () => {
  const go = { switch_back: 3, switch_on: 20, again: 30, again_back: null };

  it("leads to a step, or nowhere", () => {
    const here = frame({ step: 10, go });
    expect(target("on", 10, 100, here)).toBe(11);
    expect(target("back", 10, 100, here)).toBe(9);
    expect(target("switch_on", 10, 100, here)).toBe(20);
    expect(target("switch_back", 10, 100, here)).toBe(3);
    expect(target("again", 10, 100, here)).toBe(30);
    expect(target("again_back", 10, 100, here)).toBeNull();
    expect(target("first", 10, 100, here)).toBe(0);
    expect(target("last", 10, 100, here)).toBe(99);
  });

  it("leads nowhere over an end", () => {
    expect(target("back", 0, 100, null)).toBeNull();
    expect(target("on", 99, 100, null)).toBeNull();
    expect(target("first", 0, 100, null)).toBeNull();
  });

  it("that the frame has to tell waits for the frame of this step", () => {
    expect(target("switch_on", 10, 100, null)).toBeNull();
    expect(target("switch_on", 11, 100, frame({ step: 10, go }))).toBeNull();
  });
});

describe("a step in the page's address", () => {
  it("is the step, or the nearest there is, which is said", () => {
    expect(stepOf("12", 100)).toEqual({ step: 12, wrong: false });
    expect(stepOf("0", 1)).toEqual({ step: 0, wrong: false });
    expect(stepOf("100", 100)).toEqual({ step: 99, wrong: true });
  });

  it("may be anything", () => {
    for (const text of ["", "-1", "1.5", "abc", "1e3", "９", "99999999999999999999"]) expect(stepOf(text, 100).wrong).toBe(true);
  });
});

describe("names and marks", () => {
  it("are the same wherever a greenlet is shown, and all different for more than fifty in a row", () => {
    const names = new Names(overview({ greenlets: [{ id: 2, name: "main" }] }));
    names.learn({ 300: "late #300" });
    expect([names.of(2), names.of(300), names.of(7), names.of(HUB)]).toEqual(["main", "late #300", "greenlet #7", "hub"]);
    const marks = new Set(Array.from({ length: 56 }, (_, i) => JSON.stringify(names.mark(i + 2))));
    expect(marks.size).toBe(56);
    expect(names.mark(HUB).colour).toBeNull();
    expect(SHAPES).not.toContain(names.mark(HUB).shape);
  });
});

describe("the file that is shown", () => {
  const site = { file: "/a/b.py", line: 3, function: "f" };

  it("is the step's, else the one before, else where somebody is parked, else the first", () => {
    const files = [{ file: "/first.py", text: "", why_not: null }];
    expect(fileFor(frame({ site }), overview({ files }), "/x.py")).toBe("/a/b.py");
    expect(fileFor(frame(), overview({ files }), "/x.py")).toBe("/x.py");
    expect(fileFor(frame({ parked: [parked(3), parked(4, { site })] }), overview({ files }), null)).toBe("/a/b.py");
    expect(fileFor(frame(), overview({ files }), null)).toBe("/first.py");
    expect(fileFor(null, null, null)).toBeNull();
  });

  it("has a bookmark for everybody who will go on in it", () => {
    const ready = [{ greenlet: 8, since: 0, why: "", site }, { greenlet: 9, since: 0, why: "", site: null }];
    const moment = frame({ ready, parked: [parked(5, { site }), parked(3, { site }), parked(4, { site: { ...site, line: 9 } }), parked(6, { site: { ...site, file: "/other.py" } }), parked(7)] });
    const names = [...bookmarks(moment, "/a/b.py")].map(([line, marks]) => [line, ...marks.map(({ greenlet, ready }) => (ready ? `${greenlet} ready` : greenlet))]);
    expect(names).toEqual([[3, 3, 5, "8 ready"], [9, 4]]);
  });

  it("has its line marked by how its greenlet stands", () => {
    const of = (some: Parameters<typeof frame>[0]): string => standing(frame({ greenlet: 3, ...some }));
    expect(of({ running: 3 })).toBe("running");
    expect(of({ ready: [{ greenlet: 3, since: 0, why: "", site: null }] })).toBe("ready");
    expect(of({ parked: [parked(3)] })).toBe("parked");
    expect(of({})).toBe("other");
    expect(of({ greenlet: null, running: null })).toBe("other");
  });

  it("is shown around the line, if it is very long", () => {
    expect(around(100, 50)).toEqual({ first: 1, last: 100 });
    expect(around(10_000, 5000)).toEqual({ first: 5000 - MOST_LINES / 2, last: 5000 + MOST_LINES / 2 - 1 });
    expect(around(10_000, null).first).toBe(1);
    expect(around(10_000, 10_000).last).toBe(10_000);
  });
});

describe("Python", () => {
  const of = (text: string): string => highlighted(text).map((line) => line.map(([piece, token]) => (token === "plain" ? piece : `<${token}:${piece}>`)).join("")).join("\n");

  it("is told apart", () => {
    expect(of("def f(x):  # why\n    return 'a' + x[10]")).toBe("<keyword:def> <defined:f>(x):  <comment:# why>\n    <keyword:return> <string:'a'> + x[<number:10>]");
  });

  it("has strings over several lines, and with quotes in them", () => {
    expect(of('"""One.\n\nTwo."""\nx = b"\\"#" # c')).toBe('<string:"""One.>\n\n<string:Two.""">\nx = <string:b"\\"#"> <comment:# c>');
  });

  it("loses nothing, whatever it is", () => {
    for (const text of ["x = 'open", "\t\u00e9\u4e2d = 1 ; @d", "'''", "a\r\nb", ")(*&^%$\\", ""]) {
      expect(highlighted(text).map((line) => line.map(([piece]) => piece).join(""))).toEqual(text.split(/\r?\n/));
    }
  });
});

describe("a sentence", () => {
  const names = new Map([["main", 2], ["worker #3", 3], ["worker #31", 31]]);

  it("is told with names and code in it", () => {
    expect(told("worker #31 called recv() at a.py:3 (EWOULDBLOCK), main waits.", names)).toEqual([
      { name: "worker #31", greenlet: 31 },
      " called ",
      { code: "recv()" },
      " at ",
      { code: "a.py:3" },
      " (",
      { code: "EWOULDBLOCK" },
      "), ",
      { name: "main", greenlet: 2 },
      " waits.",
    ]);
  });

  it("names one the first time, and then may mean the word", () => {
    expect(told("main is the main greenlet.", names)).toEqual([{ name: "main", greenlet: 2 }, " is the main greenlet."]);
    expect(told("remain", names)).toEqual(["remain"]);
  });

  it("may name nobody, or somebody with an odd name", () => {
    expect(told("Nobody.", new Map())).toEqual(["Nobody."]);
    expect(told("a(b waits", new Map([["a(b", 4]]))).toEqual([{ name: "a(b", greenlet: 4 }, " waits"]);
  });
});

describe("the strip's window", () => {
  it("shows all that there is room for", () => {
    expect(stretchFor(5, 50, 900, null)).toEqual({ from: 0, to: 50 });
  });

  it("stays as long as the position is in its midst, and then goes there", () => {
    const first = stretchFor(500, 1000, 900, null);
    expect(first).toEqual({ from: 450, to: 550 });
    expect(stretchFor(530, 1000, 900, first)).toBe(first);
    expect(stretchFor(545, 1000, 900, first)).toEqual({ from: 495, to: 595 });
    expect(stretchFor(0, 1000, 900, first)).toEqual({ from: 0, to: 100 });
    const last = stretchFor(999, 1000, 900, first);
    expect(last).toEqual({ from: 900, to: 1000 });
    expect(stretchFor(999, 1000, 900, last)).toBe(last);
  });

  it("knows which step is where", () => {
    const stretch = { from: 450, to: 550 };
    expect([stepAt(stretch, 0, 900), stepAt(stretch, 450, 900), stepAt(stretch, 5000, 900), stepAt(stretch, -9, 900)]).toEqual([450, 500, 549, 450]);
  });
});

describe("a player", () => {
  it("takes a step when it is time, waits where there is none yet, and stops where there will be none", () => {
    vi.useFakeTimers();
    const answers: Took[] = ["on", "wait", "on", "over"];
    const take = vi.fn(() => answers.shift()!);
    const changed = vi.fn();
    const player = new Player(take, changed);
    vi.advanceTimersByTime(60_000);
    expect(take).not.toHaveBeenCalled();
    player.at(2);
    player.play(true);
    player.play(true);
    vi.advanceTimersByTime(1000);
    expect(take).toHaveBeenCalledTimes(2);
    player.at(1);
    vi.advanceTimersByTime(1000);
    expect(take).toHaveBeenCalledTimes(3);
    vi.advanceTimersByTime(60_000);
    expect([player.playing, take.mock.calls.length, changed.mock.calls.length]).toEqual([false, 4, 2]);
    player.play(true);
    player.play(false);
    vi.advanceTimersByTime(60_000);
    expect(take).toHaveBeenCalledTimes(4);
    vi.useRealTimers();
  });
});

describe("what is to be known of a recording", () => {
  it("is what it does not tell, and what is missing", () => {
    expect(levelText(overview())).toBe("");
    expect(levelText(overview({ detail: "switch" }))).toContain("--detail teach");
    expect(levelText(overview({ detail: "io", lost: 1234 }))).toMatch(/--detail teach.* 1\u2009234 events were lost/);
    expect(levelText(overview({ first: 7 }))).toContain("7 older events");
    expect(levelText(overview({ detail: null }))).toBe("");
  });
});

describe("the latest question", () => {
  it("counts, and what comes for an earlier one does not", async () => {
    const changed = vi.fn();
    const latest = new Latest<string>(changed);
    const answers: ((text: string) => void)[] = [];
    const ask = (of: string): void => latest.wish(of, () => new Promise((resolve) => answers.push(resolve)));
    ask("a");
    ask("b");
    ask("b");
    expect(answers).toHaveLength(2);
    answers[1]!("of b");
    await vi.waitFor(() => expect(latest.value).toBe("of b"));
    answers[0]!("of a");
    await Promise.resolve();
    expect([latest.value, latest.of, latest.busy, changed.mock.calls.length]).toEqual(["of b", "b", false, 1]);
  });

  it("that failed is asked again only if that is wanted", async () => {
    const latest = new Latest<string>(() => undefined);
    latest.wish("a", () => Promise.reject(new Error("broken")));
    await vi.waitFor(() => expect(latest.failed).toBe("broken"));
    const fetch = vi.fn(() => Promise.resolve("fine"));
    latest.wish("a", fetch);
    expect(fetch).not.toHaveBeenCalled();
    latest.again();
    latest.wish("a", fetch);
    await vi.waitFor(() => expect(latest.value).toBe("fine"));
    expect(latest.failed).toBeNull();
  });
});
