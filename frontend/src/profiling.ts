/** Asks for the profile while it is looked at: at once, and every few seconds while there is more to come. */

import { fetchProfile } from "./protocol/api";
import type { By, Profile } from "./protocol/messages";

const EVERY_MS = 3000;

export interface ProfilingContext {
  /** The ring that is shown; null: none. */
  ring(): string | null;
  /** Whether the profile is on screen. */
  shown(): boolean;
  /** Whether the process lives, so that there is more to come. */
  live(): boolean;
  /** Whether what is on screen is to stay as it is. */
  paused(): boolean;
  changed(): void;
}

export class ProfileControl {
  by: By = "line";
  current: Profile | null = null;
  failed = false;
  private asked: AbortController | null = null;
  private askedAt = -Infinity;
  /** Of which ring, and by what, is what is here. */
  private of = "";
  /** Whether it was asked for when the process had ended: there is no more to come. */
  private final = false;

  constructor(private readonly context: ProfilingContext) {}

  /** Another choice: what is here is of the one before. */
  choose(by: By): void {
    this.by = by;
    this.refresh();
  }

  /** Asks if it is time to; called now and then, and whenever what is shown changes. */
  refresh(now = performance.now()): void {
    const ring = this.context.ring();
    const of = JSON.stringify([ring, this.by]);
    if (of !== this.of) {
      this.asked?.abort();
      this.of = of;
      this.asked = this.current = null;
      this.failed = this.final = false;
      this.askedAt = -Infinity;
      this.context.changed();
    }
    if (ring === null || !this.context.shown() || this.asked !== null) return;
    if (this.current !== null && (this.final || this.context.paused())) return;
    if (now - this.askedAt < EVERY_MS) return;
    void this.ask(ring, !this.context.live(), now);
  }

  private async ask(ring: string, final: boolean, now: number): Promise<void> {
    const asked = new AbortController();
    this.asked = asked;
    this.askedAt = now;
    try {
      const profile = await fetchProfile(ring, this.by, asked.signal);
      if (this.asked !== asked) return;
      this.current = profile;
      this.failed = false;
      this.final = final;
    } catch {
      if (this.asked !== asked) return;
      this.failed = this.current === null;
    }
    this.asked = null;
    this.context.changed();
  }
}
