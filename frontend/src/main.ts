import "./styles.css";
import { App } from "./app";
import type { Segment } from "./model/segments";
import type { TimeWindow } from "./model/window";

const app = new App();

declare global {
  interface Window {
    /** What the page holds, for the end-to-end tests and for looking at it in the console. */
    greenscope: {
      laneCount(): number;
      segmentCount(): number;
      view(): TimeWindow;
      segments(greenlet: number): Segment[];
      fps(): number;
      paintMs(): number;
    };
  }
}

window.greenscope = {
  laneCount: () => app.laneCount,
  segmentCount: () => app.store.count,
  view: () => app.view,
  segments: (greenlet) => app.store.segments(greenlet),
  fps: () => app.fps(),
  paintMs: () => app.paintMs(),
};
