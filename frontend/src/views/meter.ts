/** How fast the page draws, in its footer: frames a second, and what painting one takes. */

import { counted, t } from "../language/language";
import * as format from "../model/format";
import { byId, setText } from "./dom";

const FRAMES = 90;
const PAINTS = 60;

export class Meter {
  private readonly frames: number[] = [];
  private readonly paints: number[] = [];

  frame(at: number): void {
    this.frames.push(at);
    if (this.frames.length > FRAMES) this.frames.shift();
  }

  painted(ms: number): void {
    this.paints.push(ms);
    if (this.paints.length > PAINTS) this.paints.shift();
  }

  fps(): number {
    const spent = (this.frames.at(-1) ?? 0) - (this.frames[0] ?? 0);
    return spent > 0 ? ((this.frames.length - 1) * 1000) / spent : 0;
  }

  paintMs(): number {
    return this.paints.length === 0 ? 0 : this.paints.reduce((sum, ms) => sum + ms, 0) / this.paints.length;
  }

  show(lanes: number, width: number, segments: number): void {
    setText(byId("info"), lanes > 0 ? `${counted("lanes", lanes)} · ${format.duration(width)}` : "");
    const paint = this.paints.length === 0 ? "" : `${t("meter.paint", { ms: this.paintMs().toFixed(1) })} · `;
    setText(byId("meter"), paint + t("meter.segments", { count: format.count(segments) }));
  }
}
