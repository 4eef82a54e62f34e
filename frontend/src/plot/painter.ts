/** Paints the lanes on one canvas over Plotly's plot area. */

import { t } from "../language/language";
import { duration } from "../model/format";
import { Look } from "../model/looks";
import type { SegmentStore } from "../model/segments";
import { laneColumns, Palette, pixelOf } from "./raster";
import { FONT, type Paint } from "./theme";

export interface Scene {
  from: number;
  to: number;
  /** What is still going on is drawn up to here. */
  now: number;
  /** The oldest and the newest time there is. */
  begin: number;
  end: number;
  died: boolean;
  lanes: readonly { id: number; row: number; hub: boolean }[];
  /** Pixels scrolled away, and the height of a row. */
  scroll: number;
  rowHeight: number;
  store: SegmentStore;
  stalls: readonly { greenlet: number; start: number; end: number }[];
  selected: { greenlet: number; start: number; end: number } | null;
  hover: { row: number; time: number } | null;
  cursor: { row: number; time: number } | null;
}

interface StalledRun {
  x0: number;
  x1: number;
  top: number;
  greenlet: number;
}

export class LanePainter {
  private readonly context: CanvasRenderingContext2D;
  private ratio = 1;
  private image: ImageData | null = null;
  private pixels = new Uint32Array(0);
  private columns = new Uint8Array(0);
  private row = new Uint32Array(0);
  private plain = new Uint32Array(0);
  private selectedBase = new Uint32Array(0);
  private hoverBase = new Uint32Array(0);
  private shade = new Uint8Array(0);
  private palette: Palette | null = null;
  private paletteFor = "";
  private hatch: CanvasPattern | null = null;
  private hatchFor = "";

  constructor(
    readonly canvas: HTMLCanvasElement,
    private paint: Paint,
  ) {
    const context = canvas.getContext("2d", { alpha: true });
    if (context === null) throw new Error("this browser gives no 2D canvas");
    this.context = context;
  }

  setPaint(paint: Paint): void {
    this.paint = paint;
  }

