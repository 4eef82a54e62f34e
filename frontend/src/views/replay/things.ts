/** What greenlets wait for, as small cards: what it is, with whom, what is left of it, and who has it. */

import * as format from "../../model/format";
import { t } from "../../language/language";
import { Look } from "../../model/looks";
import type { Names } from "../../model/replay/marks";
import type { Thing } from "../../model/replay/scene";
import { el } from "../dom";
import { swatch } from "../swatch";
import { chip, svg } from "./chip";

const LOOKS: Readonly<Record<string, Look>> = {
  read: Look.READ,
  write: Look.WRITE,
  timer: Look.TIMER,
  timeout: Look.TIMER,
  lock: Look.LOCK,
  rlock: Look.LOCK,
  semaphore: Look.LOCK,
  queue: Look.QUEUE,
  event: Look.EVENT,
  greenlet: Look.JOIN,
  turn: Look.YIELD,
};

/** What a thing is, in a word or two. */
export function thingName({ kind, fd, number, label }: Thing): string {
  const places = { fd: fd ?? "?", number: number ?? "?" };
  switch (kind) {
    case "read":
      return t("replay.thing.read", { fd: places.fd });
    case "write":
      return t("replay.thing.write", { fd: places.fd });
    case "timer":
      return t("replay.thing.timer");
    case "timeout":
      return t("replay.thing.timeout");
    case "lock":
      return t("replay.thing.lock", { number: places.number });
    case "rlock":
      return t("replay.thing.rlock", { number: places.number });
    case "semaphore":
      return t("replay.thing.semaphore", { number: places.number });
    case "queue":
      return t("replay.thing.queue", { number: places.number });
    case "event":
      return t("replay.thing.event", { number: places.number });
    case "greenlet":
      return t("replay.thing.greenlet");
    case "turn":
      return t("replay.thing.turn");
    case "child":
      return t("replay.thing.child");
    case "signal":
      return t("replay.thing.signal");
    case "thread":
      return t("replay.thing.thread");
    case "lookup":
      return t("replay.thing.lookup");
    default:
      return label || t("replay.thing.other");
  }
}

/** All that is said of a thing, in words. */
export function thingText(thing: Thing, names: Names): string {
  const of = thing.kind === "greenlet" ? [...thing.holders.map((each) => names.of(each)), ...(ofSeveral(thing) ? [t("replay.thing.greenlets")] : [])] : [];
  const held = thing.kind !== "greenlet" && thing.holders.length > 0 ? `${t("replay.thing.held")} ${thing.holders.map((each) => names.of(each)).join(t("list.comma"))}` : "";
  const time = thing.fired ? t("replay.thing.fired") : thing.left === null ? "" : leftText(thing.left);
  const peer = thing.peer === null ? "" : peerText(thing.kind, thing.peer);
  return [[thingName(thing), ...of].join(" "), peer, time, held].filter(Boolean).join(t("list.comma"));
}

/** A wait for one end has that one's number; one for several names one of them, and has none. */
function ofSeveral({ kind, number, holders }: Thing): boolean {
  return kind === "greenlet" && number === null && holders.length > 0;
}

/** What the runtime calls a socket that takes connections. */
const LISTENS = "listening ";

function peerText(kind: string, peer: string): string {
  if (peer.startsWith(LISTENS)) return t("replay.thing.listening", { peer: peer.slice(LISTENS.length) });
  return kind === "write" ? t("replay.thing.to", { peer }) : t("replay.thing.from", { peer });
}

function leftText(left: number): string {
  return left > 0 ? t("replay.thing.left", { time: format.duration(left) }) : t("replay.thing.due");
}

/** @param dense whether there is little place: a clock stands for the word */
export function thingCard(thing: Thing, names: Names, dense = false): HTMLElement {
  const { kind, fired, left, whole, holders, peer } = thing;
  const card = el("div", {
    class: `thing ${fired ? "fired" : ""}`.trim(),
    title: thingText(thing, names),
    "data-thing": thing.key,
    "data-move": `t ${thing.key}`,
    "data-kind": kind,
    "data-number": thing.number ?? undefined,
    "data-fired": fired ? "true" : undefined,
  });
  const look = LOOKS[kind] ?? Look.OTHER;
  card.append(whole !== null ? clock(fired ? 0 : (left ?? 0) / whole) : swatch(look));
  if (!(dense && kind === "timer")) card.append(el("span", { class: "thing-name" }, thingName(thing)));
  if (kind === "greenlet") for (const holder of holders) card.append(chip(holder, names, true));
  if (ofSeveral(thing)) card.append(el("span", { class: "thing-others" }, "…")); // in words in its title: there is little room
  if (peer !== null && !dense) card.append(el("span", { class: "thing-more" }, peerText(kind, peer)));
  if (fired) card.append(el("span", { class: "thing-fired" }, t("replay.thing.fired")));
  else if (left !== null) card.append(el("span", { class: "thing-more left" }, dense && left > 0 ? format.duration(left) : leftText(left)));
  if (kind !== "greenlet" && holders.length > 0) {
    card.append(el("span", { class: "thing-more held" }, t("replay.thing.held")), ...holders.slice(0, 2).map((each) => chip(each, names, true)));
  }
  return card;
}

const RADIUS = 5;
const ROUND = 2 * Math.PI * RADIUS;

/** What is left of a time, as a part of a full circle. */
function clock(share: number): SVGElement {
  const rest = Math.max(0, Math.min(1, share));
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: "clock", "aria-hidden": "true" },
    svg("circle", { cx: 8, cy: 8, r: 6.6, class: "clock-rim" }),
    svg("circle", {
      cx: 8,
      cy: 8,
      r: RADIUS / 2,
      class: "clock-rest",
      "stroke-width": RADIUS,
      "stroke-dasharray": `${(rest * ROUND) / 2} ${ROUND}`,
      transform: "rotate(-90 8 8)",
    }),
  );
}
