/**
 * The hub's latency over the whole recording, drawn by Plotly, with the window on it as a band that can be
 * dragged, resized or drawn anew. A hub that is away for long is what makes every greenlet late.
 */

import { timeTicks } from "../model/ticks";
import type { Latency } from "../protocol/messages";
import { CONFIG, type PlotlyApi } from "./plotly";
import { FONT, type Paint } from "./theme";

const FLOOR_MS = 0.02;
const HANDLE = 7;
const STRIP = 20;

export interface MinimapEvents {
  choose(from: number, to: number): void;
}

type Drag = { kind: "new" | "move" | "left" | "right"; at: number; from: number; to: number; moved: boolean };

export class Minimap {
  private latency: Latency | null = null;
  private from = 0;
  private to = 1;
  private window = { from: 0, to: 0 };
  private plotly: PlotlyApi | null = null;
  private drag: Drag | null = null;
  private drawn = "";

  constructor(
    private readonly host: HTMLElement,
    private readonly overlay: HTMLElement,
    private readonly band: HTMLElement,
    private readonly events: MinimapEvents,
    private paint: Paint,
  ) {
    overlay.addEventListener("pointerdown", (event) => this.down(event));
    overlay.addEventListener("pointermove", (event) => this.move(event));
    overlay.addEventListener("pointerup", (event) => this.up(event));
    overlay.addEventListener("pointercancel", () => (this.drag = null));
  }

  attach(plotly: PlotlyApi): void {
    this.plotly = plotly;
    this.redraw();
  }

  setPaint(paint: Paint): void {
    this.paint = paint;
    this.redraw();
  }

  show(latency: Latency | null, begin: number, now: number, threshold: number): void {
    this.latency = latency;
    this.threshold = threshold;
    this.from = latency?.from ?? begin;
    this.to = Math.max(now, this.from + 1e6, this.from + (latency ? latency.bucket * latency.values.length : 0));
    this.redraw();
    this.showWindow(this.window.from, this.window.to);
  }
  private threshold = 0;

  showWindow(from: number, to: number): void {
    this.window = { from, to };
    const width = this.overlay.clientWidth;
    const left = Math.max(0, this.toX(from));
    const right = Math.min(width, this.toX(to));
    const shown = right >= left && width > 0;
    const wide = Math.max(3, right - left);
    const at = Math.min(left, width - wide);
    const key = shown ? `${at.toFixed(1)} ${wide.toFixed(1)}` : "";
    if (key === this.drawn) return;
    this.drawn = key;
    this.band.hidden = !shown;
    this.band.style.transform = `translateX(${at.toFixed(1)}px)`;
    this.band.style.width = `${wide.toFixed(1)}px`;
  }

  resize(): void {
    this.drawn = "";
    this.redraw();
    this.showWindow(this.window.from, this.window.to);
  }

  private toX(time: number): number {
    return ((time - this.from) / (this.to - this.from)) * this.overlay.clientWidth;
  }

  private timeAt(event: PointerEvent): number {
    const box = this.overlay.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return this.from + share * (this.to - this.from);
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const at = this.timeAt(event);
    const x = this.toX(at);
    const left = this.toX(this.window.from);
    const right = this.toX(this.window.to);
    const wide = right - left > 3 * HANDLE && right - left < this.overlay.clientWidth * 0.98;
    let kind: Drag["kind"] = "new";
    if (wide && Math.abs(x - left) <= HANDLE) kind = "left";
    else if (wide && Math.abs(x - right) <= HANDLE) kind = "right";
    else if (wide && x > left && x < right) kind = "move";
    this.drag = { kind, at, ...this.window, moved: false };
    this.overlay.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    const { drag } = this;
    if (drag === null) {
      const x = this.toX(this.timeAt(event));
      const near = (time: number) => Math.abs(x - this.toX(time)) <= HANDLE;
      this.overlay.style.cursor = near(this.window.from) || near(this.window.to) ? "ew-resize" : "crosshair";
      return;
    }
    const at = this.timeAt(event);
    if (!drag.moved && Math.abs(this.toX(at) - this.toX(drag.at)) < 3) return;
    drag.moved = true;
    if (drag.kind === "new") this.events.choose(drag.at, at);
    else if (drag.kind === "left") this.events.choose(at, drag.to);
    else if (drag.kind === "right") this.events.choose(drag.from, at);
    else this.events.choose(drag.from + at - drag.at, drag.to + at - drag.at);
  }

  private up(event: PointerEvent): void {
    const { drag } = this;
    this.drag = null;
    if (drag === null || drag.moved) return;
    const at = this.timeAt(event);
    const half = (drag.to - drag.from) / 2;
    this.events.choose(at - half, at + half);
  }

  private redraw(): void {
    if (this.plotly === null) return;
    const { paint, latency } = this;
    const width = this.host.clientWidth;
    const height = this.host.clientHeight;
    if (width < 40 || height < 30) return;
    const gutter = this.overlay.offsetLeft;
    const right = Math.max(0, width - gutter - this.overlay.clientWidth);
    const values = latency?.values ?? [];
    const bucket = latency?.bucket ?? 1;
    const offset = (latency?.from ?? this.from) - this.from;
    const x: number[] = [];
    const y: number[] = [];
    values.forEach((value, i) => {
      x.push(offset + i * bucket);
      y.push(Math.max(FLOOR_MS, value / 1e6));
    });
    if (values.length > 0) {
      x.push(offset + values.length * bucket);
      y.push(y[y.length - 1]!);
    }
    const highest = Math.max(20, ...y, (this.threshold / 1e6) * 1.3);
    const ticks = timeTicks(this.from, this.to, (this.to - this.from) / Math.max(2, Math.min(8, width / 150)));
    const decades = [0.1, 1, 10, 100, 1000, 10000].filter((v) => v <= highest * 1.2);
    const labelled = decades.slice(-3);
    const shapes =
      this.threshold > 0
        ? [
            {
              type: "line",
              xref: "paper",
              x0: 0,
              x1: 1,
              y0: this.threshold / 1e6,
              y1: this.threshold / 1e6,
              line: { color: paint.threshold, width: 1, dash: "dash" },
            },
          ]
        : [];
    void this.plotly.react(
      this.host,
      [
        {
          type: "scatter",
          mode: "lines",
          x,
          y,
          line: { color: paint.line, width: 1.2, shape: "hv" },
          fill: "tozeroy",
          fillcolor: paint.fill,
          hoverinfo: "skip",
        },
      ],
      {
        width,
        height,
        margin: { l: gutter, r: right, t: 4, b: STRIP, pad: 0 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: FONT, size: 10.5, color: paint.text },
        showlegend: false,
        shapes,
        xaxis: {
          range: [0, this.to - this.from],
          tickmode: "array",
          tickvals: ticks.values.map((value) => value - this.from),
          ticktext: ticks.labels,
          gridcolor: paint.grid,
          zeroline: false,
          fixedrange: true,
          tickangle: 0,
        },
        yaxis: {
          type: "log",
          range: [Math.log10(FLOOR_MS), Math.log10(highest * 1.4)],
          tickmode: "array",
          tickvals: labelled,
          ticktext: labelled.map((v) => (v >= 1000 ? `${v / 1000} s` : `${v} ms`)),
          gridcolor: paint.grid,
          zeroline: false,
          fixedrange: true,
        },
      },
      CONFIG,
    );
  }
}
