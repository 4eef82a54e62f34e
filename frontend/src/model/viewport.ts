/** The window on screen and what a gesture makes of it; see window.ts for the arithmetic. */

import * as win from "./window";

/** Closer than this, following is only a blur: zooming further stands still. */
export const FOLLOW_NARROWEST_NS = 0.25e9;

export class Viewport {
  window: win.TimeWindow = { from: -win.FIRST_WIDTH_NS, to: 0, follow: true };
  /** Held by hand: what is on screen stays as it is until it is resumed. */
  paused = false;

  get width(): number {
    return win.width(this.window);
  }

  timeAt(share: number): number {
    return this.window.from + share * this.width;
  }

  shareOf(time: number): number {
    return (time - this.window.from) / this.width;
  }

  zoom(factor: number, share: number, extent: win.Extent): void {
    const anchor = this.timeAt(share);
    const blurred = this.window.follow && factor < 1 && this.width * factor < FOLLOW_NARROWEST_NS;
    const window = blurred ? { ...this.window, follow: false } : this.window;
    this.window = win.zoomed(window, factor, anchor, extent);
  }

  /** The share where keys zoom: the wanted one, or the nearest at which there is something recorded. */
  anchor(share: number, extent: win.Extent): number {
    const time = Math.min(Math.max(this.timeAt(share), extent.begin), Math.max(extent.begin, extent.now));
    return Math.min(1, Math.max(0, this.shareOf(time)));
  }

  pan(share: number, extent: win.Extent, live: boolean): void {
    const mayFollow = live && !this.paused && this.width >= FOLLOW_NARROWEST_NS;
    this.window = win.panned(this.window, share * this.width, extent, mayFollow);
  }

  choose(a: number, b: number, extent: win.Extent): void {
    this.window = win.chosen(a, b, extent);
  }

  whole(extent: win.Extent): void {
    this.window = win.whole(extent);
  }

  fit(start: number, end: number, extent: win.Extent, air?: number): void {
    this.window = win.fitted(start, end, extent, air);
  }

  /** Moves no more than is needed to see a span. */
  show(start: number, end: number, extent: win.Extent): void {
    this.window = win.showing(this.window, start, end, extent);
  }

  pause(): void {
    this.paused = true;
    this.stop();
  }

  /** Stands still where it is. */
  stop(): void {
    this.window = { ...this.window, follow: false };
  }

  follow(extent: win.Extent): void {
    this.paused = false;
    const wide = Math.min(Math.max(this.width, FOLLOW_NARROWEST_NS), win.widest(extent));
    this.window = { from: extent.now - wide, to: extent.now, follow: true };
  }

  /** A frame later: a window that follows has moved on. */
  advance(now: number): void {
    if (this.window.follow) this.window = win.followed(this.window, now);
  }
}
