/**
 * What each greenlet did, as far as the viewer has sent it: per greenlet, columns sorted by start.
 *
 * A snapshot forgets everything before it. A frame that goes on replaces what is held from its `from`
 * on: what was still going on is cut there, and grows together again with the same state that follows.
 */

import type { Frame } from "../protocol/frame";
import { OPEN, REASON_POLL, SEVERAL } from "../protocol/messages";

export interface Segment {
  start: number;
  end: number;
  state: number;
  reason: number;
  flags: number;
}

/** One greenlet's segments: columns with room to grow, of which the first `length` count. */
export class Track {
  length = 0;
  start = new Float64Array(16);
  end = new Float64Array(16);
  state = new Uint8Array(16);
  reason = new Uint8Array(16);
  flags = new Uint8Array(16);

  /**
   * Adds what comes next, growing together with an equal neighbour it touches. One that lies within the last
   * (where it ran, in a pixel that it mostly waited) divides it.
   */
  push(start: number, end: number, state: number, reason: number, flags: number): void {
    const before = this.length - 1;
    if (before >= 0 && this.start[before]! <= start && this.end[before]! > end) {
      const whole = this.at(before);
      if (whole.state === state && whole.reason === reason) return;
      this.length--;
      if (whole.start < start) this.add(whole.start, start, whole.state, whole.reason, whole.flags & ~OPEN);
      this.add(start, end, state, reason, flags);
      this.add(end, whole.end, whole.state, whole.reason, whole.flags);
      return;
    }
    while (this.length > 0 && this.start[this.length - 1]! >= start) this.length--;
    const last = this.length - 1;
    if (last >= 0 && this.end[last]! >= start) {
      if (this.state[last] === state && this.reason[last] === reason) {
        this.end[last] = Math.max(this.end[last]!, end);
        this.flags[last] = (this.flags[last]! & SEVERAL) | flags;
        return;
      }
      this.end[last] = start;
    }
    this.add(start, end, state, reason, flags);
  }

  private add(start: number, end: number, state: number, reason: number, flags: number): void {
    if (this.length === this.start.length) this.grow();
    const at = this.length++;
    this.start[at] = start;
    this.end[at] = end;
    this.state[at] = state;
    this.reason[at] = reason;
    this.flags[at] = flags;
  }

  /** Forgets what is from `time` on; a segment across it ends there. */
  cut(time: number): void {
    while (this.length > 0 && this.start[this.length - 1]! >= time) this.length--;
    const last = this.length - 1;
    if (last >= 0 && this.end[last]! > time) this.end[last] = time;
    if (last >= 0) this.flags[last]! &= ~OPEN;
  }

  /** Forgets what ended before `time`. */
  trim(time: number): void {
    const first = this.firstEndingAfter(time);
    if (first === 0) return;
    for (const column of [this.start, this.end, this.state, this.reason, this.flags]) {
      column.copyWithin(0, first, this.length);
    }
    this.length -= first;
  }

  /** The index of the first segment that ends after `time`; `length` when there is none. */
  firstEndingAfter(time: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.end[middle]! > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  at(index: number): Segment {
    return {
      start: this.start[index]!,
      end: this.end[index]!,
      state: this.state[index]!,
      reason: this.reason[index]!,
      flags: this.flags[index]!,
    };
  }

  private grow(): void {
    const room = this.start.length * 2;
    const wider = <T extends Float64Array | Uint8Array>(column: T, into: T): T => {
      into.set(column);
      return into;
    };
    this.start = wider(this.start, new Float64Array(room));
    this.end = wider(this.end, new Float64Array(room));
    this.state = wider(this.state, new Uint8Array(room));
    this.reason = wider(this.reason, new Uint8Array(room));
    this.flags = wider(this.flags, new Uint8Array(room));
  }
}

export class SegmentStore {
  private tracks = new Map<number, Track>();
  /** The newest time a frame has told of: the end of what still goes on. */
  newest = 0;
  /** What any greenlet has waited for, of all that came: reasons. */
  readonly waits = new Set<number>();
  /** The hub's number: only the hub polls. */
  hub: number | null = null;

  apply(frame: Frame): void {
    if (frame.snapshot) this.tracks = new Map();
    else for (const track of this.tracks.values()) track.cut(frame.from);
    for (let i = 0; i < frame.count; i++) {
      const greenlet = frame.greenlet[i]!;
      let track = this.tracks.get(greenlet);
      if (track === undefined) this.tracks.set(greenlet, (track = new Track()));
      const end = frame.end[i]!;
      const reason = frame.reason[i]!;
      const flags = frame.flags[i]!;
      track.push(frame.start[i]!, end, frame.state[i]!, reason, flags);
      if ((flags & OPEN) !== 0 && end > this.newest) this.newest = end;
      if (reason !== 0) this.waits.add(reason);
      if (reason === REASON_POLL) this.hub = greenlet;
    }
  }

  /** Forgets what ended before `time`: following for hours must not fill the page's memory. */
  trim(time: number): void {
    for (const [greenlet, track] of this.tracks) {
      track.trim(time);
      if (track.length === 0) this.tracks.delete(greenlet);
    }
  }

  track(greenlet: number): Track | undefined {
    return this.tracks.get(greenlet);
  }

  segments(greenlet: number): Segment[] {
    const track = this.tracks.get(greenlet);
    return track === undefined ? [] : Array.from({ length: track.length }, (_, i) => track.at(i));
  }

  get count(): number {
    let count = 0;
    for (const track of this.tracks.values()) count += track.length;
    return count;
  }
}
