/**
 * The diagram: who runs, the ready queue, the hub and its loop, and who waits for what. On the left one reads upward:
 * the hub makes ready, the first who is ready runs. On the right is who is parked, tied to what it waits for.
 */

import { BETWEEN, t } from "../../language/language";
import { count, elided, siteText } from "../../model/format";
import type { Names } from "../../model/replay/marks";
import { rowsOf, sceneOf, type Group, type Room, type Scene, type Thing } from "../../model/replay/scene";
import type { Frame, ParkedOne } from "../../protocol/replay";
import { el, setText } from "../dom";
import { LONGEST, chip, icon } from "./chip";
import { Motion } from "./motion";
import { thingCard, thingText } from "./things";
import { Ties } from "./ties";

/** How high rows are, and so how many there is room for. */
const ROW = 33;
const DENSE_ROW = 29;
const ROOMY_ROW = 46;
const ROOMY_READY_ROW = 52;
const READY_ROW = 29;
const PACKED_ROW = 25;
const TITLES = 96;
const ONE_TITLE = 22;
const QUEUE_TITLE = 38;
/** Two columns of waits want so much. */
const TWO_COLUMNS = 500;
const ROOMY = 440;
/** Where the pane is as high as what is in it. */
const FREE: Room = { ready: 5, packed: 12, roomy: 0, rows: 16, twice: 0, roomyRows: 0 };
const LOOP = ["replay.hub.line.0", "replay.hub.line.1", "replay.hub.line.2"] as const;
/** Which way a greenlet goes at a step. */
const VERBS: Readonly<Record<string, string>> = {
  greenlet_switch: "switch",
  greenlet_throw: "switch",
  greenlet_park: "park",
  greenlet_ready: "wake",
};

export class Diagram {
  readonly root: HTMLElement;
  private readonly told = el("p", { class: "sr-only", id: "replay-told" });
  private readonly seat = el("div", { class: "seat" });
  private readonly doing = el("p", { class: "doing" });
  private readonly queue = el("ol", { class: "queue" });
  private readonly readyCount = el("span", { class: "box-count" });
  private readonly home = el("div", { class: "hub-home" });
  private readonly does = el("p", { class: "hub-does" });
  private readonly loop = LOOP.map((key) => el("li", {}, t(key)));
  private readonly waits = el("div", { class: "waits", tabindex: -1 });
  private readonly parkedCount = el("span", { class: "box-count" });
  private readonly stage: HTMLElement;
  private readonly running: HTMLElement;
  private readonly ready: HTMLElement;
  private readonly ties: Ties;
  private readonly motion: Motion;
  private readonly chips = new Map<number, HTMLElement>();
  private again: () => void = () => undefined;

  constructor() {
    this.running = el("div", { class: "box running" }, title("replay.running"), this.seat, this.doing);
    this.ready = el("div", { class: "box ready" }, title("replay.ready", this.readyCount), this.queue);
    const hub = el("div", { class: "box hub-box" }, el("div", { class: "hub-head" }, this.home, this.does), el("ol", { class: "loop" }, ...this.loop));
    const parked = el("div", { class: "box parked" }, title("replay.parked", this.parkedCount), this.waits);
    const left = el("div", { class: "stage-left" }, this.running, verb("switch", "replay.verb.switch"), this.ready, hub);
    this.stage = el(
      "div",
      { class: "stage", "aria-hidden": "true" },
      left,
      el("div", { class: "verbs" }, verb("park", "replay.verb.park"), verb("wake", "replay.verb.wake")),
      parked,
    );
    this.ties = new Ties(this.stage, left, this.waits);
    this.stage.append(this.ties.root);
    this.motion = new Motion(this.stage, () => this.ties.draw());
    this.waits.addEventListener("scroll", () => this.ties.draw(), { passive: true });
    this.root = el("section", { class: "card replay-diagram", "aria-label": t("replay.diagram") }, this.told, this.stage);
    new ResizeObserver(() => this.again()).observe(this.root);
  }

  show(frame: Frame, names: Names, hub: number): void {
    this.again = () => this.motion.still(() => this.draw(frame, names, hub));
    this.motion.change(() => this.draw(frame, names, hub));
  }

  private draw(frame: Frame, names: Names, hub: number): void {
    const room = this.room(frame, names);
    const scene = sceneOf(frame, hub, room);
    this.forget(frame, hub);
    this.drawRunning(scene, names, hub, frame);
    this.drawReady(scene, names, room);
    this.drawHub(scene, names, hub);
    this.drawWaits(scene, names, room);
    this.ties.show(scene.groups.flatMap(({ ties }) => ties));
    this.ties.draw();
    this.stage.dataset["verb"] = VERBS[frame.kind] ?? "";
    setText(this.told, told(scene, names, frame));
  }

