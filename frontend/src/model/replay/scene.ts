/**
 * What the diagram shows of a frame: who runs, what the hub does, the ready queue, and the waits.
 *
 * A wait is a group: the parked greenlets on the left, what they wait for on the right, and ties between them. Mostly
 * that is one each; several greenlets may want one lock, and one may wait for data and for a timeout at once. What
 * the kernel looks out for comes first, then what other greenlets have in their hands; within that the order is that of
 * the greenlets' numbers, so that a group keeps its place while what is in it comes and goes.
 */

import type { ArmedWatcher, CountingTimeout, CurrentCall, Frame, HubDoes, ParkedOne, ReadyOne } from "../../protocol/replay";

/** What a greenlet waits for, and what is armed for it. */
export interface Thing {
  /** Stays the same from step to step. */
  key: string;
  /** "read", "write", "timer", "timeout", "lock", "queue", "event", "greenlet", … */
  kind: string;
  /** Whether the kernel says when, or another greenlet does. */
  kernel: boolean;
  number: number | null;
  fd: number | null;
  peer: string | null;
  /** What is left of a time, and how much it was; null: it is none. */
  left: number | null;
  whole: number | null;
  fired: boolean;
  /** Who has a lock, or whose end it is. */
  holders: number[];
  /** What the viewer calls the wait, of a kind that has no words of its own. */
  label: string;
}

/** "waits": parked for it; "armed": it is armed for one that is not parked; "throws": a timeout; "holds": has it. */
export interface Tie {
  thing: string;
  greenlet: number;
  kind: "waits" | "armed" | "throws" | "holds";
}

export interface Group {
  key: string;
  kernel: boolean;
  parked: ParkedOne[];
  things: Thing[];
  ties: Tie[];
}

/** The line of the hub's loop that it is at: let who is ready run, ask the kernel, make ready who waited. */
export type LoopLine = 0 | 1 | 2;

export interface Scene {
  time: number;
  running: number | null;
  hubRuns: boolean;
  call: CurrentCall | null;
  hub: { does: HubDoes | null; line: LoopLine; calls: string | null };
  ready: { ones: ReadyOne[]; more: number; known: boolean; total: number; dense: boolean };
  /** In one column, or in two if there are too many for one. */
  columns: Group[][];
  groups: Group[];
  /** How many parked greenlets are left out. */
  more: number;
  parked: number;
}

export interface Room {
  /** How many of the ready queue are shown below each other, and how many if they are packed. */
  ready: number;
  packed: number;
  /** How many rows there are for groups, and for two columns of them. */
  rows: number;
  twice: number;
  /** So many of either may be shown large. */
  roomy: number;
  roomyRows: number;
}

export function sceneOf(frame: Frame, hub: number, room: Room): Scene {
  const groups = groupsOf(frame, hub);
  const two = room.twice > 0 && sum(groups) > room.rows;
  const shown = fitting(groups, two ? 2 * room.twice : room.rows, about(frame));
  const parked = shown.reduce((count, group) => count + group.parked.length, 0);
  const dense = frame.ready_total > room.ready;
  const ones = frame.ready.slice(0, dense && frame.ready_total > room.packed ? Math.max(1, room.packed - 1) : frame.ready_total);
  const { current } = frame;
  return {
    time: frame.time,
    running: frame.running,
    hubRuns: frame.running === hub,
    call: current !== null && current.greenlet === frame.running ? current : null,
    hub: { does: frame.hub, line: loopLine(frame), calls: frame.calls },
    ready: { ones, more: frame.ready_total - ones.length, known: frame.ready_known, total: frame.ready_total, dense },
    columns: two ? halves(shown, room.twice) : [shown],
    groups: shown,
    more: Math.max(0, frame.parked_total - parked),
    parked: frame.parked_total,
  };
}

const WAKES: ReadonlySet<string> = new Set(["watcher_fire", "greenlet_ready", "timeout_fire"]);

function loopLine({ hub, kind }: Frame): LoopLine {
  if (hub === "calls") return 2;
  if (hub === "asks" || hub === "blocks") return WAKES.has(kind) ? 2 : 1;
  return 0;
}

/** How many rows a group takes. */
export function rowsOf(group: Group): number {
  return Math.max(1, group.parked.length, group.things.length);
}

function sum(groups: readonly Group[]): number {
  return groups.reduce((rows, group) => rows + rowsOf(group), 0);
}

