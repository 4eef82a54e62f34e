/** States and waits in words, from the numbers that the viewer sends: a label, and the heading of what is pointed at. */

import type { Key } from "../language/en";
import { namedOr, t } from "../language/language";
import { Ready, Wait, Watch } from "../protocol/events";
import { PathState, REASON_POLL, State, type Row, type Wake } from "../protocol/messages";
import { Look, lookOf } from "./looks";

const WAITS = {
  [Wait.OTHER]: "wait.other",
  [Wait.READ]: "wait.read",
  [Wait.WRITE]: "wait.write",
  [Wait.TIMER]: "wait.timer",
  [Wait.LOCK]: "wait.lock",
  [Wait.QUEUE]: "wait.queue",
  [Wait.EVENT]: "wait.event",
  [Wait.JOIN]: "wait.join",
  [Wait.YIELD]: "wait.yield",
  [Wait.THREAD]: "wait.thread",
  [Wait.CHILD]: "wait.child",
  [Wait.SIGNAL]: "wait.signal",
  [Wait.LOOKUP]: "wait.lookup",
  [REASON_POLL]: "wait.poll",
} as const satisfies Record<Wait | typeof REASON_POLL, Key>;

const STATES = {
  [State.RUNNING]: "state.running",
  [State.READY]: "state.ready",
  [State.STALLED]: "state.stalled",
} as const;

const PIECES = {
  [State.RUNNING]: "state.running",
  [State.READY]: "state.starved",
  [State.STALLED]: "state.running",
  [PathState.UNKNOWN]: "state.unknown",
  [PathState.ENDED]: "state.ended",
  [PathState.UNSTARTED]: "state.unstarted",
} as const;

/** The viewer's label of a greenlet that has not run yet, for which there is no state. */
const NEW = "not yet started";

const HEADINGS = {
  [Look.HUB_POLL]: "look.poll",
  [Look.TIMER]: "look.timer",
  [Look.YIELD]: "look.yield",
} as const;

/** The value of a table, if it has one for the number. */
function of<Value>(table: Readonly<Record<number, Value>>, number: number): Value | undefined {
  return table[number];
}

/** What a wait is for: "read". */
export function waitName(reason: number): string {
  return t(of(WAITS, reason) ?? "wait.other");
}

/** "waiting: read", "running". */
export function stateLabel(state: number, reason: number): string {
  const key = of(STATES, state);
  return key === undefined ? t("state.waiting", { for: waitName(reason) }) : t(key);
}

/** The same of a piece of a request, whose being ready is being starved. */
export function pieceLabel(state: number, reason: number): string {
  const key = of(PIECES, state);
  return key === undefined ? t("state.waiting", { for: waitName(reason) }) : t(key);
}

/** What a greenlet is up to; how it ended, if it has. */
export function rowLabel({ alive, exit, label, state, reason }: Pick<Row, "alive" | "exit" | "label" | "state" | "reason">): string {
  if (!alive) return exitName(exit);
  return label === NEW ? t("state.new") : stateLabel(state, reason);
}

/** "returned"; what this page does not know is as the viewer says it. */
export function exitName(exit: string | null): string {
  return exit === null ? t("state.exited") : namedOr(`exit.${exit}`, exit);
}

const FIRED = {
  [Watch.READ]: "wake.read",
  [Watch.WRITE]: "wake.write",
  [Watch.TIMER]: "wake.timer",
  [Watch.SIGNAL]: "wake.signal",
  [Watch.CHILD]: "wake.child",
} as const;

const WOKE = { [Ready.SPAWN]: "wake.spawn", [Ready.KILL]: "wake.kill", [Ready.CLOSE]: "wake.close" } as const;

/** Who made a greenlet ready: "fd 7 readable", "spawned by main". */
export function wakeText({ reason, watch, fd, greenlet }: Wake): string {
  if (reason === Ready.TIMEOUT) return t("wake.timeout");
  if (reason === Ready.YIELD) return t("wake.yield");
  if (greenlet === null) {
    if (watch === null) return t("wake.watcher");
    const what = t(of(FIRED, watch) ?? "wake.fired");
    return fd === null ? what : t("wake.fd", { fd, what });
  }
  const who = greenlet.name ?? t("wake.greenlet", { number: greenlet.id });
  const key = of(WOKE, reason);
  return key === undefined ? who : t(key, { who });
}

const LISTENS = "listening ";

/** Whom a descriptor is connected to; of one that listens, the viewer sends where it does. */
export function peerName(peer: string): string {
  return peer.startsWith(LISTENS) ? t("span.listening", { address: peer.slice(LISTENS.length) }) : peer;
}

/** What a kind of finding is called; its id, by which the documentation and the commands know it, is with it. */
export function diagnosisNames(id: string): string[] {
  const name = namedOr(`diagnosis.${id}`, id);
  return name === id ? [id] : [name, id];
}

/** A heading: "Waiting: read", "Hub loop". */
export function stateName(state: number, reason: number, hub: boolean): string {
  if (state === State.RUNNING) return t(hub ? "look.hub" : "look.running");
  if (state === State.STALLED) return t("look.stalled");
  if (state === State.READY) return t("look.ready");
  const key = of(HEADINGS, lookOf(state, reason, hub));
  return key === undefined ? t("look.waiting", { for: waitName(reason) }) : t(key);
}
