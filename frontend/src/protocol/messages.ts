/**
 * What the viewer and the page say to each other: docs/protocol.md, as types.
 *
 * Every time is nanoseconds since the ring began.
 */

/** "snapshot": a copy of a ring that was live when it was taken. */
export type RingState = "live" | "ended" | "died" | "snapshot";

export interface Ring {
  id: string;
  pid: number;
  hub: number;
  thread: string;
  argv: string[];
  host: string;
  state: RingState;
  /** Seconds since the epoch: the wall clock at time 0. */
  started: number;
}

export interface Site {
  file: string;
  line: number;
  function: string;
}

/** Who made a greenlet ready; `reason` is a `Ready`, `watch` a `Watch`. */
export interface Wake {
  reason: number;
  watch: number | null;
  fd: number | null;
  greenlet: { id: number; name: string | null } | null;
}

/** What one greenlet did at one time; the answer of `/api/rings/{id}/at`. */
export interface Span {
  greenlet: { id: number; name: string };
  parent: { id: number; name: string } | null;
  state: number;
  reason: number;
  label: string;
  start: number;
  end: number;
  open: boolean;
  fd: number | null;
  peer: string | null;
  resource: number | null;
  deadline: number | null;
  site: Site | null;
  woken_by: Wake | null;
  /** How many spans the asked pixel holds; 1 is this one alone. */
  inside: number;
  running: number;
  ready: number;
  waiting: number;
}

/** What the table can be sorted by; the viewer does it, as it alone has all the rows. */
export type Column = "name" | "state" | "on" | "site" | "since" | "deadline" | "switches" | "run_time";

export interface View {
  type: "view";
  serial: number;
  from: number;
  to: number;
  follow: boolean;
  pixels: number;
  first: number;
  count: number;
  search: string;
  exited: boolean;
  sort: Column;
  descending: boolean;
}

export interface Hello {
  type: "hello";
  ring: Ring;
}

export interface Stall {
  greenlet: number;
  name: string;
  start: number;
  end: number | null;
  duration: number;
  ready: number;
  before: Site | null;
  after: Site | null;
}

/** Who has the hub at this moment, or had it when the process died. */
export interface Running {
  greenlet: number;
  name: string;
  since: number;
  duration: number;
  site: Site | null;
}

export interface Status {
  type: "status";
  state: RingState;
  now: number;
  begin: number;
  events: number;
  events_per_second: number;
  lost: number;
  illegal: number;
  switches_per_second: number;
  mean_slice: number;
  greenlets: number;
  states: Record<string, number>;
  waiting_long: number;
  latency_p99: number;
  latency_now: number;
  stall_threshold: number;
  ring_used: number;
  ring_capacity: number;
  stalls_total: number;
  longest_stall: Stall | null;
  stalls: Stall[];
  running: Running | null;
}

export interface Lane {
  id: number;
  name: string;
  alive: boolean;
}

export interface Lanes {
  type: "lanes";
  total: number;
  first: number;
  lanes: Lane[];
}

export interface Row {
  id: number;
  name: string;
  parent: number;
  state: number;
  reason: number;
  label: string;
  fd: number | null;
  peer: string | null;
  resource: number | null;
  since: number;
  deadline: number | null;
  site: Site | null;
  switches: number;
  run_time: number;
  alive: boolean;
  exit: string | null;
}

export interface Greenlets {
  type: "greenlets";
  now: number;
  total: number;
  rows: Row[];
}

export interface Latency {
  type: "latency";
  bucket: number;
  from: number;
  values: number[];
}

export interface Who {
  id: number;
  name: string;
}

export interface Evidence {
  text: string;
  at: number | null;
  greenlet: Who | null;
  site: Site | null;
}

/** One cause of trouble, however often it struck; docs/diagnoses.md. */
export interface Finding {
  id: string;
  severity: "critical" | "warning" | "note";
  greenlet: Who | null;
  site: Site | null;
  start: number;
  end: number | null;
  duration: number;
  count: number;
  resource: string | null;
  others: Who[];
  others_total: number;
  sentence: string;
  advice: string;
  evidence: Evidence[];
  stack: Site[];
  source: { first: number; lines: string[] } | null;
}

