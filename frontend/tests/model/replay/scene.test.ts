import { describe, expect, it } from "vitest";
import { sceneOf, type Room, type Scene } from "../../../src/model/replay/scene";
import type { Frame } from "../../../src/protocol/replay";
import { HUB, frame, parked, watcher } from "./made";

const ROOM: Room = { ready: 5, packed: 9, rows: 10, twice: 0, roomy: 0, roomyRows: 0 };
const scene = (some: Partial<Frame>, room: Partial<Room> = {}): Scene => sceneOf(frame(some), HUB, { ...ROOM, ...room });
/** Who waits for what, in short: "3: w7". */
const waits = ({ groups }: Scene): string[] =>
  groups.map(({ parked, things }) => `${parked.map(({ greenlet }) => greenlet).join(" ")}: ${things.map(({ key }) => key).join(" ")}`);
const ties = ({ groups }: Scene): string[] => groups.flatMap((group) => group.ties.map(({ greenlet, kind, thing }) => `${greenlet} ${kind} ${thing}`));

describe("the waits of a scene", () => {
  it("tie a parked greenlet to its watcher", () => {
    const made = scene({ parked: [parked(3, { watcher: 7 })], watchers: [watcher(7, 3)] });
    expect(waits(made)).toEqual(["3: w7"]);
    expect(ties(made)).toEqual(["3 waits w7"]);
    expect(made.groups[0]!.things[0]).toMatchObject({ kind: "read", fd: 17, kernel: true, fired: false });
  });

  it("tie whoever runs to what it has armed, and whoever is ready to what fired for it", () => {
    const made = scene({ watchers: [watcher(7, 2), watcher(8, 4, { fired: true })], ready: [{ greenlet: 4, since: 0, why: "", site: null }] });
    expect(waits(made)).toEqual([": w7", ": w8"]);
    expect(ties(made)).toEqual(["2 armed w7", "4 armed w8"]);
    expect(made.groups[1]!.things[0]!.fired).toBe(true);
  });

  it("say how much is left of a timer at this moment", () => {
    const timer = watcher(7, 3, { kind: "timer", fd: null, since: 0, due: 4_000_000 });
    const [group] = scene({ time: 1_000_000, parked: [parked(3, { reason: "timer", timer: 7 })], watchers: [timer] }).groups;
    expect(group!.things[0]).toMatchObject({ left: 3_000_000, whole: 4_000_000 });
    const [late] = scene({ time: 9_000_000, parked: [parked(3, { reason: "timer", timer: 7 })], watchers: [timer] }).groups;
    expect(late!.things[0]!.left).toBe(0);
  });

  it("keep a timeout beside what its greenlet waits for", () => {
    const made = scene({ parked: [parked(3, { watcher: 7 })], watchers: [watcher(7, 3)], timeouts: [{ timeout: 9, owner: 3, due: 3_000_000, ms: 4 }] });
    expect(waits(made)).toEqual(["3: w7 t9"]);
    expect(ties(made)).toEqual(["3 waits w7", "3 throws t9"]);
    expect(made.groups[0]!.things[1]).toMatchObject({ kind: "timeout", left: 2_000_000, whole: 4_000_000 });
  });

  it("bring together those that want one lock, and show who has it", () => {
    const on = { kind: "lock", number: 5, greenlet: 6 };
    const made = scene({
      parked: [parked(4, { reason: "lock", on }), parked(3, { reason: "lock", on }), parked(6, { timer: 8, reason: "timer" })],
      watchers: [watcher(8, 6, { kind: "timer", fd: null, due: 5 })],
      held: [{ kind: "lock", number: 5, holders: [6] }],
    });
    expect(waits(made)).toEqual(["6: w8", "3 4: :lock:5"]);
    expect(made.groups[1]!.things[0]).toMatchObject({ kernel: false, holders: [6] });
    expect(ties(made)).toContain("6 holds :lock:5");
  });

  it("show a lock that is held though nobody waits for it, and do not tie it to whoever runs", () => {
    const made = scene({ running: 2, held: [{ kind: "lock", number: 5, holders: [2] }, { kind: "lock", number: 6, holders: [] }] });
    expect(waits(made)).toEqual([": :lock:5"]);
    expect(ties(made)).toEqual([]);
  });

  it("name a greenlet whose end is waited for, and give those that wait for nothing known a thing each", () => {
    const made = scene({
      parked: [parked(3, { reason: "join", on: { kind: "greenlet", number: null, greenlet: 4 } }), parked(5, { reason: "other", label: "something else", on: { kind: "other", number: null, greenlet: null } })],
    });
    expect(waits(made)).toEqual(["3: e4+", "5: g5"]);
    expect(made.groups.map(({ things }) => things[0]!.label)).toEqual(["to read", "something else"]);
  });

  it("leave out what is armed so that the hub calls a function", () => {
    expect(waits(scene({ watchers: [watcher(7, HUB)] }))).toEqual([]);
  });

  it("have the kernel's first, and keep their order by whose they are", () => {
    const of = (greenlets: number[]): string[] =>
      waits(scene({ parked: greenlets.map((each) => parked(each, { watcher: 20 - each })), watchers: greenlets.map((each) => watcher(20 - each, each)) }));
    expect(of([5, 3, 4])).toEqual(["3: w17", "4: w16", "5: w15"]);
    const mixed = scene({ parked: [parked(3, { reason: "queue", on: { kind: "queue", number: 1, greenlet: null } }), parked(9, { watcher: 7 })], watchers: [watcher(7, 9)] });
    expect(waits(mixed)).toEqual(["9: w7", "3: :queue:1"]);
  });

  it("are found though the list of watchers was cut", () => {
    expect(waits(scene({ parked: [parked(3, { watcher: 7 })], watchers: [] }))).toEqual(["3: :watcher:7"]);
  });
});

