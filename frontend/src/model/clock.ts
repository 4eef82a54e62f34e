/**
 * "Now" on the ring's clock, between the viewer's messages: the local clock carries it on, for a short
 * while only, so that a viewer that stops talking makes the picture stop rather than invent time.
 *
 * Local times are milliseconds (performance.now), the ring's nanoseconds; both are given, not read.
 */

/** How far the local clock may run ahead of what the viewer has said. */
export const EXTRAPOLATION_NS = 300e6;
/** The picture stays this far behind, so that a frame of segments has come before it is needed. */
export const DELAY_NS = 120e6;
const SLEW_MS = 600;

export class RingClock {
  private offset: number | null = null;
  private target = 0;
  private steppedAt = 0;
  private newest = 0;
  private running = false;

  /** The viewer said that it is `ringNs`, heard at `localMs`. */
  heard(ringNs: number, localMs: number, live: boolean): void {
    this.running = live;
    this.newest = Math.max(this.newest, ringNs);
    const target = ringNs - localMs * 1e6;
    // A message is late, never early: the greatest offset of the recent ones is the truest.
    this.target = this.offset === null ? target : Math.max(target, this.target - 0.5e6);
    if (this.offset === null || Math.abs(this.target - this.offset) > 1e9) {
      this.offset = this.target;
      this.steppedAt = localMs;
    }
  }

  /** The right edge of a window that follows. Never goes back while the ring is live. */
  now(localMs: number): number {
    if (this.offset === null) return 0;
    if (!this.running) return this.newest;
    const share = Math.min(1, Math.max(0, localMs - this.steppedAt) / SLEW_MS);
    this.offset += (this.target - this.offset) * share;
    this.steppedAt = localMs;
    return Math.max(0, Math.min(localMs * 1e6 + this.offset - DELAY_NS, this.newest + EXTRAPOLATION_NS));
  }

  /** The newest time the viewer has said. */
  get latest(): number {
    return this.newest;
  }
}