/** The first column is filled, with as many rows as there is room for; the rest is the second. */
function halves(groups: readonly Group[], rows: number): Group[][] {
  let used = 0;
  let at = 0;
  for (const group of groups) {
    if (used + rowsOf(group) > rows) break;
    used += rowsOf(group);
    at++;
  }
  at = Math.max(1, at);
  return at < groups.length ? [groups.slice(0, at), groups.slice(at)] : [[...groups]];
}

/** Whom a step is about: they are shown before others. */
function about(frame: Frame): ReadonlySet<number> {
  const who = new Set<number>();
  for (const one of [frame.greenlet, frame.running, frame.ready[0]?.greenlet]) if (one != null) who.add(one);
  return who;
}

/** As many groups as there is room for, in their order; a large one without its last greenlets. */
function fitting(groups: readonly Group[], rows: number, about: ReadonlySet<number>): Group[] {
  if (sum(groups) <= rows) return [...groups];
  const matters = (group: Group): boolean =>
    group.parked.some(({ greenlet }) => about.has(greenlet)) || group.ties.some(({ greenlet }) => about.has(greenlet)) || group.things.some(({ fired }) => fired);
  const kept = new Map<Group, Group>();
  let left = rows - 1; // one says how many more there are
  for (const group of [...groups.filter(matters), ...groups.filter((each) => !matters(each))]) {
    if (left <= 0) break;
    const some = rowsOf(group) <= left ? group : cut(group, left, about);
    kept.set(group, some);
    left -= rowsOf(some);
  }
  return groups.flatMap((group) => kept.get(group) ?? []);
}

function cut(group: Group, rows: number, about: ReadonlySet<number>): Group {
  const first = [...group.parked.filter(({ greenlet }) => about.has(greenlet)), ...group.parked.filter(({ greenlet }) => !about.has(greenlet))];
  const kept = new Set(first.slice(0, rows));
  const parked = group.parked.filter((one) => kept.has(one));
  const things = group.things.slice(0, rows);
  const here = new Set(things.map(({ key }) => key));
  const gone = new Set(group.parked.filter((one) => !kept.has(one)).map(({ greenlet }) => greenlet));
  return { ...group, parked, things, ties: group.ties.filter(({ thing, greenlet }) => here.has(thing) && !gone.has(greenlet)) };
}

/** Collects what is tied together. */
class Groups {
  readonly things = new Map<string, Thing>();
  readonly ties: Tie[] = [];
  readonly parked = new Map<number, ParkedOne>();

  thing(thing: Thing): Thing {
    const known = this.things.get(thing.key);
    if (known === undefined) this.things.set(thing.key, thing);
    return known ?? thing;
  }

  tie(thing: Thing, greenlet: number, kind: Tie["kind"]): void {
    const has = this.ties.some((tie) => tie.thing === thing.key && tie.greenlet === greenlet);
    if (!has) this.ties.push({ thing: thing.key, greenlet, kind });
  }

  /** What hangs together: a parked greenlet and all it waits for, and whoever waits for that as well. */
  all(): Group[] {
    const rootOf = new Map<string, string>();
    const find = (key: string): string => {
      let at = key;
      for (let next = rootOf.get(at); next !== undefined && next !== at; next = rootOf.get(at)) at = next;
      return at;
    };
    for (const key of this.things.keys()) rootOf.set(key, key);
    const nodeOf = (greenlet: number): string => `n${greenlet}`;
    for (const greenlet of this.parked.keys()) rootOf.set(nodeOf(greenlet), nodeOf(greenlet));
    for (const { thing, greenlet, kind } of this.ties) {
      if (kind === "holds") continue; // a holder stays with what it waits for itself
      // What is armed for one that is not parked stays together as well: it will be.
      if (!rootOf.has(nodeOf(greenlet))) rootOf.set(nodeOf(greenlet), nodeOf(greenlet));
      rootOf.set(find(nodeOf(greenlet)), find(thing));
    }
    const groups = new Map<string, Group>();
    const group = (root: string): Group => {
      const known = groups.get(root) ?? { key: root, kernel: false, parked: [], things: [], ties: [] };
      groups.set(root, known);
      return known;
    };
    for (const thing of this.things.values()) {
      const into = group(find(thing.key));
      into.things.push(thing);
      into.kernel ||= thing.kernel;
    }
    for (const one of this.parked.values()) group(find(nodeOf(one.greenlet))).parked.push(one);
    for (const tie of this.ties) group(find(tie.thing)).ties.push(tie);
    return [...groups.values()].map(sorted).sort(byOrder);
  }
}

