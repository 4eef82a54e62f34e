/** Draws stretches of time in a strip, with the colours, heights, dashes and hatches that lanes have. */

import { APPEARANCE, Look, lookOf } from "../model/looks";
import type { Stretch } from "../model/requests";
import { PathState } from "../protocol/messages";
import type { Paint } from "./theme";

const THINNEST = 1;

/** Sizes a canvas in CSS pixels, and gives what draws on it; cleared. */
export function contextOf(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context?.scale(ratio, ratio);
  return context;
}

/**
 * One strip.
 *
 * @param x gives the place of a time, in CSS pixels
 */
export function drawStretches(
  context: CanvasRenderingContext2D,
  stretches: readonly Stretch[],
  x: (time: number) => number,
  top: number,
  height: number,
  paint: Paint,
): void {
  for (const { start, end, state, reason, hub } of stretches) {
    const left = x(start);
    const width = Math.max(THINNEST, x(end) - left);
    if (state >= PathState.UNKNOWN) {
      drawNothing(context, left, width, top + height / 2, state === PathState.UNKNOWN, paint);
      continue;
    }
    const look = lookOf(state, reason, hub);
    if (look !== Look.NOTHING) drawLook(context, look, left, width, top, height, paint);
  }
}

function drawLook(
  context: CanvasRenderingContext2D,
  look: Exclude<Look, 0>,
  left: number,
  width: number,
  top: number,
  height: number,
  paint: Paint,
): void {
  const { color, height: share, dash, hatched } = APPEARANCE[look];
  const tall = Math.max(1.5, share * height);
  const upper = top + (height - tall) / 2;
  context.fillStyle = color;
  if (dash) {
    const [lit, whole] = dash;
    // From a fixed grid, so that a dash does not move when what is before it grows.
    for (let at = Math.floor(left / whole) * whole; at < left + width; at += whole) {
      const [from, to] = [Math.max(at, left), Math.min(at + lit, left + width)];
      if (from < to) context.fillRect(from, upper, to - from, tall);
    }
  } else {
    context.fillRect(left, upper, width, tall);
  }
  if (paint.edge !== null && look === Look.READY && width > 3) {
    context.strokeStyle = paint.edge;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, upper + 0.5, width - 1, tall - 1);
  }
  if (!hatched) return;
  context.save();
  context.beginPath();
  context.rect(left, upper, width, tall);
  context.clip();
  context.strokeStyle = paint.hatch;
  context.lineWidth = 2;
  context.beginPath();
  for (let at = left - tall; at < left + width; at += 6) {
    context.moveTo(at, upper + tall);
    context.lineTo(at + tall, upper);
  }
  context.stroke();
  context.restore();
}

/** A dotted line where nothing is known, and a faint one where there was nobody. */
function drawNothing(context: CanvasRenderingContext2D, left: number, width: number, middle: number, unknown: boolean, paint: Paint): void {
  context.save();
  context.strokeStyle = paint.text;
  context.globalAlpha = unknown ? 1 : 0.4;
  context.setLineDash(unknown ? [1, 4] : []);
  context.lineWidth = unknown ? 2 : 1;
  context.beginPath();
  context.moveTo(left, middle);
  context.lineTo(left + width, middle);
  context.stroke();
  context.restore();
}
