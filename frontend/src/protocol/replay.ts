/**
 * A recording to step through, as types: what `/api/rings/{id}/replay` and the routes below it answer.
 *
 * A step is one event. Its frame shows what was so after it; its words tell it as it was before.
 */

import type { Site, Who } from "./messages";

export const DETAILS = ["switch", "io", "teach"] as const;
export type DetailName = (typeof DETAILS)[number];

export interface SourceFile {
  file: string;
  text: string | null;
  /** Why there is no text, in words. */
  why_not: string | null;
}

/** What there is to step through. */
export interface Overview {
  /** Which numbers the steps have: sent along with what is asked of them. */
  replay: number;
  steps: number;
  /** No more is to come: the process is over. */
  complete: boolean;
  /** No more is taken in, though the process lives. */
  full: boolean;
  /** How many events were written before step 0. */
  first: number;
  detail: DetailName | null;
  hub: number;
  lost: number;
  greenlets: Who[];
  greenlets_total: number;
  files: SourceFile[];
  files_total: number;
  /** Whether a lesson about it can be asked for. */
  lesson: boolean;
}

export interface ReadyOne {
  greenlet: number;
  since: number;
  why: string;
  /** Where it goes on; null: it has not begun. */
  site: Site | null;
}

/** What a parked greenlet waits for: a watcher, or something that others have in their hands. */
export interface WaitsOn {
  kind: string;
  number: number | null;
  /** Who has it in hand: a lock's holder, or whose end it is. */
  greenlet: number | null;
}

export interface ParkedOne {
  greenlet: number;
  reason: string;
  label: string;
  since: number;
  deadline: number | null;
  watcher: number | null;
  timer: number | null;
  on: WaitsOn;
  site: Site | null;
}

export interface ArmedWatcher {
  watcher: number;
  kind: string;
  fd: number | null;
  peer: string | null;
  owner: number;
  fired: boolean;
  due: number | null;
  since: number;
}

export interface CountingTimeout {
  timeout: number;
  owner: number;
  due: number;
  ms: number;
}

export interface Held {
  kind: string;
  number: number;
  holders: number[];
}

/** A call of a socket that is not over, of the greenlet that a step is about. */
export interface CurrentCall {
  greenlet: number;
  call: string;
  fd: number | null;
  site: Site | null;
  waits: number;
}

/** Where the buttons lead to from a step; null: nowhere. */
export interface Go {
  switch_back: number | null;
  switch_on: number | null;
  again: number | null;
  again_back: number | null;
}

/** What the hub does; "waits": a greenlet runs. */
export type HubDoes = "runs" | "asks" | "blocks" | "calls" | "waits";

export interface Frame {
  step: number;
  time: number;
  kind: string;
  greenlet: number | null;
  reason: string | null;
  words: string[];
  site: Site | null;
  running: number | null;
  /** Null: not known. */
  hub: HubDoes | null;
  calls: string | null;
  ready: ReadyOne[];
  ready_total: number;
  ready_known: boolean;
  parked: ParkedOne[];
  parked_total: number;
  watchers: ArmedWatcher[];
  watchers_total: number;
  timeouts: CountingTimeout[];
  timeouts_total: number;
  held: Held[];
  held_total: number;
  current: CurrentCall | null;
  go: Go;
}

export interface Frames {
  frames: Frame[];
  /** What those are called whom they name by number. */
  names: Record<string, string>;
}

export interface Cause {
  step: number;
  words: string;
}

/** One greenlet's states over a stretch of steps; a part is its first step, its last, a state, and why it waits. */
export interface StripLane {
  greenlet: number;
  name: string;
  parts: [first: number, last: number, state: number, reason: number][];
}

/** What everybody did after each of the steps from `from` to `to`; the hub first. */
export interface Strip {
  from: number;
  to: number;
  lanes: StripLane[];
  lanes_total: number;
}
