import { describe, expect, it } from "vitest";
import {
  countText,
  handOvers,
  missingText,
  partsText,
  statusClass,
  statusOf,
  stretchesOf,
  wallText,
  waterfallTicks,
  whatOf,
} from "../../src/model/requests";
import { PathState, State, type Member, type Requests, type ServedRequest } from "../../src/protocol/messages";

const request = (more: Partial<ServedRequest> = {}): ServedRequest => ({
  number: 5, greenlet: 3, id: "id-1", method: "GET", path: "/orders/7", query: "", route: "GET /orders/{id}", trace: null, outcome: "done",
  status: 200, failed: false, error: null, site: null, start: 0, wall: 100, running: 100, starved: 0, waiting: 0, waits: [], ended: 0, unknown: 0, ...more,
});
const list = (more: Partial<Requests> = {}): Requests => ({
  now: 0, total: 0, found: 0, going_on: 0, lost: 0, without_begin: 0, forgotten: 0, requests: [], routes_total: 0, routes: [], ...more,
});

describe("a request", () => {
  it("is called what it asks for, or else by its id or number", () => {
    expect(whatOf(request())).toBe("GET /orders/7");
    expect(whatOf(request({ query: "all=1" }))).toBe("GET /orders/7?all=1");
    expect(whatOf(request({ method: "", path: "checkout" }))).toBe("checkout");
    expect(whatOf(request({ method: "", path: "" }))).toBe("id-1");
    expect(whatOf(request({ method: "", path: "", id: null }))).toBe("request 5");
  });

  it("has a status, or says what became of it", () => {
    expect(statusOf(request(), true)).toBe("200");
    expect(statusOf(request({ status: null, error: "KeyError" }), true)).toBe("KeyError");
    expect(statusOf(request({ status: null }), true)).toBe("");
    expect(statusOf(request({ outcome: "going_on" }), true)).toBe("going on");
    expect(statusOf(request({ outcome: "going_on" }), false)).toBe("no end");
    expect(statusOf(request({ outcome: "lost" }), true)).toBe("end lost");
    expect(wallText(request({ wall: 5e6, outcome: "going_on" }), true)).toBe("5.00 ms so far");
    expect(wallText(request({ wall: 5e6, outcome: "going_on" }), false)).toBe("5.00 ms");
  });

  it("is marked by what became of it", () => {
    expect(statusClass(request(), true)).toBe("");
    expect(statusClass(request({ outcome: "going_on" }), true)).toBe("going-on");
    expect(statusClass(request({ outcome: "going_on" }), false)).toBe("lost");
    expect(statusClass(request({ status: 404 }), true)).toBe("refused");
    expect(statusClass(request({ status: 500, failed: true }), true)).toBe("failed");
    expect(statusClass(request({ outcome: "lost" }), true)).toBe("lost");
  });

  it("has a bar that is as long as it, and the same in words", () => {
    const one = request({
      wall: 100, running: 10, starved: 20, waiting: 50, ended: 15, unknown: 5,
      waits: [{ reason: 4, label: "lock", total: 40 }, { reason: 1, label: "read", total: 10 }],
    });
    const stretches = stretchesOf(one);
    expect(stretches.map(({ state }) => state)).toEqual([
      State.RUNNING, State.READY, State.WAITING, State.WAITING, PathState.ENDED, PathState.UNKNOWN,
    ]);
    expect(stretches.map(({ start, end }) => end - start)).toEqual([10, 20, 40, 10, 15, 5]);
    expect(stretches[0]!.start).toBe(0);
    expect(stretches.at(-1)!.end).toBe(100);
    expect(partsText(one)).toBe(
      "running 10 ns, starved 20 ns, waiting: lock 40 ns, waiting: read 10 ns, its greenlet had ended 15 ns, unknown: overwritten 5 ns",
    );
    expect(stretchesOf(request({ running: 100 }))).toHaveLength(1);
  });
});

describe("a list of requests", () => {
  it("says how many of how many are shown", () => {
    expect(countText(list({ total: 1, found: 1, requests: [request()] }), true)).toBe("1 request");
    expect(countText(list({ total: 9, found: 1, going_on: 2, requests: [request()] }), true)).toBe("1 of 9 · 2 going on");
    expect(countText(list({ total: 9, found: 1, going_on: 2, requests: [request()] }), false)).toBe("1 of 9 · 2 without an end");
    expect(countText(list({ total: 9000, found: 9000, requests: [request()] }), true)).toBe("showing 1 of 9\u2009000");
  });

  it("says what is not in it", () => {
    expect(missingText(list())).toBe("");
    expect(missingText(list({ without_begin: 1, forgotten: 2, lost: 3 }))).toBe(
      "1 request left out: begun in what was overwritten · 2 older requests not kept · of 3 the end was overwritten",
    );
  });
});

describe("a waterfall", () => {
  it("has round ticks from its beginning", () => {
    expect(waterfallTicks(573e6, 6).map(({ text }) => text)).toEqual(["0", "100 ms", "200 ms", "300 ms", "400 ms", "500 ms"]);
    expect(waterfallTicks(2500, 3).map(({ text }) => text)).toEqual(["0", "1 µs", "2 µs"]);
    expect(waterfallTicks(0, 5)).toEqual([{ at: 0, text: "0" }]);
  });

  it("shows where the path goes from one greenlet to another", () => {
    const member = (id: number, on_path: [number, number][]): Member => ({
      id, name: "", parent: null, depth: 0, spawned: 0, ended: null, site: null, segments: [], on_path,
    });
    const members = [member(3, [[0, 5], [90, 100]]), member(4, [[5, 20], [20, 60]]), member(5, []), member(6, [[60, 90]])];
    expect(handOvers(members)).toEqual([
      { at: 5, from: 0, to: 1 },
      { at: 60, from: 1, to: 3 },
      { at: 90, from: 3, to: 0 },
    ]);
  });
});