describe("a scene with more than there is room for", () => {
  const many = (count: number): Partial<Frame> => ({
    parked: Array.from({ length: count }, (_, i) => parked(i + 3, { watcher: i + 100 })),
    watchers: Array.from({ length: count }, (_, i) => watcher(i + 100, i + 3)),
  });

  it("says how many are left out, and shows whom the step is about", () => {
    const made = scene({ ...many(30), greenlet: 30 });
    expect(made.groups).toHaveLength(9);
    expect(made.more).toBe(21);
    expect(made.groups.at(-1)!.parked[0]!.greenlet).toBe(30);
  });

  it("fills a second column, where there is room for one", () => {
    const { columns, more } = scene(many(30), { twice: 12 });
    expect(columns.map(({ length }) => length)).toEqual([12, 11]);
    expect(more).toBe(7);
  });

  it("cuts a group that is larger than all the room", () => {
    const on = { kind: "event", number: 5, greenlet: null };
    const made = scene({ greenlet: 25, parked: Array.from({ length: 30 }, (_, i) => parked(i + 3, { reason: "event", on })) });
    expect(made.groups[0]!.parked).toHaveLength(9);
    expect(made.groups[0]!.parked.at(-1)!.greenlet).toBe(25);
    expect(made.groups[0]!.ties).toHaveLength(9);
    expect(made.more).toBe(21);
  });

  it("counts those that the viewer left out", () => {
    expect(scene({ ...many(3), parked_total: 1000 }).more).toBe(997);
  });

  it("packs the ready queue, and then cuts it", () => {
    const ready = (count: number): Partial<Frame> => ({ ready: Array.from({ length: Math.min(count, 50) }, (_, i) => ({ greenlet: i + 3, since: 0, why: "", site: null })), ready_total: count });
    expect(scene(ready(5)).ready).toMatchObject({ dense: false, more: 0 });
    expect(scene(ready(9)).ready).toMatchObject({ dense: true, more: 0 });
    const cut = scene(ready(100)).ready;
    expect([cut.ones.length, cut.more]).toEqual([8, 92]);
  });
});

describe("the hub of a scene", () => {
  it("is at the line of its loop that it does", () => {
    const line = (some: Partial<Frame>): number => scene(some).hub.line;
    expect(line({ hub: "waits" })).toBe(0);
    expect(line({ hub: "runs", running: HUB })).toBe(0);
    expect(line({ hub: "blocks", kind: "poll_begin", running: HUB })).toBe(1);
    expect(line({ hub: "asks", kind: "watcher_fire", running: HUB })).toBe(2);
    expect(line({ hub: "calls", running: HUB })).toBe(2);
    expect(line({ hub: null, running: null })).toBe(0);
  });

  it("runs or does not, and whoever runs may be in a call", () => {
    const current = { greenlet: 2, call: "recv", fd: 3, site: null, waits: 0 };
    expect(scene({ running: 2, current })).toMatchObject({ hubRuns: false, call: current });
    expect(scene({ running: HUB, current })).toMatchObject({ hubRuns: true, call: null });
  });
});
