/**
 * The timeline strip: a lane for the hub and each greenlet, by step and not by time, with the position as a line; and
 * a scrubber over all steps. A click or a drag goes there. It shows a window around the position of a long recording.
 */

import { t } from "../../language/language";
import { count } from "../../model/format";
import type { Names } from "../../model/replay/marks";
import { stepAt, stepWidth, type Stretch } from "../../model/replay/strip";
import { contextOf, drawStretches } from "../../plot/strip";
import { FONT, type Paint } from "../../plot/theme";
import type { Strip } from "../../protocol/replay";
import { el, setText } from "../dom";
import { glyph } from "./chip";

const LANE = 17;
const BAR = 11;
const AXIS = 16;
const PIXELS_A_TICK = 70;

export interface StripEvents {
  /** Go to a step; `over` when the hand lets go there. */
  go(step: number, over: boolean): void;
}

export class StripView {
  readonly root: HTMLElement;
  private readonly names = el("ol", { class: "strip-names", role: "list", "aria-hidden": "true" });
  private readonly canvas = el("canvas", { class: "strip-canvas", "aria-hidden": "true" });
  private readonly axis = el("canvas", { class: "strip-axis", "aria-hidden": "true" });
  private readonly line = el("div", { class: "strip-line" });
  private readonly plot: HTMLElement;
  private readonly scroller: HTMLElement;
  private readonly scrub = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, class: "scrub", "aria-label": t("replay.scrub") });
  private readonly first = el("span", { class: "hint" }, "0");
  private readonly last = el("span", { class: "hint" });
  private strip: Strip | null = null;
  private stretch: Stretch = { from: 0, to: 1 };
  private step = 0;
  private causes: readonly number[] = [];
  private lanes = "";
  private hub: number | null = null;
  private drag: number | null = null;

  constructor(
    private readonly events: StripEvents,
    private paint: Paint,
    sized: () => void,
  ) {
    this.plot = el("div", { class: "strip-plot" }, this.canvas, this.line);
    this.scroller = el("div", { class: "strip-scroll", tabindex: -1 }, this.names, this.plot);
    this.root = el(
      "section",
      { class: "card replay-strip", "aria-label": t("replay.strip") },
      el("div", { class: "strip-head" }, this.axis),
      this.scroller,
      el("div", { class: "strip-scrub" }, this.first, this.scrub, this.last),
    );
    this.scrub.addEventListener("input", () => this.events.go(Number(this.scrub.value), false));
    this.scrub.addEventListener("change", () => this.events.go(Number(this.scrub.value), true));
    for (const surface of [this.plot, this.axis]) this.listen(surface);
    new ResizeObserver(() => {
      sized();
      this.draw();
    }).observe(this.plot);
  }

  /** How much place there is for steps. */
  get width(): number {
    return this.plot.clientWidth;
  }

  /** Whether somebody drags the position: what is under the hand stays there. */
  get dragging(): boolean {
    return this.drag !== null;
  }

  setPaint(paint: Paint): void {
    this.paint = paint;
    this.draw();
  }

  show(strip: Strip | null, stretch: Stretch, step: number, steps: number, about: number | null, names: Names, causes: readonly number[]): void {
    const same = strip === this.strip && stretch.from === this.stretch.from && stretch.to === this.stretch.to && causes.join() === this.causes.join();
    this.strip = strip;
    this.stretch = stretch;
    this.causes = causes;
    this.step = step;
    this.scrub.max = String(Math.max(0, steps - 1));
    this.scrub.value = String(step);
    this.scrub.setAttribute("aria-valuetext", t("replay.scrub.text", { step, last: steps - 1 }));
    setText(this.last, count(steps - 1));
    this.showNames(strip, about, names);
    if (!same) this.draw();
    this.place();
  }

  private showNames(strip: Strip | null, about: number | null, names: Names): void {
    const lanes = strip?.lanes ?? [];
    this.hub = lanes.find(({ greenlet }) => names.isHub(greenlet))?.greenlet ?? null;
    const key = lanes.map(({ greenlet, name }) => `${greenlet} ${name}`).join("\n");
    if (key !== this.lanes) {
      this.lanes = key;
      this.names.replaceChildren(
        ...lanes.map(({ greenlet }) => {
          const name = names.of(greenlet);
          const item = el("li", { "data-greenlet": greenlet, "data-of": greenlet, title: name }, el("span", {}, name));
          item.append(glyph(names.mark(greenlet)));
          return item;
        }),
      );
      this.draw();
    }
    for (const item of this.names.children as HTMLCollectionOf<HTMLElement>) {
      const is = item.dataset["greenlet"] === String(about);
      item.classList.toggle("about", is);
      if (is) this.reveal(item);
    }
  }

  private reveal(item: HTMLElement): void {
    const { scroller } = this;
    const top = item.offsetTop - this.names.offsetTop;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + LANE > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + LANE - scroller.clientHeight;
  }

  /** The line that is the position. */
  private place(): void {
    const wide = stepWidth(this.stretch, this.width);
    const left = (this.step - this.stretch.from) * wide;
    this.line.hidden = this.step < this.stretch.from || this.step >= this.stretch.to;
    this.line.style.width = `${Math.max(2, wide)}px`;
    this.line.style.transform = `translateX(${left}px)`;
    Object.assign(this.root.dataset, { step: this.step, from: this.stretch.from, to: this.stretch.to });
  }

  private draw(): void {
    const { width, stretch, strip } = this;
    if (width < 20) return;
    const wide = stepWidth(stretch, width);
    const x = (step: number): number => (step - stretch.from) * wide;
    const lanes = strip?.lanes ?? [];
    const context = contextOf(this.canvas, width, Math.max(1, lanes.length) * LANE);
    if (context === null) return;
    context.fillStyle = this.paint.grid;
    for (const step of this.causes) context.fillRect(x(step), 0, Math.max(2, wide), lanes.length * LANE);
    lanes.forEach((lane, row) => {
      const top = row * LANE;
      context.fillStyle = this.paint.grid;
      context.fillRect(0, top + LANE - 1, width, 1);
      const hub = this.hub === lane.greenlet;
      const parts = lane.parts.map(([first, last, state, reason]) => ({ start: first, end: last + 1, state, reason, hub }));
      drawStretches(context, parts, x, top + (LANE - 1 - BAR) / 2, BAR, this.paint);
    });
    this.drawAxis(x, wide);
    this.place();
  }

  private drawAxis(x: (step: number) => number, wide: number): void {
    const { width, stretch } = this;
    const context = contextOf(this.axis, width, AXIS);
    if (context === null) return;
    context.font = `10.5px ${FONT}`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    const every = niceStep(PIXELS_A_TICK / wide);
    context.fillStyle = this.paint.text;
    for (let step = Math.ceil(stretch.from / every) * every; step < stretch.to; step += every) {
      const text = count(step);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(Math.max(x(step) + wide / 2, half), width - half), AXIS / 2);
    }
    context.fillStyle = this.paint.line;
    for (const step of this.causes) {
      const middle = x(step) + wide / 2;
      context.beginPath();
      context.moveTo(middle - 4, AXIS - 5);
      context.lineTo(middle + 4, AXIS - 5);
      context.lineTo(middle, AXIS);
      context.fill();
    }
  }

  private listen(surface: HTMLElement): void {
    const go = (event: PointerEvent, over: boolean): void => {
      const left = this.plot.getBoundingClientRect().left;
      this.events.go(stepAt(this.stretch, event.clientX - left, this.width), over);
    };
    surface.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.drag = event.pointerId;
      surface.setPointerCapture(event.pointerId);
      go(event, false);
    });
    surface.addEventListener("pointermove", (event) => {
      if (this.drag === event.pointerId) go(event, false);
    });
    surface.addEventListener("pointerup", (event) => {
      if (this.drag !== event.pointerId) return;
      this.drag = null;
      go(event, true);
    });
    surface.addEventListener("lostpointercapture", () => (this.drag = null));
  }
}

/** 1, 2, 5, 10, 20, …: the first that is not less. */
function niceStep(least: number): number {
  for (let scale = 1; ; scale *= 10) for (const each of [1, 2, 5]) if (each * scale >= least) return each * scale;
}
