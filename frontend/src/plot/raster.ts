/**
 * Lanes into pixels. A frame may hold hundreds of thousands of segments; one fillRect each would cost
 * more than the sixtieth of a second there is. So a lane is first reduced to one look for each pixel
 * column, which is one pass over its segments, and then written as rows of 32-bit pixels: the cost of
 * a frame is that of the screen, nearly whatever it shows.
 */

import { APPEARANCE, Look, lookOf, type Appearance } from "../model/looks";
import type { Track } from "../model/segments";
import { OPEN } from "../protocol/messages";

/** Looks, and after them the shares: a look that has a share of its pixel, in eight steps, over each look that may surround it. */
const SHARES = 8;
const RUNNING_SHARE = 16;
const HUB_SHARE = RUNNING_SHARE + SHARES * Look.HUB;
const LOOKS = HUB_SHARE + SHARES * Look.HUB;
/** The height of the least share, nearly nothing; all of a pixel has the look's own. */
const LEAST_HEIGHT = 0.06;
/**
 * A lane that runs for a moment in each pixel is to look idle; one that runs for a moment now and then is to be
 * seen to. So a share where few others are near is a tick, of this step at least; the more there are, the less.
 */
const TICK_STEP = 4;
const TICK_NEAR = 16;
/** A span narrower than this, in pixels, counts by its share. */
const NARROW = 2;
/** Being ready is seen over running from this share on, where it is the greater. */
const READY_SEEN = 0.3;
const LIT = (look: Look, x: number, period: number, lit: number): Look => (x % period < lit ? look : Look.NOTHING);

/** Look by state * 16 + reason, for a greenlet and for the hub. */
const TABLE = [false, true].map((hub) =>
  Uint8Array.from({ length: 64 }, (_, i) => lookOf(i >> 4, i & 15, hub)),
) as [Uint8Array, Uint8Array];

export interface Scale {
  /** The time at the left edge. */
  from: number;
  /** Nanoseconds a device pixel. */
  pixel: number;
  /** Device pixels. */
  width: number;
  /** The least width of a span, in device pixels. */
  least: number;
  /** What is still going on is drawn up to here. */
  now: number;
}

let ran = new Float32Array(0);
let ready = new Float32Array(0);

/**
 * One look for each pixel column of a lane. Returns whether any is a stall.
 *
 * Spans narrower than a pixel add up to the share of it that the greenlet ran: a lane that runs a thousandth
 * of the time is not to look like one that never stops.
 */
export function laneColumns(track: Track | undefined, scale: Scale, hub: boolean, columns: Uint8Array): boolean {
  columns.fill(Look.NOTHING);
  if (track === undefined) return false;
  const { from, width, least, now } = scale;
  if (ran.length !== width) {
    ran = new Float32Array(width);
    ready = new Float32Array(width);
  }
  ran.fill(0);
  ready.fill(0);
  const perNs = 1 / scale.pixel;
  const table = TABLE[hub ? 1 : 0];
  const { start, end, state, reason, flags, length } = track;
  const to = from + width * scale.pixel;
  let stalled = false;
  let shares = false;
  for (let i = Math.max(0, track.firstEndingAfter(from) - 1); i < length; i++) {
    const begins = start[i]!;
    if (begins >= to) break;
    const ends = (flags[i]! & OPEN) !== 0 && now > end[i]! ? now : end[i]!;
    const left = (begins - from) * perNs;
    // Zoomed in, a long wait ends more pixels away than `| 0` can count.
    const right = Math.min((ends - from) * perNs, width + least);
    if (right <= 0) continue;
    const look = table[((state[i]! & 3) << 4) | (reason[i]! & 15)]!;
    let x0 = left < 0 ? 0 : left | 0;
    if ((ends - begins) * perNs < NARROW && (look === Look.RUNNING || look === Look.HUB || look === Look.READY)) {
      shares = true;
      const share = look === Look.READY ? ready : ran;
      const last = Math.min(width - 1, right | 0);
      if (last === x0) share[x0]! += right - (left < 0 ? 0 : left) + 1e-6;
      else for (let x = x0; x <= last; x++) share[x]! += Math.min(right, x + 1) - Math.max(left, x) + 1e-6;
      continue;
    }
    if (look === Look.STALLED) stalled = true;
    const x1 = Math.min(width, Math.max(right | 0, x0 + least));
    // Only the first pixels can be shared, with spans before this one: the greater look is seen.
    const shared = Math.min(x0 + least, x1);
    for (; x0 < shared; x0++) if (columns[x0]! < look) columns[x0] = look;
    if (x0 < x1) columns.fill(look, x0, x1);
  }
  if (shares) mixShares(columns, hub ? HUB_SHARE : RUNNING_SHARE, least);
  return stalled;
}

/** Lays what has a share of a pixel over what has all of it. */
function mixShares(columns: Uint8Array, base: number, least: number): void {
  const width = columns.length;
  let near = 0;
  for (let x = width - 1; x >= width - TICK_NEAR && x >= 0; x--) if (ran[x]! > 0) near++;
  for (let x = width - 1; x >= 0; x--) {
    if (x >= TICK_NEAR && ran[x - TICK_NEAR]! > 0) near++;
    if (x + TICK_NEAR + 1 < width && ran[x + TICK_NEAR + 1]! > 0) near--;
    const here = ran[x]!;
    const waits = ready[x]!;
    const under = columns[x]!;
    if ((here === 0 && waits === 0) || (under >= Look.HUB && under <= Look.STALLED)) continue;
    if (here === 0 && under === Look.READY) continue;
    if (here === 0 || (waits >= READY_SEEN && waits > here)) {
      columns[x] = Look.READY;
    } else {
      const around = Math.min(width, x + TICK_NEAR + 1) - Math.max(0, x - TICK_NEAR);
      const tick = tickStep(near / around);
      const step = Math.max(tick, Math.min(SHARES - 1, Math.floor(here * SHARES)));
      columns[x] = base + under * SHARES + step;
    }
    for (let k = 1; k < least && x + k < width; k++) widen(columns, x + k, columns[x]!);
  }
}

