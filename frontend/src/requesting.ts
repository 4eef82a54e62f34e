/**
 * Asks for requests while they are looked at: for the list, or for the one that is open; at once when something else
 * is wanted, and every two seconds while there is more to come.
 */

import { fetchRequests, fetchWaterfall, type Asked } from "./protocol/api";
import type { Requests, Waterfall } from "./protocol/messages";

const EVERY_MS = 2000;

export interface RequestingContext {
  /** The ring that is shown; null: none. */
  ring(): string | null;
  /** Whether requests are on screen. */
  shown(): boolean;
  /** Whether the process lives, so that there is more to come. */
  live(): boolean;
  /** Whether what is on screen is to stay as it is. */
  paused(): boolean;
  changed(): void;
}

/** Something that is asked for again and again, until there is no more to come. */
class Answer<Value> {
  value: Value | null = null;
  failed = false;
  private of = "";
  private asked: AbortController | null = null;
  private askedAt = -Infinity;
  private final = false;

  constructor(
    private readonly context: RequestingContext,
    /** Whether what was found changes no more, though the process lives. */
    private readonly settled: (value: Value) => boolean = () => false,
  ) {}

  /** `of` says what is wanted: what is here stays until something else comes, if `keep` says so. */
  refresh(of: string, keep: boolean, now: number, fetch: (signal: AbortSignal) => Promise<Value>): void {
    if (of !== this.of) {
      this.asked?.abort();
      this.of = of;
      this.asked = null;
      this.failed = this.final = false;
      this.askedAt = -Infinity;
      if (!keep) this.value = null;
      this.context.changed();
    } else if (this.value !== null && (this.final || this.context.paused())) return;
    if (!this.context.shown() || this.asked !== null || now - this.askedAt < EVERY_MS) return;
    void this.ask(fetch, !this.context.live(), now);
  }

  private async ask(fetch: (signal: AbortSignal) => Promise<Value>, final: boolean, now: number): Promise<void> {
    const asked = new AbortController();
    this.asked = asked;
    this.askedAt = now;
    try {
      const value = await fetch(asked.signal);
      if (this.asked !== asked) return;
      // The viewer may still read what a process left: it has read all when it says the same again.
      const same = this.value !== null && JSON.stringify(value) === JSON.stringify(this.value);
      this.value = value;
      this.failed = false;
      this.final = (final && same) || this.settled(value);
    } catch {
      if (this.asked !== asked) return;
      this.failed = this.value === null;
    }
    this.asked = null;
    this.context.changed();
  }
}

export class RequestControl {
  asked: Asked = { order: "slowest", only: "all", route: "", search: "" };
  /** The request that is open. */
  open: number | null = null;
  private readonly many: Answer<Requests>;
  private readonly one: Answer<{ found: Waterfall | null }>;
  private ring: string | null = null;

  constructor(private readonly context: RequestingContext) {
    this.many = new Answer(context);
    this.one = new Answer(context, ({ found }) => found !== null && found.request.outcome === "done" && found.complete);
  }

  get list(): Requests | null {
    return this.many.value;
  }

  /** The open request whole: null if it has not come yet, or is not known. */
  get whole(): Waterfall | null {
    return this.one.value?.found ?? null;
  }

  /** Whether the viewer says that there is no such request. */
  get unknown(): boolean {
    return this.one.value !== null && this.one.value.found === null;
  }

  get failed(): boolean {
    return this.open === null ? this.many.failed : this.one.failed;
  }

  /** Another choice. */
  choose(change: Partial<Asked>): void {
    this.asked = { ...this.asked, ...change };
    this.refresh();
  }

  /** Opens one, or with null the list. */
  show(number: number | null): void {
    this.open = number;
    this.refresh();
  }

  /** Asks if it is time to; called now and then, and whenever what is shown changes. */
  refresh(now = performance.now()): void {
    const ring = this.context.ring();
    const same = ring === this.ring;
    this.ring = ring;
    if (ring === null) return;
    const { open, asked } = this;
    if (open !== null) {
      this.one.refresh(JSON.stringify([ring, open]), false, now, async (signal) => ({ found: await fetchWaterfall(ring, open, signal) }));
    } else {
      this.many.refresh(JSON.stringify([ring, asked]), same, now, (signal) => fetchRequests(ring, asked, signal));
    }
  }
}