function sorted(group: Group): Group {
  const parked = [...group.parked].sort((a, b) => a.since - b.since || a.greenlet - b.greenlet);
  const things = [...group.things].sort((a, b) => Number(a.kind === "timeout") - Number(b.kind === "timeout") || (a.number ?? 0) - (b.number ?? 0));
  return { ...group, parked, things };
}

/** The least number of whoever waits here, or would. */
function first({ parked, things, ties }: Group): number {
  return Math.min(...[...parked, ...ties].map(({ greenlet }) => greenlet), ...things.flatMap(({ holders }) => holders));
}

function byOrder(a: Group, b: Group): number {
  return Number(b.kernel) - Number(a.kernel) || first(a) - first(b) || (a.key < b.key ? -1 : 1);
}

function groupsOf(frame: Frame, hub: number): Group[] {
  const groups = new Groups();
  for (const one of frame.parked) groups.parked.set(one.greenlet, one);
  for (const watcher of frame.watchers) {
    if (watcher.owner === hub) continue; // a function is called, and nobody waits
    groups.tie(groups.thing(ofWatcher(watcher, frame.time)), watcher.owner, groups.parked.has(watcher.owner) ? "waits" : "armed");
  }
  for (const timeout of frame.timeouts) groups.tie(groups.thing(ofTimeout(timeout, frame.time)), timeout.owner, "throws");
  for (const one of frame.parked) {
    if (!groups.things.has(`w${one.watcher ?? one.timer}`)) groups.tie(groups.thing(ofWait(one, frame)), one.greenlet, "waits");
  }
  for (const { kind, number, holders } of frame.held) {
    const key = keyOf("lock", number);
    const known = groups.things.get(key);
    if (known === undefined && holders.length === 0) continue;
    const thing = groups.thing({ ...blank(key, kind), number });
    Object.assign(thing, { kind, holders });
    for (const holder of holders) if (groups.parked.has(holder)) groups.tie(thing, holder, "holds");
  }
  return groups.all();
}

/** Of a kind of its own a number means one thing; a lock, an RLock and a semaphore are of one kind. */
function keyOf(kind: string, number: number | null): string {
  return `:${kind}:${number}`;
}

function blank(key: string, kind: string): Thing {
  return { key, kind, kernel: false, number: null, fd: null, peer: null, left: null, whole: null, fired: false, holders: [], label: "" };
}

function ofWatcher(watcher: ArmedWatcher, now: number): Thing {
  const { kind, fd, peer, fired, due, since } = watcher;
  return {
    ...blank(`w${watcher.watcher}`, kind),
    kernel: true,
    number: watcher.watcher,
    fd,
    peer,
    fired,
    left: due === null ? null : Math.max(0, due - now),
    whole: due === null ? null : Math.max(1, due - since),
  };
}

function ofTimeout({ timeout, due, ms }: CountingTimeout, now: number): Thing {
  return { ...blank(`t${timeout}`, "timeout"), kernel: true, number: timeout, left: Math.max(0, due - now), whole: Math.max(1, ms * 1e6) };
}

/** What the kernel tells of, even if no watcher of it is known. */
const OF_KERNEL: ReadonlySet<string> = new Set(["read", "write", "timer", "child", "signal"]);

/** What a parked greenlet waits for, where no watcher of it is armed. */
function ofWait(one: ParkedOne, frame: Frame): Thing {
  const { on, reason, deadline } = one;
  const shared = on.number !== null || (on.kind === "greenlet" && on.greenlet !== null);
  const key = !shared ? `g${one.greenlet}` : on.kind === "greenlet" ? `e${on.greenlet}${on.number === null ? "+" : ""}` : keyOf(on.kind, on.number);
  const kind = on.kind === "watcher" ? reason : on.kind;
  return {
    ...blank(key, kind),
    kernel: OF_KERNEL.has(reason),
    number: on.number,
    label: one.label,
    holders: on.greenlet === null ? [] : [on.greenlet],
    left: kind === "timer" && deadline !== null ? Math.max(0, deadline - frame.time) : null,
    whole: kind === "timer" && deadline !== null ? Math.max(1, deadline - one.since) : null,
  };
}