/** From a tick's step where a quarter of the pixels around run, down to nothing where three quarters do. */
function tickStep(density: number): number {
  return Math.max(0, Math.min(TICK_STEP, Math.round((0.75 - density) * 2 * TICK_STEP)));
}

/** A share is as wide as the least width, over what is beside it, unless that is seen more. */
function widen(columns: Uint8Array, x: number, look: number): void {
  const beside = columns[x]!;
  if (look < RUNNING_SHARE) {
    if (beside < look) columns[x] = look;
  } else if (beside < Look.READY) {
    columns[x] = look - shareUnder(look) * SHARES + beside * SHARES;
  } else if (beside >= RUNNING_SHARE && beside % SHARES < look % SHARES) {
    columns[x] = beside - (beside % SHARES) + (look % SHARES);
  }
}

/** The look that surrounds a share. */
function shareUnder(look: number): number {
  return ((look - (look < HUB_SHARE ? RUNNING_SHARE : HUB_SHARE)) / SHARES) | 0;
}

/** "#rrggbb" or "rgba(r,g,b,a)" as a little-endian RGBA pixel. */
export function pixelOf(color: string): number {
  const hex = /^#([0-9a-f]{6})$/i.exec(color);
  if (hex) {
    const value = parseInt(hex[1]!, 16);
    return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
  }
  const parts = color.match(/[\d.]+/g)?.map(Number) ?? [];
  const [r = 0, g = 0, b = 0, a = 1] = parts;
  return ((Math.round(a * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** Which pixel a look has at each distance from the middle of its lane: 0 where it is not that high. */
export class Palette {
  /** By distance * LOOKS + look. */
  readonly pixels: Uint32Array;
  readonly half: number;
  private readonly dashes: readonly { look: Look; period: number; lit: number }[];

  constructor(rowPixels: number, ratio: number, edge: string | null) {
    this.half = Math.ceil(rowPixels / 2);
    this.pixels = new Uint32Array((this.half + 1) * LOOKS);
    const dashes = [];
    for (const [key, appearance] of Object.entries(APPEARANCE) as [string, Appearance][]) {
      const look = Number(key) as Look;
      const half = Math.max(ratio, Math.round(appearance.height * rowPixels)) / 2;
      const body = pixelOf(appearance.color);
      const rim = edge !== null && (look === Look.READY || look === Look.YIELD) ? pixelOf(edge) : body;
      for (let d = 0; d < half; d++) this.pixels[d * LOOKS + look] = d + Math.round(ratio) >= half ? rim : body;
      if (appearance.dash) {
        dashes.push({ look, lit: appearance.dash[0] * ratio, period: appearance.dash[1] * ratio });
      }
    }
    this.dashes = dashes;
    for (const [look, base] of [[Look.RUNNING, RUNNING_SHARE], [Look.HUB, HUB_SHARE]] as const) {
      for (let at = 0; at < Look.HUB * SHARES; at++) this.makeShare(look, base + at, (at / SHARES) | 0, at % SHARES, rowPixels, ratio);
    }
  }

  private makeShare(look: 12 | 13, code: number, under: number, step: number, rowPixels: number, ratio: number): void {
    const { color, height } = APPEARANCE[look];
    const share = LEAST_HEIGHT + ((height - LEAST_HEIGHT) * step) / (SHARES - 1);
    const half = Math.max(ratio, Math.round(share * rowPixels)) / 2;
    for (let d = 0; d <= this.half; d++) {
      this.pixels[d * LOOKS + code] = d < half ? pixelOf(color) : this.pixels[d * LOOKS + under]!;
    }
  }

  /** Cuts dashes into the columns; `phase` is the column's number since time 0, so that dashes move with time. */
  dash(columns: Uint8Array, phase: number): void {
    for (const { look, period, lit } of this.dashes) {
      const offset = ((phase % period) + period) % period;
      const shares = RUNNING_SHARE + look * SHARES;
      for (let x = 0; x < columns.length; x++) {
        const here = columns[x]!;
        if (here === look) columns[x] = LIT(look, x + offset, period, lit);
        else if (here >= shares && here < shares + SHARES && (x + offset) % period >= lit) columns[x] = here - look * SHARES;
      }
    }
  }

  /** Writes a lane's rows of pixels around `middle`, over `base` where nothing is drawn. */
  write(
    columns: Uint8Array,
    base: Uint32Array,
    into: Uint32Array,
    row: Uint32Array,
    top: number,
    bottom: number,
    middle: number,
    height: number,
  ): void {
    const width = columns.length;
    let last = -1;
    for (let d = 0; d <= this.half; d++) {
      const above = middle - d;
      const below = middle + d;
      const inAbove = above >= top && above >= 0 && above < height;
      const inBelow = d > 0 && below < bottom && below >= 0 && below < height;
      if (!inAbove && !inBelow) continue;
      const at = d * LOOKS;
      if (last < 0 || !this.same(last, at)) {
        const { pixels } = this;
        for (let x = 0; x < width; x++) {
          const pixel = pixels[at + columns[x]!]!;
          row[x] = pixel === 0 ? base[x]! : pixel;
        }
        last = at;
      }
      if (inAbove) into.set(row, above * width);
      if (inBelow) into.set(row, below * width);
    }
  }

  private same(a: number, b: number): boolean {
    for (let look = 0; look < LOOKS; look++) if (this.pixels[a + look] !== this.pixels[b + look]) return false;
    return true;
  }
}