  /** How much there is place for. */
  private room(frame: Frame, names: Names): Room {
    if (getComputedStyle(this.root).overflow === "visible") return FREE;
    const waits = this.waits.parentElement!.clientHeight - TITLES;
    const queue = this.ready.clientHeight - QUEUE_TITLE;
    const longest = Math.max(...frame.ready.map(({ greenlet }) => Math.min(names.of(greenlet).length, LONGEST)), 4);
    const across = Math.max(1, Math.floor((this.ready.clientWidth - 24) / (longest * 6.6 + 37)));
    return {
      ready: Math.max(1, Math.floor(queue / READY_ROW)),
      roomy: Math.floor(queue / ROOMY_READY_ROW),
      roomyRows: this.waits.clientWidth < ROOMY ? 0 : Math.floor(waits / ROOMY_ROW),
      packed: Math.max(2, across * Math.floor(queue / PACKED_ROW)),
      rows: Math.max(3, Math.floor(waits / ROW)),
      twice: this.waits.clientWidth < TWO_COLUMNS ? 0 : Math.max(3, Math.floor((waits + ONE_TITLE) / DENSE_ROW)),
    };
  }

  private drawRunning(scene: Scene, names: Names, hub: number, frame: Frame): void {
    const { running, call } = scene;
    const who = running ?? null;
    this.stage.dataset["running"] = who === null ? "" : String(who);
    this.running.classList.toggle("hub-runs", scene.hubRuns);
    this.running.classList.toggle("unknown", who === null);
    this.seat.replaceChildren(...(who === null ? [el("span", { class: "hint" }, t("replay.running.unknown"))] : [this.chip(who, names)]));
    let text = "";
    if (call !== null) {
      text = call.fd === null ? t("replay.running.doing", { call: call.call }) : t("replay.running.doing.fd", { call: call.call, fd: call.fd });
    }
    const site = !scene.hubRuns && frame.greenlet === running ? siteText(frame.site) : "";
    this.doing.replaceChildren(...(text === "" ? [] : [el("span", {}, text)]), el("span", { class: "site" }, site));
    if (who === hub) setText(this.doing, doesText(scene, names));
  }

  private drawReady({ ready }: Scene, names: Names, room: Room): void {
    const items: HTMLElement[] = ready.ones.map(({ greenlet, why }, i) =>
      el("li", { "data-greenlet": greenlet, title: why, class: i === 0 ? "head" : undefined }, this.chip(greenlet, names), el("span", { class: "why" }, why)),
    );
    if (ready.more > 0) items.push(el("li", { class: "more" }, t("replay.and.more", { count: count(ready.more) })));
    if (ready.total === 0) items.push(el("li", { class: "nobody" }, t("replay.ready.nobody")));
    if (!ready.known) items.push(el("li", { class: "nobody", title: t("replay.ready.unknown") }, "…"));
    this.queue.replaceChildren(...items);
    this.queue.classList.toggle("dense", ready.dense);
    this.queue.classList.toggle("roomy", ready.total <= room.roomy);
    this.queue.dataset["ready"] = ready.ones.map(({ greenlet }) => greenlet).join(" ");
    setText(this.readyCount, ready.total > 0 ? count(ready.total) : "");
  }

  private drawHub(scene: Scene, names: Names, hub: number): void {
    const { does, line } = scene.hub;
    this.stage.dataset["hub"] = does ?? "";
    this.home.classList.toggle("away", scene.hubRuns);
    this.home.replaceChildren(...(scene.hubRuns ? [] : [this.chip(hub, names)]));
    setText(this.does, scene.hubRuns ? t("replay.hub.loop") : doesText(scene, names));
    this.loop.forEach((item, i) => {
      item.classList.toggle("at", i === line);
      item.classList.toggle("now", i === line && scene.hubRuns);
    });
  }

  private drawWaits({ columns, groups, more, parked }: Scene, names: Names, room: Room): void {
    const drawn = columns.map((column) => el("div", { class: "waits-column" }, ...this.column(column, names, columns.length > 1)));
    if (more > 0) drawn.at(-1)!.append(el("p", { class: "more" }, t("replay.and.more", { count: count(more) })));
    if (groups.length === 0) drawn[0]!.append(el("p", { class: "nobody" }, t("replay.nobody.waits")));
    this.waits.classList.toggle("dense", drawn.length > 1);
    this.waits.classList.toggle("roomy", groups.reduce((rows, group) => rows + rowsOf(group), 0) <= room.roomyRows);
    this.waits.replaceChildren(...drawn);
    setText(this.parkedCount, parked > 0 ? count(parked) : "");
  }

  private column(groups: readonly Group[], names: Names, dense: boolean): HTMLElement[] {
    const nodes: HTMLElement[] = [];
    let kernel: boolean | null = null;
    for (const group of groups) {
      if (group.kernel !== kernel) {
        kernel = group.kernel;
        const title = el("p", { class: "wait-title" }, t(kernel ? "replay.kernel" : "replay.others"));
        title.classList.toggle("of-kernel", kernel);
        nodes.push(title);
      }
      nodes.push(this.group(group, names, dense));
    }
    return nodes;
  }

