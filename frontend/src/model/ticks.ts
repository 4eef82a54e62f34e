/** Where the time axis has its ticks, and what they say. */

import { time } from "./format";

export interface Ticks {
  values: number[];
  labels: string[];
  step: number;
  /** Below a millisecond a tick, the labels count from here: "12.345 s" and then "+20 µs". */
  base: number | null;
}

const SECOND = 1e9;
const LONG_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** The smallest round step of at least `least` ns. */
export function niceStep(least: number): number {
  if (least > SECOND) {
    const step = LONG_STEPS.find((seconds) => seconds * SECOND >= least);
    return (step ?? Math.ceil(least / (86400 * SECOND)) * 86400) * SECOND;
  }
  const power = 10 ** Math.floor(Math.log10(least));
  for (const factor of [1, 2, 5]) if (factor * power >= least * 0.999999) return factor * power;
  return 10 * power;
}

export function timeTicks(from: number, to: number, least: number): Ticks {
  const step = niceStep(Math.max(1, least));
  const unit = step < 1e5 ? 1e6 : 1e7;
  const base = step < 1e6 ? Math.floor((from + to) / 2 / unit) * unit : null;
  const decimals = Math.max(0, Math.ceil(-Math.log10(step / SECOND) - 1e-9));
  const values: number[] = [];
  const labels: string[] = [];
  for (let i = Math.ceil(from / step); i * step <= to; i++) {
    const value = i * step;
    if (value < 0) continue;
    values.push(value);
    labels.push(base === null ? time(value, decimals) : offset(value - base, step));
  }
  return { values, labels, step, base };
}

function offset(ns: number, step: number): string {
  const sign = ns < 0 ? "\u2212" : "+";
  const size = Math.abs(ns);
  if (step >= 1e5) return `${sign}${(size / 1e6).toFixed(1)}\u2009ms`;
  if (step >= 1e3) return `${sign}${(size / 1e3).toFixed(0)}\u2009µs`;
  if (step >= 100) return `${sign}${(size / 1e3).toFixed(1)}\u2009µs`;
  return `${sign}${size.toFixed(0)}\u2009ns`;
}
