/**
 * The lanes: names in the gutter, the canvas beside them, and the gestures over both.
 *
 * The scroll container is the browser's own, so the scrollbar, touch and the wheel over the names behave
 * as everywhere; its content stays put (sticky) and is painted for wherever it has been scrolled to.
 */

import * as format from "../model/format";
import { rowAt } from "../model/hit";
import type { Lane, Lanes } from "../protocol/messages";
import { byId, el, setText } from "./dom";

export interface LaneEvents {
  /** Zoom by a factor around a share (0 to 1) of the plot's width. */
  zoom(factor: number, share: number): void;
  /** Pan by a share of the window. */
  pan(share: number): void;
  /** The window between two shares of the plot's width. */
  choose(from: number, to: number): void;
  hover(row: number | null, share: number, x: number, y: number): void;
  click(row: number, share: number): void;
  name(lane: Lane): void;
  /** What is on screen has changed: size or rows. */
  layout(): void;
}

export const AXIS_STRIP = 24;
const DRAG_PX = 4;
const LABEL_PAD = 10;

export class LanesView {
  readonly canvas = byId<HTMLCanvasElement>("lanes-canvas");
  private readonly frame = byId("frame");
  private readonly scroller = byId("lanes-scroll");
  private readonly spacer = byId("lanes-spacer");
  private readonly gutter = byId("gutter");
  private readonly rubber = byId("rubber");
  private readonly labels: HTMLButtonElement[] = [];
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private drag: { x: number; y: number; scroll: number; moved: boolean; choose: boolean } | null = null;
  private lanes: Lanes = { type: "lanes", total: 0, first: 0, lanes: [] };
  private selected: number | null = null;
  private labelKey = "";
  private readonly names = new Map<string, string>();
  private readonly ruler = document.createElement("canvas").getContext("2d")!;

  width = 0;
  height = 0;
  gutterWidth = 0;
  rowHeight = 22;
  scroll = 0;

  constructor(private readonly events: LaneEvents) {
    this.scroller.addEventListener("scroll", () => {
      this.scroll = this.scroller.scrollTop;
      this.showLabels();
      this.events.layout();
    });
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("pointerleave", () => {
      if (this.drag === null) this.events.hover(null, 0, 0, 0);
    });
    this.gutter.addEventListener("click", (event) => {
      const label = (event.target as Element).closest<HTMLElement>("[data-row]");
      const lane = label && this.laneAt(Number(label.dataset["row"]));
      if (lane) this.events.name(lane);
    });
  }

  /** Begins to measure itself, once those it tells are there. */
  start(): void {
    new ResizeObserver(() => this.measure()).observe(this.frame);
    this.measure();
  }

  showLanes(lanes: Lanes): void {
    this.lanes = lanes;
    this.measure();
  }

  showSelected(greenlet: number | null): void {
    if (greenlet === this.selected) return;
    this.selected = greenlet;
    this.showLabels();
  }

  get total(): number {
    return this.lanes.total;
  }

  /** The first row on screen, and how many. */
  get rows(): { first: number; count: number } {
    const first = Math.floor(this.scroll / this.rowHeight);
    return { first, count: Math.max(1, Math.ceil(this.height / this.rowHeight) + 1) };
  }

  /** The lanes on screen that are listed, with their rows. */
  get shown(): { lane: Lane; row: number }[] {
    const { first, count } = this.rows;
    const shown = [];
    for (let row = first; row < Math.min(first + count, this.total); row++) {
      const lane = this.laneAt(row);
      if (lane !== null) shown.push({ lane, row });
    }
    return shown;
  }

  laneAt(row: number): Lane | null {
    return this.lanes.lanes[row - this.lanes.first] ?? null;
  }

  rowOf(greenlet: number): number | null {
    const index = this.lanes.lanes.findIndex((lane) => lane.id === greenlet);
    return index < 0 ? null : index + this.lanes.first;
  }

  scrollToRow(row: number): void {
    const top = row * this.rowHeight;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top - this.rowHeight;
    else if (top + this.rowHeight > this.scroller.scrollTop + this.height) {
      this.scroller.scrollTop = top - this.height + 2 * this.rowHeight;
    }
    this.scroll = this.scroller.scrollTop;
  }

  scrollPage(direction: -1 | 1): void {
    this.scroller.scrollTop += direction * (this.height - this.rowHeight);
  }