  private group({ key, parked, things, ties }: Group, names: Names, dense: boolean): HTMLElement {
    const who = parked.map((one) => this.parkedOne(one, names));
    if (who.length === 0 && ties.length > 0) who.push(el("span", { class: "empty-seat", "data-of": ties[0]!.greenlet }, elided(names.of(ties[0]!.greenlet), LONGEST)));
    return el(
      "div",
      { class: "wait", "data-group": key },
      el("div", { class: "who" }, ...who),
      el("div", { class: "what" }, ...things.map((thing: Thing) => thingCard(thing, names, dense))),
    );
  }

  private parkedOne({ greenlet, site, label }: ParkedOne, names: Names): HTMLElement {
    return el(
      "div",
      { class: "parked-one", "data-greenlet": greenlet, title: label },
      this.chip(greenlet, names),
      site === null ? null : el("span", { class: "site" }, siteText(site)),
    );
  }

  /** A greenlet's own chip: the same, wherever it is. */
  private chip(greenlet: number, names: Names): HTMLElement {
    let node = this.chips.get(greenlet);
    if (node === undefined) {
      node = chip(greenlet, names);
      node.dataset["move"] = `c ${greenlet}`;
      this.chips.set(greenlet, node);
    }
    return node;
  }

  /** The chips of those that are nowhere any more. */
  private forget(frame: Frame, hub: number): void {
    const here = new Set([hub, frame.running, ...frame.ready.map(({ greenlet }) => greenlet), ...frame.parked.map(({ greenlet }) => greenlet)]);
    for (const greenlet of this.chips.keys()) if (!here.has(greenlet)) this.chips.delete(greenlet);
  }

  /** Another recording: no greenlet is the one it was. */
  clear(): void {
    this.chips.clear();
    this.again = () => undefined;
  }
}

function title(key: "replay.running" | "replay.ready" | "replay.parked", more?: HTMLElement): HTMLElement {
  const hint = { "replay.running": t("replay.running.hint"), "replay.ready": t("replay.ready.hint"), "replay.parked": t("replay.parked.hint") }[key];
  return el("h3", { class: "box-title" }, t(key), more ?? null, el("span", { class: "hint" }, hint));
}

const ARROWS = {
  switch: "M8 2 3.5 7H7v7h2V7h3.5z",
  park: "M14 8 9 3.5V7H2v2h7v3.5z",
  wake: "M2 8l5 4.5V9h7V7H7V3.5z",
};

function verb(name: keyof typeof ARROWS, key: "replay.verb.switch" | "replay.verb.park" | "replay.verb.wake"): HTMLElement {
  const node = el("div", { class: `verb ${name}` }, el("span", {}, t(key)));
  node.prepend(icon(ARROWS[name]));
  return node;
}

/** What the hub does at this moment. */
function doesText({ hub, running }: Scene, names: Names): string {
  switch (hub.does) {
    case "waits":
      return running === null ? "" : t("replay.hub.does.waits", { name: names.of(running) });
    case "asks":
      return t("replay.hub.does.asks");
    case "blocks":
      return t("replay.hub.does.blocks");
    case "calls":
      return hub.calls === null ? t("replay.hub.does.calls.some") : t("replay.hub.does.calls", { function: hub.calls });
    case null:
      return "";
    default:
      return t("replay.hub.does.runs");
  }
}

/** The diagram in words. */
function told(scene: Scene, names: Names, frame: Frame): string {
  const { running, ready, groups, more, parked } = scene;
  const parts = [running === null ? t("replay.told.nobody") : t("replay.told.running", { name: names.of(running) })];
  const does = doesText(scene, names);
  if (does !== "") parts.push(t("replay.told.hub", { does }));
  const cut = (many: readonly string[], rest: number): string => [...many, ...(rest > 0 ? [t("replay.and.more", { count: count(rest) })] : [])].join(", ");
  parts.push(ready.total === 0 ? t("replay.told.ready.none") : t("replay.told.ready", { names: cut(ready.ones.map(({ greenlet }) => names.of(greenlet)), ready.more) }));
  const waiting = groups.flatMap(({ parked: some, things }) =>
    some.map(({ greenlet }) => t("replay.told.waits", { name: names.of(greenlet), what: things.map((thing) => thingText(thing, names)).join("; ") })),
  );
  parts.push(parked === 0 ? t("replay.told.parked.none") : t("replay.told.parked", { names: cut(waiting, more) }));
  const armed = frame.watchers.filter(({ owner }) => owner === running);
  if (armed.length > 0 && running !== null) {
    const things = groups.flatMap(({ things }) => things).filter(({ key }) => armed.some(({ watcher }) => key === `w${watcher}`));
    parts.push(t("replay.told.armed", { name: names.of(running), what: things.map((thing) => thingText(thing, names)).join("; ") }));
  }
  return parts.join(BETWEEN);
}
