/** What is selected: a span of a greenlet, a stall, or a finding; and what the viewer says of it. */

import { sameCause } from "./model/findings";
import { inside, segmentAt } from "./model/hit";
import type { Recording } from "./model/recording";
import { stallOf } from "./model/stalls";
import { State, type Finding, type Span, type Stall } from "./protocol/messages";
import { Spans } from "./protocol/spans";

export interface Selected {
  greenlet: number;
  name: string;
  /** A time within it, by which the viewer is asked. */
  time: number;
  start: number;
  end: number;
  span: Span | null;
  stall: Stall | null;
  finding: Finding | null;
}

export interface SelectionContext {
  recording(): Recording | null;
  /** Nanoseconds a pixel. */
  pixel(): number;
  changed(): void;
}

export class SelectionControl {
  current: Selected | null = null;
  private readonly spans: Spans;

  constructor(private readonly context: SelectionContext) {
    this.spans = new Spans(() => context.recording()?.ring.id ?? null);
  }

  clear(): void {
    this.spans.cancel();
    this.set(null);
  }

  /** Selects what a greenlet does at a time. */
  selectAt(greenlet: number, name: string, time: number): void {
    const recording = this.context.recording();
    const track = recording?.store.track(greenlet);
    const index = track === undefined ? -1 : segmentAt(track, time, this.context.pixel());
    const segment = index >= 0 ? track!.at(index) : null;
    const [start, end] = segment === null ? [time, time] : [segment.start, segment.end];
    this.set({
      greenlet,
      name,
      time: segment === null ? time : inside(segment, time),
      start,
      end,
      span: null,
      stall: segment?.state === State.STALLED ? stallOf(recording!.stalls, greenlet, start, end) : null,
      finding: null,
    });
    this.ask();
  }

  /** Selects what a greenlet did for some time, which need not be on screen yet. */
  selectSpan(greenlet: number, name: string, start: number, length: number): void {
    this.set({ greenlet, name, time: start + length / 2, start, end: start + length, span: null, stall: null, finding: null });
    this.ask();
  }

  selectStall(stall: Stall): void {
    this.set({
      greenlet: stall.greenlet,
      name: stall.name,
      time: stall.start + stall.duration / 2,
      start: stall.start,
      end: stall.start + stall.duration,
      span: null,
      stall,
      finding: null,
    });
    this.ask();
  }

  /** Selects a finding, with what its greenlet did at that time. */
  selectFinding(finding: Finding, greenlet: number): void {
    this.set({
      greenlet,
      name: finding.greenlet?.name ?? "hub",
      time: finding.start + finding.duration / 2,
      start: finding.start,
      end: finding.start + finding.duration,
      span: null,
      stall: null,
      finding,
    });
  }

  /** A finding grows while it goes on, and gets worse when it strikes again. */
  findingsCame(findings: readonly Finding[]): void {
    const { current } = this;
    if (current?.finding === null || current === null) return;
    const fresh = findings.find((each) => sameCause(each, current.finding));
    if (fresh) this.current = { ...current, finding: fresh, start: fresh.start, end: fresh.start + fresh.duration };
  }

  /** Asks again for a span that was still going on. */
  refresh(): void {
    if (this.current?.span?.open) this.ask();
  }

  /** A stall that was going on grows until it ends; what is selected grows with it. */
  stallsCame(stalls: readonly Stall[]): void {
    const stall = this.current?.stall;
    if (!stall || stall.end !== null) return;
    const fresh = stalls.find((each) => each.greenlet === stall.greenlet && each.start === stall.start);
    if (fresh) this.current = { ...this.current!, stall: fresh, end: fresh.start + fresh.duration };
  }

  private ask(): void {
    const asked = this.current;
    if (asked === null) return;
    this.spans.ask(asked.greenlet, asked.time, this.context.pixel(), 0, (span) => {
      const { current } = this;
      if (current === null || current.greenlet !== asked.greenlet || current.time !== asked.time) return;
      if (span === null) {
        this.set(current);
        return;
      }
      const stall =
        span.state === State.STALLED
          ? stallOf(this.context.recording()?.stalls ?? [], span.greenlet.id, span.start, span.end)
          : null;
      this.set({ ...current, span, start: span.start, end: span.end, stall: current.stall ?? stall });
    });
  }

  private set(selected: Selected | null): void {
    this.current = selected;
    this.context.changed();
  }
}