  /** Where a row and a share of the width are on screen. */
  pointOf(row: number, share: number): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return { x: box.left + share * this.width, y: box.top + (row + 0.5) * this.rowHeight - this.scroll };
  }

  measure(): void {
    // Behind another tab it has no size; it keeps the one it had.
    if (this.frame.clientWidth === 0) return;
    const fits = this.scroller.clientHeight;
    const narrow = this.frame.clientWidth < 560;
    // A few more lanes than fit are drawn closer; beyond that they scroll.
    const total = Math.max(1, this.lanes.total);
    this.rowHeight = Math.max(18, Math.min(24, Math.floor(fits / total)));
    this.gutterWidth = narrow ? 112 : 164;
    this.frame.style.setProperty("--row", `${this.rowHeight}px`);
    document.documentElement.style.setProperty("--gutter", `${this.gutterWidth}px`);
    this.spacer.style.height = `${Math.max(0, this.lanes.total * this.rowHeight - fits)}px`;
    this.width = Math.max(10, this.scroller.clientWidth - this.gutterWidth);
    this.height = fits;
    document.documentElement.style.setProperty("--plot", `${this.width}px`);
    this.scroll = this.scroller.scrollTop;
    this.showLabels();
    this.events.layout();
  }

  private showLabels(): void {
    const { first, count } = this.rows;
    const shown = Math.max(0, Math.min(count, this.lanes.total - first));
    const key = `${first} ${shown} ${this.rowHeight} ${this.selected} ${this.scroll}`;
    while (this.labels.length < shown) {
      const label = el("button", { class: "lane-label", tabindex: -1 });
      this.labels.push(label);
      this.gutter.append(label);
    }
    for (let i = 0; i < this.labels.length; i++) {
      const label = this.labels[i]!;
      const row = first + i;
      label.hidden = i >= shown;
      if (label.hidden) continue;
      const lane = this.laneAt(row);
      label.dataset["row"] = String(row);
      const name = lane?.name ?? "…";
      setText(label, this.fitted(name));
      if (label.title !== name) {
        label.title = name;
        label.setAttribute("aria-label", name);
      }
      label.classList.toggle("exited", lane !== null && !lane.alive);
      label.classList.toggle("selected", lane !== null && lane.id === this.selected);
      if (key !== this.labelKey) label.style.transform = `translateY(${row * this.rowHeight - this.scroll}px)`;
    }
    this.labelKey = key;
  }

  /** A name, or as much of its ends as the gutter has room for. */
  private fitted(name: string): string {
    const room = this.gutterWidth - LABEL_PAD;
    const key = `${room} ${name}`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const font = getComputedStyle(this.gutter).fontFamily;
    // As the style sheet has it, and as wide as a selected lane's bold.
    this.ruler.font = `700 11.5px ${font}`;
    let text = name;
    for (let most = name.length - 1; most > 6 && this.ruler.measureText(text).width > room; most--) text = format.elided(name, most);
    if (this.names.size > 2000) this.names.clear();
    this.names.set(key, text);
    return text;
  }

  /** The row and the share of the width at a point on screen; null where there is no lane. */
  under(x: number, y: number): { row: number; share: number } | null {
    const row = this.row(y);
    return row === null ? null : { row, share: this.share(x) };
  }

  private share(clientX: number): number {
    return (clientX - this.canvas.getBoundingClientRect().left) / this.width;
  }

  private row(clientY: number): number | null {
    const y = clientY - this.canvas.getBoundingClientRect().top;
    return rowAt(y, this.scroll, this.rowHeight, this.lanes.total);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : event.deltaMode === WheelEvent.DOM_DELTA_PAGE ? 400 : 1;
    const dx = event.deltaX * unit;
    const dy = event.deltaY * unit;
    if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) {
      this.events.pan((event.shiftKey && dx === 0 ? dy : dx) / this.width);
    } else {
      this.events.zoom(Math.exp(Math.max(-240, Math.min(240, dy)) * 0.0022), this.share(event.clientX));
    }
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.drag =
      this.pointers.size === 1
        ? { x: event.clientX, y: event.clientY, scroll: this.scroller.scrollTop, moved: false, choose: event.shiftKey }
        : null;
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) {
      this.events.hover(this.row(event.clientY), this.share(event.clientX), event.clientX, event.clientY);
      return;
    }
    if (this.pointers.size === 2) this.pinch(event);
    else if (this.drag !== null) this.dragTo(event, before);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  }

  private dragTo(event: PointerEvent, before: { x: number; y: number }): void {
    const drag = this.drag!;
    if (!drag.moved) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < DRAG_PX) return;
      drag.moved = true;
      this.canvas.classList.add(drag.choose ? "choosing" : "dragging");
      this.events.hover(null, 0, 0, 0);
    }
    if (drag.choose) {
      const left = Math.max(0, Math.min(event.clientX, drag.x) - this.canvas.getBoundingClientRect().left);
      this.rubber.hidden = false;
      this.rubber.style.transform = `translateX(${left}px)`;
      this.rubber.style.width = `${Math.abs(event.clientX - drag.x)}px`;
      return;
    }
    const dx = event.clientX - before.x;
    if (dx !== 0) this.events.pan(-dx / this.width);
    if (event.pointerType !== "touch") this.scroller.scrollTop = drag.scroll - (event.clientY - drag.y);
  }

  private pinch(event: PointerEvent): void {
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)![1];
    const before = this.pointers.get(event.pointerId)!;
    const apart = Math.max(20, Math.abs(before.x - other.x));
    const now = Math.max(20, Math.abs(event.clientX - other.x));
    this.events.zoom(apart / now, this.share((event.clientX + other.x) / 2));
  }

  private up(event: PointerEvent): void {
    const { drag } = this;
    this.cancel(event);
    if (drag === null) return;
    if (!drag.moved) {
      const row = this.row(event.clientY);
      if (row !== null) this.events.click(row, this.share(event.clientX));
    } else if (drag.choose) {
      this.events.choose(this.share(drag.x), this.share(event.clientX));
    }
  }

  private cancel(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    this.drag = null;
    this.rubber.hidden = true;
    this.canvas.classList.remove("choosing", "dragging");
  }
}
