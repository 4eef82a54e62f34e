/** Plays: takes the next step when it is time and the one before it is on screen. */

import { SPEED } from "./moves";

/** "on": a step was taken; "wait": there is none to take yet; "over": there will be none. */
export type Took = "on" | "wait" | "over";

export class Player {
  playing = false;
  private speed = SPEED;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param take takes a step
   * @param changed it plays now, or does not any more
   */
  constructor(
    private readonly take: () => Took,
    private readonly changed: () => void,
  ) {}

  play(on: boolean): void {
    if (on === this.playing) return;
    this.playing = on;
    this.wait();
    this.changed();
  }

  /** So many steps a second, from here on. */
  at(speed: number): void {
    this.speed = speed;
    this.wait();
  }

  private wait(): void {
    clearTimeout(this.timer);
    if (this.playing) this.timer = setTimeout(() => this.step(), 1000 / this.speed);
  }

  private step(): void {
    if (this.take() === "over") this.play(false);
    else this.wait();
  }
}
