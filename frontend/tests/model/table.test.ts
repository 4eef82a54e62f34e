import { describe, expect, it } from "vitest";
import { isGone, stallOf } from "../../src/model/stalls";
import { FIRST_ORDER, lineText, matches, reads, reordered, waitingOn } from "../../src/model/table";
import type { Row, Stall } from "../../src/protocol/messages";

function row(id: number, more: Partial<Row> = {}): Row {
  return {
    id, name: `worker #${id}`, parent: 1, state: 2, reason: 1, label: "waiting: read", fd: 7, peer: "10.0.0.1:80",
    resource: null, since: 0, deadline: null, site: { file: "/srv/app/views.py", line: 12, function: "get" },
    switches: 3, run_time: 5, alive: true, exit: null, ...more,
  };
}

describe("the table", () => {
  it("begins with who waits longest, and says so", () => {
    expect(reads(FIRST_ORDER)).toBe("descending");
    expect(reads({ column: "since", descending: true })).toBe("ascending");
    expect(reads({ column: "name", descending: false })).toBe("ascending");
    expect(reads({ column: "switches", descending: true })).toBe("descending");
  });

  it("turns round when the same header is clicked", () => {
    expect(reordered({ column: "name", descending: false }, "name")).toEqual({ column: "name", descending: true });
    expect(reordered({ column: "name", descending: false }, "run_time")).toEqual({ column: "run_time", descending: true });
  });

  it.each(["WORKER", "views.py:12", "10.0.0", "fd 7", "get", " read "])("finds %s", (words) => {
    expect(matches(row(1), words)).toBe(true);
  });

  it("does not find what is not there", () => {
    expect(matches(row(1), "report")).toBe(false);
  });

  it("says what a greenlet waits on", () => {
    expect(waitingOn(row(1))).toBe("fd 7 · 10.0.0.1:80");
    expect(waitingOn(row(1, { peer: null }))).toBe("fd 7");
    expect(waitingOn(row(1, { fd: null, peer: null, reason: 4, resource: 5 }))).toBe("lock #5");
    expect(waitingOn(row(1, { fd: null, peer: null, reason: 3, resource: 6 }))).toBe("");
    expect(waitingOn(row(1, { alive: false, exit: "raised" }))).toBe("raised");
  });
});

describe("the line of a row", () => {
  it("is where it waits", () => expect(lineText(row(1))).toBe("views.py:12 get"));
  it("of one that runs is where it went on from", () => {
    expect(lineText(row(1, { state: 3 }))).toBe("since views.py:12 get");
    expect(lineText(row(1, { state: 0, site: null }))).toBe("");
  });
});

describe("stalls", () => {
  const stall = (start: number, greenlet = 1): Stall => ({
    greenlet, name: "x", start, end: start + 10, duration: 10, ready: 0, before: null, after: null,
  });
  const stalls = [stall(300), stall(200), stall(100, 2)];

  it("are found by greenlet and time", () => {
    expect(stallOf(stalls, 1, 205, 206)?.start).toBe(200);
    expect(stallOf(stalls, 2, 205, 206)).toBeNull();
  });

  it("are gone when all of them was before what is kept", () => {
    expect(isGone(stall(100), 110)).toBe(true);
    expect(isGone(stall(100), 105)).toBe(false);
  });
});
