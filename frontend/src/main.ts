import "./styles.css";
import "./replay.css";
import "./lesson.css";
import { App } from "./app";
import type { Segment } from "./model/segments";
import type { TimeWindow } from "./model/window";
import { fillPage, listenLanguage, openTabAgain } from "./views/language";

fillPage();
listenLanguage();
const app = new App();
app.start();
openTabAgain();

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
  laneCount: () => app.recording?.lanes.total ?? 0,
  segmentCount: () => app.recording?.store.count ?? 0,
  view: () => app.viewport.window,
  segments: (greenlet) => app.recording?.store.segments(greenlet) ?? [],
  fps: () => app.meter.fps(),
  paintMs: () => app.meter.paintMs(),
};
