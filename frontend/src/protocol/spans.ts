/** Asks what a greenlet did at a time: one question under way, the last answers kept. */

import { fetchSpan } from "./api";
import type { Span } from "./messages";

const KEPT = 300;
const OPEN_FOR_MS = 400;

export class Spans {
  private readonly cache = new Map<string, { span: Span | null; asked: number }>();
  private controller: AbortController | null = null;
  private timer: number | undefined;

  constructor(private readonly ring: () => string | null) {}

  /** Answers through `done`, after `delay` ms unless another question or a cancel comes before. */
  ask(greenlet: number, time: number, width: number, delay: number, done: (span: Span | null) => void): void {
    this.cancel();
    const ring = this.ring();
    if (ring === null) return;
    const key = `${ring} ${greenlet} ${Math.round(time / Math.max(1, width))} ${Math.round(width)}`;
    const kept = this.cache.get(key);
    if (kept && (!kept.span?.open || performance.now() - kept.asked < OPEN_FOR_MS)) {
      done(kept.span);
      return;
    }
    this.timer = window.setTimeout(() => {
      const controller = (this.controller = new AbortController());
      fetchSpan(ring, greenlet, time, width, controller.signal).then(
        (span) => {
          if (controller.signal.aborted) return;
          if (this.cache.size >= KEPT) this.cache.clear();
          this.cache.set(key, { span, asked: performance.now() });
          done(span);
        },
        () => {
          // Aborted, or the viewer is away: the connection says so, the pointer's answer can stay out.
        },
      );
    }, delay);
  }

  cancel(): void {
    window.clearTimeout(this.timer);
    this.controller?.abort();
    this.controller = null;
  }
}