export interface Findings {
  type: "findings";
  total: number;
  findings: Finding[];
}

export const BYS = ["line", "stack", "reason", "peer", "resource", "waker", "latency", "load"] as const;
/** What a profile is made by; docs/profile.md. */
export type By = (typeof BYS)[number];

export interface ProfileRow {
  state: number;
  reason: number;
  label: string | null;
  what: string | null;
  sleeper: string | null;
  site: Site | null;
  stack: Site[];
  total: number;
  share: number;
  count: number;
  still: number;
  mean: number;
  p99: number;
  longest: number;
  longest_start: number;
  longest_greenlet: Who;
}

export interface ProfilePart {
  part: "hub" | "wait" | "sleep" | "idle";
  total: number;
  rows_total: number;
  rows: ProfileRow[];
}

export interface Spread {
  count: number;
  total: number;
  p50: number;
  p99: number;
  longest: number;
  classes: { least: number; below: number | null; count: number; total: number }[];
}

export interface Load {
  busy: number;
  polled: number;
  stretch: number;
  classes: { least: number; most: number; count: number }[];
  longest_start: number | null;
}

/** Where the time went. */
export interface Profile {
  by: By;
  from: number;
  to: number;
  ran: number;
  ready: number;
  waited: number;
  slept: number;
  idle: number;
  parts: ProfilePart[];
  spread: Spread | null;
  load: Load | null;
}

export const ORDERS = ["slowest", "newest", "starved"] as const;
/** What comes first in a list of requests. */
export type Order = (typeof ORDERS)[number];

export const ONLYS = ["all", "failed", "going_on", "lost", "1xx", "2xx", "3xx", "4xx", "5xx"] as const;
/** Which requests are listed, by what became of them. */
export type Only = (typeof ONLYS)[number];

export interface ServedRequest {
  number: number;
  greenlet: number;
  id: string | null;
  method: string;
  path: string;
  query: string;
  route: string;
  trace: string | null;
  outcome: "going_on" | "done" | "lost";
  status: number | null;
  failed: boolean;
  error: string | null;
  site: Site | null;
  start: number;
  wall: number;
  running: number;
  starved: number;
  waiting: number;
  waits: { reason: number; label: string; total: number }[];
  ended: number;
  unknown: number;
}

export interface Route {
  route: string;
  count: number;
  errors: number;
  going_on: number;
  total: number;
  p50: number;
  p90: number;
  p99: number;
  longest: number;
  starved: number;
}

/** What was served. */
export interface Requests {
  now: number;
  total: number;
  found: number;
  going_on: number;
  lost: number;
  without_begin: number;
  forgotten: number;
  requests: ServedRequest[];
  routes_total: number;
  routes: Route[];
}

/** One of a request's greenlets; a segment is start, end, state and reason. */
export interface Member {
  id: number;
  name: string;
  parent: number | null;
  depth: number;
  spawned: number;
  ended: number | null;
  site: Site | null;
  segments: [number, number, number, number][];
  on_path: [number, number][];
}

export interface Piece {
  start: number;
  end: number;
  greenlet: Who;
  state: number;
  reason: number;
  label: string;
  peer: string | null;
  fd: number | null;
  resource: number | null;
  site: Site | null;
}

export interface PathTotal {
  greenlet: Who;
  state: number;
  reason: number;
  label: string;
  total: number;
  count: number;
}

/** One request whole. */
export interface Waterfall {
  request: ServedRequest;
  complete: boolean;
  greenlets_total: number;
  greenlets: Member[];
  path_total: number;
  path: Piece[];
  path_sums: PathTotal[];
}

/** What a piece of a path may be, beside the states of a segment. */
export const PathState = { UNKNOWN: 4, ENDED: 5, UNSTARTED: 6 } as const;

export interface Problem {
  type: "error";
  message: string;
}

export type Message = Hello | Status | Lanes | Greenlets | Latency | Findings | Problem;

/** The states of a segment and of a row. */
export const State = { RUNNING: 0, READY: 1, WAITING: 2, STALLED: 3 } as const;

/** The reason the viewer adds to those of a park: the hub waits in its poll. */
export const REASON_POLL = 9;

/** The flags of a segment. */
export const SEVERAL = 1;
export const OPEN = 2;
