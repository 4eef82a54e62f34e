import { describe, expect, it } from "vitest";
import { decodeFrame, encodeFrame } from "../../src/protocol/frame";

describe("a segments frame", () => {
  const segments = [
    { start: 10, end: 20.5, greenlet: 7, state: 0, reason: 0, flags: 0 },
    { start: 20.5, end: 2 ** 52, greenlet: 4_000_000_000, state: 2, reason: 9, flags: 3 },
    { start: 30, end: 40, greenlet: 8, state: 3, reason: 0, flags: 1 },
  ];

  it("comes back as it was written", () => {
    const frame = decodeFrame(encodeFrame({ serial: 5, snapshot: true, from: 1, to: 99 }, segments))!;
    expect(frame).toMatchObject({ serial: 5, snapshot: true, from: 1, to: 99, count: 3 });
    expect([...frame.start]).toEqual([10, 20.5, 30]);
    expect([...frame.end]).toEqual([20.5, 2 ** 52, 40]);
    expect([...frame.greenlet]).toEqual([7, 4_000_000_000, 8]);
    expect([...frame.state]).toEqual([0, 2, 3]);
    expect([...frame.reason]).toEqual([0, 9, 0]);
    expect([...frame.flags]).toEqual([0, 3, 1]);
  });

  it("has the byte layout of docs/protocol.md", () => {
    const view = new DataView(encodeFrame({ serial: 5, snapshot: false, from: 1.5, to: 99 }, segments.slice(0, 1)));
    expect(view.byteLength).toBe(32 + 23);
    expect([0, 4, 8, 12].map((at) => view.getUint32(at, true))).toEqual([1, 5, 1, 0]);
    expect([16, 24, 32, 40].map((at) => view.getFloat64(at, true))).toEqual([1.5, 99, 10, 20.5]);
    expect(view.getUint32(48, true)).toBe(7);
  });

  it("may be empty", () => {
    expect(decodeFrame(encodeFrame({ serial: 1, snapshot: true, from: 0, to: 1 }, []))!.count).toBe(0);
  });

  it("of another kind is left alone", () => {
    const buffer = encodeFrame({ serial: 1, snapshot: true, from: 0, to: 1 }, []);
    new DataView(buffer).setUint32(0, 77, true);
    expect(decodeFrame(buffer)).toBeNull();
  });

  it("that is too short is refused, with both sizes", () => {
    expect(() => decodeFrame(new ArrayBuffer(8))).toThrow(/32.*8/);
    const buffer = encodeFrame({ serial: 1, snapshot: true, from: 0, to: 1 }, segments);
    expect(() => decodeFrame(buffer.slice(0, 60))).toThrow(/3 segments has 101 bytes, this one 60/);
  });
});
