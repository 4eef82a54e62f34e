/** What the page asks once, over HTTP. Addresses are relative: the page may be served below any path. */

import type { By, Only, Order, Profile, Requests, Ring, Span, Waterfall } from "./messages";
import type { Kind } from "./transport";

/** The rings there are, and how their streams come to this page. */
export async function fetchRings(): Promise<{ rings: Ring[]; stream: Kind }> {
  const response = await fetch("api/rings");
  if (!response.ok) throw new Error(`GET api/rings: ${response.status}`);
  return (await response.json()) as { rings: Ring[]; stream: Kind };
}

/** What a greenlet did at a time; null when nothing is known. `width` is that of one pixel, in ns. */
export async function fetchSpan(
  ring: string,
  greenlet: number,
  time: number,
  width: number,
  signal: AbortSignal,
): Promise<Span | null> {
  const query = new URLSearchParams({
    greenlet: String(greenlet),
    time: String(Math.round(time)),
    width: String(Math.max(1, Math.round(width))),
  });
  const response = await fetch(`api/rings/${encodeURIComponent(ring)}/at?${query}`, { signal });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`GET at: ${response.status}`);
  return (await response.json()) as Span;
}

/** Where the time went, over all that the viewer keeps. */
export async function fetchProfile(ring: string, by: By, signal: AbortSignal): Promise<Profile> {
  const response = await fetch(`api/rings/${encodeURIComponent(ring)}/profile?by=${by}`, { signal });
  if (!response.ok) throw new Error(`GET profile: ${response.status}`);
  return (await response.json()) as Profile;
}

export interface Asked {
  order: Order;
  only: Only;
  route: string;
  search: string;
}

/** What was served, as far as it is wanted. */
export async function fetchRequests(ring: string, asked: Asked, signal: AbortSignal): Promise<Requests> {
  const query = new URLSearchParams({ ...asked });
  const response = await fetch(`api/rings/${encodeURIComponent(ring)}/requests?${query}`, { signal });
  if (!response.ok) throw new Error(`GET requests: ${response.status}`);
  return (await response.json()) as Requests;
}

/** One request whole; null when it is not known. */
export async function fetchWaterfall(ring: string, number: number, signal: AbortSignal): Promise<Waterfall | null> {
  const response = await fetch(`api/rings/${encodeURIComponent(ring)}/requests/${number}`, { signal });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`GET request: ${response.status}`);
  return (await response.json()) as Waterfall;
}
