/**
 * The time axis and its grid under the lanes, drawn by Plotly.
 *
 * A Plotly relayout costs milliseconds, too much for each frame of a window that follows. So the axis
 * is drawn three windows wide and only shifted by a transform, until the window leaves it or zooms.
 */

import { time } from "../model/format";
import { timeTicks } from "../model/ticks";
import { CONFIG, type PlotlyApi } from "./plotly";
import { FONT, type Paint } from "./theme";

const TICK_ROOM = 96;

export class TimeAxis {
  private drawn: { from: number; to: number; pixel: number; width: number; height: number; paint: Paint } | null = null;

  constructor(
    private readonly plotly: PlotlyApi,
    private readonly host: HTMLElement,
    private readonly base: HTMLElement,
  ) {}

  /** Shows [from, to] on `width` CSS pixels; `height` includes `strip` pixels of tick labels. */
  show(from: number, to: number, width: number, height: number, strip: number, paint: Paint): void {
    const pixel = (to - from) / width;
    const { drawn } = this;
    const fits =
      drawn !== null &&
      drawn.from <= from &&
      drawn.to >= to &&
      Math.abs(drawn.pixel / pixel - 1) < 1e-9 &&
      drawn.width === width &&
      drawn.height === height &&
      drawn.paint === paint;
    if (!fits) this.redraw(from, to, width, height, strip, paint, pixel);
    const shift = (this.drawn!.from - from) / pixel;
    this.host.style.transform = `translate3d(${shift.toFixed(2)}px,0,0)`;
  }

  private redraw(
    from: number,
    to: number,
    width: number,
    height: number,
    strip: number,
    paint: Paint,
    pixel: number,
  ): void {
    const span = to - from;
    const left = from - span;
    const right = to + span;
    const ticks = timeTicks(left, right, pixel * Math.min(TICK_ROOM, Math.max(64, width / 6)));
    const layout = {
      width: width * 3,
      height,
      margin: { l: 0, r: 0, t: 0, b: strip, pad: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: FONT, size: 11, color: paint.text },
      showlegend: false,
      xaxis: {
        // Relative to the left edge: hours of nanoseconds would cost Plotly its last digits.
        range: [0, right - left],
        tickmode: "array",
        tickvals: ticks.values.map((value) => value - left),
        ticktext: ticks.labels,
        ticks: "outside",
        ticklen: 4,
        tickcolor: paint.grid,
        gridcolor: paint.grid,
        zeroline: false,
        fixedrange: true,
        tickangle: 0,
        automargin: false,
      },
      yaxis: { visible: false, range: [0, 1], fixedrange: true },
    };
    void this.plotly.react(this.host, [], layout, CONFIG);
    this.drawn = { from: left, to: right, pixel, width, height, paint };
    this.base.textContent = ticks.base === null ? "" : time(ticks.base, 3);
  }
}
