/** Frames as the viewer makes them, with what a test says of them. */

import type { ArmedWatcher, Frame, Overview, ParkedOne } from "../../../src/protocol/replay";

export const HUB = 1;

export function frame(some: Partial<Frame> = {}): Frame {
  return {
    step: 0,
    time: 1_000_000,
    kind: "greenlet_switch",
    greenlet: 2,
    reason: null,
    words: ["The hub switched to main."],
    site: null,
    running: 2,
    hub: "waits",
    calls: null,
    ready: [],
    ready_total: some.ready?.length ?? 0,
    ready_known: true,
    parked: [],
    parked_total: some.parked?.length ?? 0,
    watchers: [],
    watchers_total: some.watchers?.length ?? 0,
    timeouts: [],
    timeouts_total: some.timeouts?.length ?? 0,
    held: [],
    held_total: some.held?.length ?? 0,
    current: null,
    go: { switch_back: null, switch_on: null, again: null, again_back: null },
    ...some,
  };
}

export function parked(greenlet: number, some: Partial<ParkedOne> = {}): ParkedOne {
  return {
    greenlet,
    reason: "read",
    label: "to read",
    since: greenlet,
    deadline: null,
    watcher: null,
    timer: null,
    on: { kind: "watcher", number: some.watcher ?? some.timer ?? null, greenlet: null },
    site: null,
    ...some,
  };
}

export function watcher(number: number, owner: number, some: Partial<ArmedWatcher> = {}): ArmedWatcher {
  return { watcher: number, kind: "read", fd: number + 10, peer: null, owner, fired: false, due: null, since: 0, ...some };
}

export function overview(some: Partial<Overview> = {}): Overview {
  return {
    replay: 1,
    steps: 100,
    complete: true,
    full: false,
    first: 0,
    detail: "teach",
    hub: HUB,
    lost: 0,
    greenlets: [],
    greenlets_total: 0,
    files: [],
    files_total: 0,
    lesson: false,
    ...some,
  };
}
