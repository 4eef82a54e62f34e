import { describe, expect, it } from "vitest";
import { diagnosisNames, exitName, peerName, pieceLabel, rowLabel, stateLabel, stateName, waitName, wakeText } from "../../src/model/labels";
import { Ready, Wait, Watch } from "../../src/protocol/events";
import { PathState, REASON_POLL, State, type Wake } from "../../src/protocol/messages";

const wake = (reason: number, more: Partial<Wake> = {}): Wake => ({ reason, watch: null, fd: null, greenlet: null, ...more });

describe("a state", () => {
  it("is named by its number, and a wait by its reason", () => {
    expect(stateLabel(State.RUNNING, 0)).toBe("running");
    expect(stateLabel(State.WAITING, Wait.READ)).toBe("waiting: read");
    expect(stateLabel(State.WAITING, REASON_POLL)).toBe("waiting: poll");
    expect(waitName(200)).toBe("other");
    expect(pieceLabel(State.READY, 0)).toBe("starved");
    expect(pieceLabel(PathState.ENDED, 0)).toBe("its greenlet had ended");
    expect(pieceLabel(State.WAITING, Wait.LOCK)).toBe("waiting: lock");
  });

  it("has a heading, and the hub's is another", () => {
    expect(stateName(State.RUNNING, 0, false)).toBe("Running");
    expect(stateName(State.RUNNING, 0, true)).toBe("Hub loop");
    expect(stateName(State.WAITING, Wait.TIMER, false)).toBe("Sleeping");
    expect(stateName(State.WAITING, Wait.THREAD, false)).toBe("Waiting: thread");
    expect(stateName(State.WAITING, REASON_POLL, true)).toBe("Hub polls");
  });

  it("of a greenlet that has ended, or has not begun, is that", () => {
    const row = { alive: true, exit: null, label: "waiting: read", state: State.WAITING, reason: Wait.READ };
    expect(rowLabel(row)).toBe("waiting: read");
    expect(rowLabel({ ...row, label: "not yet started", reason: 0 })).toBe("not yet started");
    expect(rowLabel({ ...row, alive: false, exit: "raised" })).toBe("raised");
    expect(exitName(null)).toBe("exited");
  });
});

describe("who woke a greenlet", () => {
  it.each([
    [wake(Ready.WATCHER, { watch: Watch.READ, fd: 7 }), "fd 7 readable"],
    [wake(Ready.WATCHER, { watch: Watch.TIMER }), "timer due"],
    [wake(Ready.WATCHER, { watch: 200 }), "its watcher fired"],
    [wake(Ready.WATCHER), "its watcher"],
    [wake(Ready.TIMEOUT), "its timeout"],
    [wake(Ready.YIELD), "itself: it yielded"],
    [wake(Ready.GREENLET, { greenlet: { id: 4, name: "worker" } }), "worker"],
    [wake(Ready.KILL, { greenlet: { id: 4, name: null } }), "killed by greenlet #4"],
    [wake(99, { greenlet: { id: 2, name: "main" } }), "main"],
  ])("%j is told as %s", (woken, text) => expect(wakeText(woken)).toBe(text));
});

it("what listens has no peer", () => {
  expect(peerName("10.0.0.1:80")).toBe("10.0.0.1:80");
  expect(peerName("listening 0.0.0.0:80")).toBe("listening 0.0.0.0:80");
});

it("a finding is called by its id, also one that this page does not know", () => {
  expect(diagnosisNames("hub-blocked")).toEqual(["hub-blocked"]);
  expect(diagnosisNames("hub-melted")).toEqual(["hub-melted"]);
});