  /** Sizes the canvas, in CSS pixels; returns its width in device pixels. */
  resize(width: number, height: number): number {
    this.ratio = Math.min(window.devicePixelRatio || 1, 3);
    const w = Math.max(1, Math.round(width * this.ratio));
    const h = Math.max(1, Math.round(height * this.ratio));
    if (this.image === null || w !== this.canvas.width || h !== this.canvas.height) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
      this.image = new ImageData(w, h);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.columns = new Uint8Array(w);
      this.shade = new Uint8Array(w);
      for (const key of ["row", "plain", "selectedBase", "hoverBase"] as const) this[key] = new Uint32Array(w);
    }
    return w;
  }

  draw(scene: Scene): void {
    if (this.image === null) return;
    const { context, ratio, columns, pixels } = this;
    const width = this.canvas.width;
    const height = this.canvas.height;
    const pixel = (scene.to - scene.from) / width;
    const scale = { from: scene.from, pixel, width, least: Math.max(1, Math.round(ratio)), now: scene.now };
    const x = (time: number): number => (time - scene.from) / pixel;
    const rowPixels = Math.round(scene.rowHeight * ratio);
    const palette = this.paletteOf(rowPixels);
    const phase = Math.floor(scene.from / pixel);

    this.makeBases(scene, x);
    for (let y = 0; y < height; y++) pixels.set(this.plain, y * width);

    const stalled: StalledRun[] = [];
    for (const lane of scene.lanes) {
      const top = Math.round((lane.row * scene.rowHeight - scene.scroll) * ratio);
      if (top + rowPixels <= 0 || top >= height) continue;
      const base = this.baseOf(scene, lane);
      if (base !== this.plain) {
        for (let y = Math.max(0, top); y < Math.min(height, top + rowPixels); y++) pixels.set(base, y * width);
      }
      const track = scene.store.track(lane.id);
      if (track === undefined) continue;
      if (laneColumns(track, scale, lane.hub, columns)) this.collectStalled(lane.id, top, stalled);
      palette.dash(columns, phase);
      palette.write(columns, base, pixels, this.row, top, top + rowPixels, top + (rowPixels >> 1), height);
    }
    context.putImageData(this.image, 0, 0);

    this.drawOutside(scene, x);
    this.drawStalls(scene, stalled, rowPixels, phase, x);
    this.drawSelection(scene, rowPixels, x);
    this.drawCursor(scene, rowPixels, x);
  }

  /** The rows under the lanes: nothing, the shade of stalls, and both with a selected or hovered lane's tint. */
  private makeBases(scene: Scene, x: (time: number) => number): void {
    const { shade, plain, selectedBase, hoverBase } = this;
    shade.fill(0);
    for (const stall of scene.stalls) {
      const x0 = Math.max(0, Math.floor(x(stall.start)));
      const x1 = Math.min(shade.length, Math.max(Math.ceil(x(stall.end)), x0 + 1));
      if (x1 > 0 && x0 < shade.length) shade.fill(1, x0, x1);
    }
    const shaded = pixelOf(this.paint.stallShade);
    const selected = pixelOf(this.paint.selectedRow);
    const hovered = pixelOf(this.paint.hoverRow);
    for (let i = 0; i < shade.length; i++) {
      plain[i] = shade[i] ? shaded : 0;
      selectedBase[i] = shade[i] ? shaded : selected;
      hoverBase[i] = shade[i] ? shaded : hovered;
    }
  }

  private baseOf(scene: Scene, lane: Scene["lanes"][number]): Uint32Array {
    if (scene.selected?.greenlet === lane.id) return this.selectedBase;
    return scene.hover?.row === lane.row ? this.hoverBase : this.plain;
  }

  private collectStalled(greenlet: number, top: number, into: StalledRun[]): void {
    const { columns } = this;
    for (let x0 = columns.indexOf(Look.STALLED); x0 >= 0; ) {
      let x1 = x0 + 1;
      while (x1 < columns.length && columns[x1] === Look.STALLED) x1++;
      if (x1 - x0 > 2) into.push({ x0, x1, top, greenlet });
      x0 = columns.indexOf(Look.STALLED, x1);
    }
  }

  private drawOutside(scene: Scene, x: (time: number) => number): void {
    const { context, paint, ratio } = this;
    const { width, height } = this.canvas;
    context.fillStyle = paint.outside;
    const begin = Math.round(x(scene.begin));
    if (begin > 0) context.fillRect(0, 0, Math.min(begin, width), height);
    const end = Math.round(x(scene.end));
    if (end < width) context.fillRect(Math.max(0, end), 0, width - Math.max(0, end), height);
    if (scene.died && end >= 0 && end <= width) {
      context.fillStyle = paint.died;
      context.fillRect(Math.min(end, width - 2 * ratio), 0, 2 * ratio, height);
    }
  }

  private drawStalls(
    scene: Scene,
    runs: readonly StalledRun[],
    rowPixels: number,
    phase: number,
    x: (time: number) => number,
  ): void {
    if (runs.length === 0) return;
    const { context, ratio, paint } = this;
    const high = Math.round(rowPixels * 0.84);
    const inset = Math.round((rowPixels - high) / 2);
    const hatch = this.hatchPattern();
    const period = 8 * ratio;
    const shift = ((phase % period) + period) % period;
    context.save();
    context.translate(-shift, 0);
    context.fillStyle = hatch;
    for (const run of runs) context.fillRect(run.x0 + shift, run.top + inset, run.x1 - run.x0, high);
    context.restore();

    context.font = `600 ${10.5 * ratio}px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const run of runs) {
      const whole = this.stallAt(scene, run, x);
      const text = t("stall.label", { duration: duration(whole) });
      const wide = context.measureText(text).width + 14 * ratio;
      const short = duration(whole);
      const fits = wide + 8 * ratio < run.x1 - run.x0;
      const words = fits ? text : short;
      const box = fits ? wide : context.measureText(short).width + 10 * ratio;
      if (box + 4 * ratio > run.x1 - run.x0) continue;
      const middle = (run.x0 + run.x1) / 2;
      const boxHigh = Math.min(high, 15 * ratio);
      const top = run.top + (rowPixels - boxHigh) / 2;
      context.fillStyle = paint.labelBack;
      context.beginPath();
      context.roundRect(middle - box / 2, top, box, boxHigh, boxHigh / 2);
      context.fill();
      context.fillStyle = paint.labelText;
      context.fillText(words, middle, run.top + rowPixels / 2 + 0.5 * ratio);
    }
  }

  /** How long the stall of a run is: all of it, not what is in the window. */
  private stallAt(scene: Scene, run: StalledRun, x: (time: number) => number): number {
    const known = scene.stalls.find((s) => s.greenlet === run.greenlet && x(s.start) <= run.x1 && x(s.end) >= run.x0);
    return known ? known.end - known.start : ((run.x1 - run.x0) * (scene.to - scene.from)) / this.canvas.width;
  }

  private drawSelection(scene: Scene, rowPixels: number, x: (time: number) => number): void {
    const { selected } = scene;
    if (selected === null) return;
    const lane = scene.lanes.find((l) => l.id === selected.greenlet);
    if (lane === undefined) return;
    const { context, ratio } = this;
    const x0 = Math.max(-4 * ratio, Math.floor(x(selected.start)));
    const x1 = Math.min(this.canvas.width + 4 * ratio, Math.max(Math.ceil(x(selected.end)), x0 + 2 * ratio));
    if (x1 < 0 || x0 > this.canvas.width) return;
    const top = Math.round((lane.row * scene.rowHeight - scene.scroll) * ratio);
    context.strokeStyle = this.paint.outline;
    context.lineWidth = 1.5 * ratio;
    const pad = Math.round(rowPixels * 0.05);
    context.strokeRect(x0, top + pad, x1 - x0, rowPixels - 2 * pad);
  }

  private drawCursor(scene: Scene, rowPixels: number, x: (time: number) => number): void {
    const { context, ratio, paint } = this;
    const { height } = this.canvas;
    const line = Math.max(1, Math.round(ratio));
    if (scene.hover !== null) {
      context.globalAlpha = 0.35;
      context.fillStyle = paint.cursor;
      context.fillRect(Math.round(x(scene.hover.time)), 0, line, height);
      context.globalAlpha = 1;
    }
    if (scene.cursor !== null) {
      const at = Math.round(x(scene.cursor.time));
      const top = Math.round((scene.cursor.row * scene.rowHeight - scene.scroll) * ratio);
      context.fillStyle = paint.cursor;
      context.fillRect(at, 0, line, height);
      context.strokeStyle = paint.outline;
      context.lineWidth = 2 * ratio;
      context.strokeRect(at - 5 * ratio, top + ratio, 10 * ratio + line, rowPixels - 2 * ratio);
    }
  }

  private paletteOf(rowPixels: number): Palette {
    const key = `${rowPixels} ${this.ratio} ${this.paint.edge}`;
    if (this.palette === null || this.paletteFor !== key) {
      this.palette = new Palette(rowPixels, this.ratio, this.paint.edge);
      this.paletteFor = key;
    }
    return this.palette;
  }

  private hatchPattern(): CanvasPattern | string {
    const key = `${this.ratio} ${this.paint.hatch}`;
    if (this.hatch === null || this.hatchFor !== key) {
      const size = Math.round(8 * this.ratio);
      const tile = document.createElement("canvas");
      tile.width = tile.height = size;
      const context = tile.getContext("2d")!;
      context.strokeStyle = this.paint.hatch;
      context.lineWidth = 2 * this.ratio;
      context.beginPath();
      for (const offset of [-size, 0, size]) {
        context.moveTo(offset - size / 2, size * 1.5);
        context.lineTo(offset + size * 1.5, -size / 2);
      }
      context.stroke();
      this.hatch = this.context.createPattern(tile, "repeat");
      this.hatchFor = key;
    }
    return this.hatch ?? this.paint.hatch;
  }
}
