/** Times, durations and counts as a person reads them. A thin space groups digits. */

const THIN = "\u2009";

export interface Quantity {
  value: string;
  unit: string;
}

function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** A duration in nanoseconds: three significant digits and the unit that fits. */
export function durationParts(ns: number): Quantity {
  const size = Math.abs(ns);
  if (size < 0.5) return { value: "0", unit: "ms" };
  if (size < 999.5) return { value: ns.toFixed(0), unit: "ns" };
  if (size < 999.5e3) return { value: digits(ns / 1e3), unit: "µs" };
  if (size < 999.5e6) return { value: digits(ns / 1e6), unit: "ms" };
  if (size < 59.95e9) return { value: digits(ns / 1e9), unit: "s" };
  const seconds = Math.round(size / 1e9);
  const sign = ns < 0 ? "-" : "";
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours > 0) return { value: `${sign}${hours}:${two(minutes)}`, unit: "h" };
  return { value: `${sign}${minutes}:${two(seconds % 60)}`, unit: "min" };
}

export function duration(ns: number): string {
  const { value, unit } = durationParts(ns);
  return `${value} ${unit}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** A time since the ring began, with `decimals` of a second: "1.302 s", "2:05.5", "1:02:03". */
export function time(ns: number, decimals: number): string {
  const sign = ns < 0 ? "\u2212" : "";
  // Round first, in whole units of the last digit: 59.96 with one decimal is a minute, not "60.0".
  const scale = 10 ** decimals;
  const units = Math.round((Math.abs(ns) / 1e9) * scale);
  const seconds = units / scale;
  if (seconds < 60) return `${sign}${seconds.toFixed(decimals)}${THIN}s`;
  const whole = Math.floor(units / scale);
  const rest = ((units - Math.floor(whole / 60) * 60 * scale) / scale).toFixed(decimals);
  const padded = rest.padStart(decimals > 0 ? decimals + 3 : 2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${sign}${minutes}:${padded}`;
  return `${sign}${Math.floor(minutes / 60)}:${two(minutes % 60)}:${padded}`;
}

/** The wall clock, here, at a time of a recording that began `started` seconds after the epoch: "01:43:38.120". */
export function wallTime(ns: number, started: number): string {
  const date = new Date(Math.round(started * 1e3 + ns / 1e6));
  const millis = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}

/** A time on both clocks: "10.540 s · 01:43:38.120". */
export function moment(ns: number, decimals: number, started: number): string {
  return `${time(ns, decimals)} · ${wallTime(ns, started)}`;
}

/** 12 431, as the digits are grouped in every language. */
export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/** A rate, short: 940, 3.1 k, 1.2 M. */
export function rateParts(perSecond: number): Quantity {
  if (perSecond < 1000) return { value: perSecond.toFixed(perSecond < 10 ? 1 : 0), unit: "/s" };
  if (perSecond < 1e6) return { value: digits1(perSecond / 1e3), unit: "k/s" };
  return { value: digits1(perSecond / 1e6), unit: "M/s" };
}

function digits1(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export function percent(share: number): string {
  const value = share * 100;
  return value > 0 && value < 1 ? "<1" : value.toFixed(0);
}

/** The end of a path, which is what tells files apart. */
export function shortFile(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1);
}

export function siteText(site: { file: string; line: number } | null): string {
  return site === null ? "" : `${shortFile(site.file)}:${site.line}`;
}

/** At most `most` characters, without those in the middle: names differ at their ends. */
export function elided(name: string, most: number): string {
  if (name.length <= most) return name;
  const tail = Math.max(4, Math.floor(most / 3));
  return `${name.slice(0, Math.max(1, most - 1 - tail))}…${name.slice(-tail)}`;
}

/** What a process is called: the script it runs, not the interpreter's path. */
export function commandName(argv: readonly string[]): string {
  const rest = argv.filter((word) => !/(^|\/)(python[\d.]*|greenscope)$/.test(word));
  const module = rest.indexOf("-m");
  const name = module >= 0 ? rest[module + 1] : (rest.find((word) => !word.startsWith("-")) ?? argv[0]);
  return name === undefined ? "python" : shortFile(name);
}
