import { describe, expect, it } from "vitest";
import { SegmentStore } from "../../src/model/segments";
import { decodeFrame, encodeFrame, type FrameSegment } from "../../src/protocol/frame";
import { OPEN, SEVERAL } from "../../src/protocol/messages";

const RUNNING = 0;
const READY = 1;
const WAITING = 2;
const READ = 1;

function segment(start: number, end: number, state: number, more: Partial<FrameSegment> = {}): FrameSegment {
  return { start, end, greenlet: 1, state, reason: state === WAITING ? READ : 0, flags: 0, ...more };
}

function store(): { store: SegmentStore; snapshot: Apply; append: Apply; spans: (greenlet?: number) => number[][] } {
  const store = new SegmentStore();
  const apply =
    (snapshot: boolean): Apply =>
    (from, to, ...segments) =>
      store.apply(decodeFrame(encodeFrame({ serial: 1, snapshot, from, to }, segments))!);
  return {
    store,
    snapshot: apply(true),
    append: apply(false),
    spans: (greenlet = 1) => store.segments(greenlet).map((s) => [s.start, s.end, s.state]),
  };
}
type Apply = (from: number, to: number, ...segments: FrameSegment[]) => void;

describe("the segment store", () => {
  it("forgets everything at a snapshot", () => {
    const { store: held, snapshot, spans } = store();
    snapshot(0, 10, segment(0, 10, RUNNING), segment(0, 5, RUNNING, { greenlet: 2 }));
    snapshot(5, 15, segment(5, 15, WAITING));
    expect(spans()).toEqual([[5, 15, WAITING]]);
    expect(spans(2)).toEqual([]);
    expect(held.count).toBe(1);
  });

  it("goes on from the frame before", () => {
    const { snapshot, append, spans, store: held } = store();
    snapshot(0, 10, segment(0, 4, RUNNING), segment(4, 10, WAITING));
    append(10, 40, segment(10, 12, READY), segment(12, 20, RUNNING, { flags: OPEN }));
    expect(spans()).toEqual([[0, 4, RUNNING], [4, 10, WAITING], [10, 12, READY], [12, 20, RUNNING]]);
    expect(held.newest).toBe(20);
  });

  it("replaces a span that was still going on by its longer self, sent whole", () => {
    const { snapshot, append, spans } = store();
    snapshot(0, 10, segment(0, 4, RUNNING), segment(4, 10, WAITING, { flags: OPEN }));
    append(10, 20, segment(4, 18, WAITING), segment(18, 20, READY, { flags: OPEN }));
    expect(spans()).toEqual([[0, 4, RUNNING], [4, 18, WAITING], [18, 20, READY]]);
  });

  it("grows a span together again that was sent from the cut on", () => {
    const { snapshot, append, spans, store: held } = store();
    snapshot(0, 10, segment(4, 10, WAITING, { flags: OPEN }));
    append(10, 20, segment(10, 20, WAITING, { flags: OPEN }));
    append(20, 30, segment(20, 25, WAITING), segment(25, 30, READY));
    expect(spans()).toEqual([[4, 25, WAITING], [25, 30, READY]]);
    expect(held.segments(1)[0]!.flags).toBe(0);
  });

  it("does not grow spans together that wait for different things", () => {
    const { snapshot, append, spans } = store();
    snapshot(0, 10, segment(0, 10, WAITING, { reason: 1 }));
    append(10, 20, segment(10, 20, WAITING, { reason: 2 }));
    expect(spans()).toHaveLength(2);
  });

  it("drops what it held from the frame's start on, of every greenlet", () => {
    const { snapshot, append, spans } = store();
    snapshot(0, 10, segment(0, 10, WAITING), segment(2, 6, RUNNING, { greenlet: 2 }), segment(6, 10, READY, { greenlet: 2 }));
    append(5, 12, segment(5, 12, RUNNING));
    expect(spans()).toEqual([[0, 5, WAITING], [5, 12, RUNNING]]);
    expect(spans(2)).toEqual([[2, 5, RUNNING]]);
  });

  it("clears the open flag of what did not go on", () => {
    const { snapshot, append, store: held } = store();
    snapshot(0, 10, segment(0, 10, RUNNING, { flags: OPEN | SEVERAL }));
    append(10, 20);
    expect(held.segments(1)[0]!.flags).toBe(SEVERAL);
  });

  it("divides a summary by where it ran, and keeps the rest of it", () => {
    const { snapshot, append, spans } = store();
    snapshot(0, 100, segment(0, 50, WAITING, { flags: SEVERAL }), segment(0, 5, RUNNING, { flags: SEVERAL }), segment(50, 100, READY));
    expect(spans()).toEqual([[0, 5, RUNNING], [5, 50, WAITING], [50, 100, READY]]);
    append(100, 150, segment(100, 150, WAITING), segment(110, 120, RUNNING), segment(150, 160, RUNNING));
    expect(spans().slice(3)).toEqual([[100, 110, WAITING], [110, 120, RUNNING], [120, 150, WAITING], [150, 160, RUNNING]]);
  });

  it("knows the hub by its poll", () => {
    const { snapshot, store: held } = store();
    snapshot(0, 10, segment(0, 10, WAITING));
    expect(held.hub).toBeNull();
    snapshot(0, 10, segment(0, 10, WAITING, { greenlet: 9, reason: 9 }));
    expect(held.hub).toBe(9);
  });

  it("forgets what is long gone when it is trimmed", () => {
    const { snapshot, store: held, spans } = store();
    snapshot(0, 30, segment(0, 10, RUNNING), segment(10, 20, WAITING), segment(20, 30, RUNNING), segment(0, 5, READY, { greenlet: 2 }));
    held.trim(15);
    expect(spans()).toEqual([[10, 20, WAITING], [20, 30, RUNNING]]);
    expect(held.track(2)).toBeUndefined();
  });

  it("finds by time among thousands", () => {
    const { snapshot, store: held } = store();
    snapshot(0, 1e5, ...Array.from({ length: 5000 }, (_, i) => segment(i * 20, i * 20 + 10, i % 2)));
    const track = held.track(1)!;
    expect(track.length).toBe(5000);
    expect(track.at(track.firstEndingAfter(205)).start).toBe(200);
    expect(track.at(track.firstEndingAfter(210)).start).toBe(220);
    expect(track.firstEndingAfter(1e9)).toBe(5000);
  });
});
