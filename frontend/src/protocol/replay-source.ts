/**
 * Where a replay comes from: the viewer, or the page itself, which a lesson was written into so that it can be handed
 * out as one file.
 */

import { language } from "../language/language";
import type { Cause, Frames, Overview, Strip } from "./replay";

export interface ReplaySource {
  overview(signal: AbortSignal): Promise<Overview>;
  /** The frames of the steps from `from` up to and without `to`. */
  frames(from: number, to: number, signal: AbortSignal): Promise<Frames>;
  why(step: number, signal: AbortSignal): Promise<Cause[]>;
  /** The lanes from a step to a step. */
  strip(from: number, to: number, signal: AbortSignal): Promise<Strip>;
}

/** As many parts as a lane of the strip may have. */
const MOST = 800;

/** Asks the viewer. */
export class ViewerSource implements ReplaySource {
  private readonly base: string;

  constructor(ring: string) {
    this.base = `api/rings/${encodeURIComponent(ring)}/replay`;
  }

  overview(signal: AbortSignal): Promise<Overview> {
    return this.get<Overview>("", {}, signal);
  }

  frames(from: number, to: number, signal: AbortSignal): Promise<Frames> {
    return this.get<Frames>("/frames", { from, to }, signal);
  }

  async why(step: number, signal: AbortSignal): Promise<Cause[]> {
    return (await this.get<{ causes: Cause[] }>("/why", { step }, signal)).causes;
  }

  strip(from: number, to: number, signal: AbortSignal): Promise<Strip> {
    return this.get<Strip>("/strip", { from, to, most: MOST }, signal);
  }

  private async get<T>(path: string, query: Record<string, number>, signal: AbortSignal): Promise<T> {
    const asked = new URLSearchParams({ ...Object.fromEntries(Object.entries(query).map(([key, value]) => [key, String(value)])), lang: language });
    const response = await fetch(`${this.base}${path}?${asked}`, { signal });
    if (!response.ok) throw new Error(await detailOf(response));
    return (await response.json()) as T;
  }
}

/** What the viewer says about a request that it refused. */
async function detailOf(response: Response): Promise<string> {
  try {
    const { detail } = (await response.json()) as { detail: unknown };
    if (typeof detail === "string") return detail;
  } catch {
    // It said nothing that can be told.
  }
  return `${response.status}`;
}

/** What a lesson's page holds of its recording. */
export interface EmbeddedReplay {
  overview: Overview;
  /** All of them. */
  frames: Frames;
  /** The causes of every step. */
  causes: Cause[][];
  strip: Strip;
}

/** Answers from what the page holds. */
export class EmbeddedSource implements ReplaySource {
  constructor(private readonly held: EmbeddedReplay) {}

  overview(): Promise<Overview> {
    return Promise.resolve(this.held.overview);
  }

  frames(from: number, to: number): Promise<Frames> {
    const { frames, names } = this.held.frames;
    return Promise.resolve({ frames: frames.slice(from, to), names });
  }

  why(step: number): Promise<Cause[]> {
    return Promise.resolve(this.held.causes[step] ?? []);
  }

  strip(): Promise<Strip> {
    return Promise.resolve(this.held.strip);
  }
}
