/**
 * Where a replay comes from: the viewer, or the page itself, which a lesson was written into so that it can be handed
 * out as one file.
 */

import { language } from "../language/language";
import type { Lesson } from "./lesson";
import type { Cause, Frames, Overview, Strip } from "./replay";

/** A lesson as a page of its own. */
export interface SavedPage {
  file: string;
  content: Blob;
}

export interface ReplaySource {
  /** Of the recording. */
  readonly id: string;
  /** `anew`: of the newest there is, whatever was taken in before. */
  overview(signal: AbortSignal, anew?: boolean): Promise<Overview>;
  /** The frames of the steps from `from` up to and without `to`. */
  frames(from: number, to: number, signal: AbortSignal): Promise<Frames>;
  why(step: number, signal: AbortSignal): Promise<Cause[]>;
  /** The lanes from a step to a step. */
  strip(from: number, to: number, signal: AbortSignal): Promise<Strip>;
  /** What is told of it; null: nothing. */
  lesson(signal: AbortSignal): Promise<Lesson | null>;
  /** Is called when steps turn out to have other numbers than in the overview that came last. */
  renumbered: () => void;
  /** Makes a page of the lesson; null: this is one. */
  readonly page: (() => Promise<SavedPage>) | null;
}

/** As many parts as a lane of the strip may have. */
const MOST = 800;

type Query = Record<string, number | boolean>;

/** Asks the viewer. */
export class ViewerSource implements ReplaySource {
  renumbered = (): void => {};
  private readonly base: string;
  /** What came last. */
  private known: Overview | null = null;

  constructor(readonly id: string) {
    this.base = `api/rings/${encodeURIComponent(id)}`;
  }

  async overview(signal: AbortSignal, anew = false): Promise<Overview> {
    const before = anew ? null : this.known;
    const query: Query = before === null ? { anew } : { of: before.replay, since: before.steps };
    const response = await checked(await this.ask("/replay", query, signal));
    if (response.status === 204 && before !== null) return before;
    const found = (this.known = (await response.json()) as Overview);
    if (before !== null && found.replay !== before.replay) this.renumbered();
    return found;
  }

  frames(from: number, to: number, signal: AbortSignal): Promise<Frames> {
    return this.get<Frames>("/replay/frames", { from, to }, signal);
  }

  async why(step: number, signal: AbortSignal): Promise<Cause[]> {
    return (await this.get<{ causes: Cause[] }>("/replay/why", { step }, signal)).causes;
  }

  strip(from: number, to: number, signal: AbortSignal): Promise<Strip> {
    return this.get<Strip>("/replay/strip", { from, to, most: MOST }, signal);
  }

  async lesson(signal: AbortSignal): Promise<Lesson | null> {
    const response = await this.ask("/lesson", {}, signal);
    if (response.status === 404) return null;
    return (await checked(response)).json() as Promise<Lesson>;
  }

  page = async (): Promise<SavedPage> => {
    const response = await checked(await this.ask("/lesson.html", {}));
    const file = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "lesson.html";
    return { file, content: await response.blob() };
  };

  /** What is asked of steps, as they are numbered in what came last. */
  private async get<T>(path: string, query: Query, signal: AbortSignal): Promise<T> {
    const response = await this.ask(path, this.known === null ? query : { ...query, of: this.known.replay }, signal);
    if (response.status === 410 && !signal.aborted) {
      this.known = null;
      this.renumbered();
    }
    return (await checked(response)).json() as Promise<T>;
  }

  private ask(path: string, query: Query, signal?: AbortSignal): Promise<Response> {
    const asked = new URLSearchParams({ ...Object.fromEntries(Object.entries(query).map(([key, value]) => [key, String(value)])), lang: language });
    return fetch(`${this.base}${path}?${asked}`, { signal: signal ?? null });
  }
}

async function checked(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(await detailOf(response));
  return response;
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
  id: string;
  lesson: Lesson;
  overview: Overview;
  /** All of them. */
  frames: Frames;
  /** The causes of every step. */
  causes: Cause[][];
  strip: Strip;
}

/** Answers from what the page holds. */
export class EmbeddedSource implements ReplaySource {
  readonly page = null;
  renumbered = (): void => {};

  constructor(private readonly held: EmbeddedReplay) {}

  get id(): string {
    return this.held.id;
  }

  lesson(): Promise<Lesson> {
    return Promise.resolve(this.held.lesson);
  }

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
