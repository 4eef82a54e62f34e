/**
 * The binary segments frame: a 32-byte head, then columns.
 *
 *     kind u32 · serial u32 · count u32 · flags u32 · from f64 · to f64
 *     start f64[count] · end f64[count] · greenlet u32[count] · state u8[] · reason u8[] · flags u8[]
 *
 * The columns are views on the received buffer: nothing is copied. That takes a little-endian machine
 * (every one a browser runs on), and the f64 columns begin at byte 32, so they are aligned.
 */

export interface Frame {
  serial: number;
  /** Forget what was there; clear, it goes on from the frame before. */
  snapshot: boolean;
  from: number;
  to: number;
  count: number;
  start: Float64Array;
  end: Float64Array;
  greenlet: Uint32Array;
  state: Uint8Array;
  reason: Uint8Array;
  flags: Uint8Array;
}

const HEAD = 32;
const BYTES_A_SEGMENT = 8 + 8 + 4 + 1 + 1 + 1;
const SEGMENTS_FRAME = 1;

/** Decodes one frame; null for a kind this page does not know. Throws on a frame of the wrong size. */
export function decodeFrame(buffer: ArrayBuffer): Frame | null {
  if (buffer.byteLength < HEAD) {
    throw new Error(`a frame has at least ${HEAD} bytes, this one ${buffer.byteLength}`);
  }
  const head = new DataView(buffer, 0, HEAD);
  if (head.getUint32(0, true) !== SEGMENTS_FRAME) return null;
  const count = head.getUint32(8, true);
  const size = HEAD + count * BYTES_A_SEGMENT;
  if (buffer.byteLength < size) {
    throw new Error(`a frame of ${count} segments has ${size} bytes, this one ${buffer.byteLength}`);
  }
  let at = HEAD;
  const start = new Float64Array(buffer, at, count);
  const end = new Float64Array(buffer, (at += 8 * count), count);
  const greenlet = new Uint32Array(buffer, (at += 8 * count), count);
  const state = new Uint8Array(buffer, (at += 4 * count), count);
  const reason = new Uint8Array(buffer, (at += count), count);
  const flags = new Uint8Array(buffer, at + count, count);
  return {
    serial: head.getUint32(4, true),
    snapshot: (head.getUint32(12, true) & 1) === 1,
    from: head.getFloat64(16, true),
    to: head.getFloat64(24, true),
    count,
    start,
    end,
    greenlet,
    state,
    reason,
    flags,
  };
}

export interface FrameSegment {
  start: number;
  end: number;
  greenlet: number;
  state: number;
  reason: number;
  flags: number;
}

/** The opposite of decodeFrame, for tests. */
export function encodeFrame(
  head: { serial: number; snapshot: boolean; from: number; to: number },
  segments: FrameSegment[],
): ArrayBuffer {
  const count = segments.length;
  const buffer = new ArrayBuffer(HEAD + count * BYTES_A_SEGMENT);
  const view = new DataView(buffer);
  view.setUint32(0, SEGMENTS_FRAME, true);
  view.setUint32(4, head.serial, true);
  view.setUint32(8, count, true);
  view.setUint32(12, head.snapshot ? 1 : 0, true);
  view.setFloat64(16, head.from, true);
  view.setFloat64(24, head.to, true);
  segments.forEach((s, i) => {
    view.setFloat64(HEAD + 8 * i, s.start, true);
    view.setFloat64(HEAD + 8 * (count + i), s.end, true);
    view.setUint32(HEAD + 16 * count + 4 * i, s.greenlet, true);
    view.setUint8(HEAD + 20 * count + i, s.state);
    view.setUint8(HEAD + 21 * count + i, s.reason);
    view.setUint8(HEAD + 22 * count + i, s.flags);
  });
  return buffer;
}
