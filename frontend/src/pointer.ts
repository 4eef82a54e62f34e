/** What is pointed at, by the pointer or by the keyboard's cursor, and the tooltip that says what it is. */

import * as format from "./model/format";
import { inside, neighbour, segmentAt } from "./model/hit";
import { stateName } from "./model/labels";
import type { Recording } from "./model/recording";
import type { Viewport } from "./model/viewport";
import type { Span } from "./protocol/messages";
import { Spans } from "./protocol/spans";
import { announce } from "./views/dom";
import type { LanesView } from "./views/lanes";
import { Tooltip } from "./views/tooltip";

const HOVER_MS = 60;
/** A window that follows moves under a still pointer at each frame; what is there is asked for less often. */
const FOLLOWED_MS = 250;

export interface Point {
  row: number;
  time: number;
}

export interface PointerContext {
  recording(): Recording | null;
  viewport: Viewport;
  lanes(): LanesView;
  pixel(): number;
  changed(): void;
}

export class PointerControl {
  hover: Point | null = null;
  cursor: Point | null = null;
  private readonly tooltip = new Tooltip();
  private readonly spans: Spans;
  /** Where on screen the pointer is. */
  private at: { x: number; y: number } | null = null;
  /** What the tooltip was last made for: the picture under it, and when. */
  private seen = "";
  private explainedAt = 0;
  /** What it says now; kept while the same segment is under the pointer. */
  private said: { greenlet: number; start: number; state: number; span: Span } | null = null;

  constructor(private readonly context: PointerContext) {
    this.spans = new Spans(() => context.recording()?.ring.id ?? null);
  }

  hovered(row: number | null, share: number, x: number, y: number): void {
    if (row === null) {
      this.hover = this.at = null;
      this.spans.cancel();
      if (this.cursor === null) this.tooltip.hide();
    } else {
      this.cursor = null;
      this.hover = { row, time: this.context.viewport.timeAt(share) };
      this.at = { x, y };
      this.explain(this.hover, x, y, false);
    }
    this.context.changed();
  }

  /** The keyboard's cursor: rows up and down, spans left and right. */
  move(rows: number, direction: -1 | 0 | 1): void {
    const recording = this.context.recording();
    if (recording === null) return;
    const { viewport } = this.context;
    const lanes = this.context.lanes();
    const extent = recording.extent(performance.now());
    const at = this.cursor ?? { row: lanes.rows.first, time: Math.min((viewport.window.from + viewport.window.to) / 2, extent.now) };
    const row = Math.max(0, Math.min(lanes.total - 1, at.row + (this.cursor === null ? 0 : rows)));
    let { time } = at;
    const lane = lanes.laneAt(row);
    const track = lane === null ? undefined : recording.store.track(lane.id);
    if (direction !== 0 && track !== undefined) {
      const next = neighbour(track, time, direction);
      if (next !== null) time = (next.start + next.end) / 2;
    }
    // The cursor stays on its time: a window that follows would carry it away.
    viewport.show(time, time, extent);
    lanes.scrollToRow(row);
    this.cursor = { row, time };
    this.hover = this.at = null;
    const { x, y } = lanes.pointOf(row, viewport.shareOf(time));
    this.explain(this.cursor, x, y, true);
    this.context.changed();
  }

  clear(): void {
    this.hover = this.cursor = this.at = null;
    this.spans.cancel();
    this.tooltip.hide();
    this.context.changed();
  }

  /** The window, the lanes or a search may have changed what is under a still pointer or the cursor. */
  stirred(localMs: number): void {
    if (this.at === null && this.cursor === null) return;
    const { viewport } = this.context;
    const lanes = this.context.lanes();
    if (this.cursor !== null) {
      if (this.picture(this.cursor.row) === this.seen) return;
      const share = viewport.shareOf(this.cursor.time);
      const { x, y } = lanes.pointOf(this.cursor.row, share);
      if (share >= 0 && share <= 1 && lanes.under(x, y) !== null) this.explain(this.cursor, x, y, false);
      else this.quiet();
      return;
    }
    const { x, y } = this.at!;
    const under = lanes.under(x, y);
    if (under === null) {
      this.hover = null;
      this.quiet();
      return;
    }
    this.hover = { row: under.row, time: viewport.timeAt(under.share) };
    if (this.picture(under.row) === this.seen) return;
    if (viewport.window.follow && localMs - this.explainedAt < FOLLOWED_MS) return;
    this.explain(this.hover, x, y, false);
  }

  /** Equal while what a point on screen means is the same. */
  private picture(row: number): string {
    const { from, to } = this.context.viewport.window;
    const lanes = this.context.lanes();
    return `${from} ${to} ${lanes.scroll} ${lanes.laneAt(row)?.id}`;
  }

  private quiet(): void {
    this.tooltip.hide();
    this.spans.cancel();
    this.seen = "";
  }

  /** Where keys zoom: around the cursor or the pointer if it is in the window, else around the middle. */
  get share(): number {
    const time = this.cursor?.time ?? this.hover?.time;
    const share = time === undefined ? 0.5 : this.context.viewport.shareOf(time);
    return share >= 0 && share <= 1 ? share : 0.5;
  }

  private explain({ row, time }: Point, x: number, y: number, aloud: boolean): void {
    this.seen = this.picture(row);
    this.explainedAt = performance.now();
    const recording = this.context.recording();
    const lane = this.context.lanes().laneAt(row);
    const track = lane === null ? undefined : recording?.store.track(lane.id);
    const pixel = this.context.pixel();
    const index = track === undefined ? -1 : segmentAt(track, time, pixel);
    if (recording === null || lane === null || track === undefined || index < 0) {
      this.tooltip.hide();
      this.spans.cancel();
      return;
    }
    const segment = track.at(index);
    const hub = lane.id === recording.hub;
    const show = (span: Span | null): void => {
      const clock = { now: recording.extent(performance.now()).now, started: recording.ring.started };
      this.tooltip.show(lane.name, segment, hub, span, clock, x, y);
      this.said = span === null ? null : { greenlet: lane.id, start: segment.start, state: segment.state, span };
      if (span !== null && aloud) {
        announce(`${lane.name}: ${stateName(span.state, span.reason, hub)}, ${format.duration(span.end - span.start)}`);
      }
    };
    const { said } = this;
    const same = said !== null && said.greenlet === lane.id && said.start === segment.start && said.state === segment.state;
    show(same ? said.span : null);
    this.spans.ask(lane.id, inside(segment, time), pixel, HOVER_MS, show);
  }
}
