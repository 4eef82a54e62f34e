/**
 * Movement between two steps: what is in another place now, goes there from where it was seen last; what is new
 * appears, and what is gone fades. The DOM is at once as it will be: only how it looks on the way is animated (first, last,
 * invert, play). Who wants less motion sees none.
 */

const LONG_MS = 420;
const QUICK_MS = 110;
/** Steps that follow each other faster than this are shown with quick movements. */
const HURRY_MS = 240;
const EASING = "cubic-bezier(0.35, 0.75, 0.25, 1)";
/** What goes farther than this goes in an arc, and above the others. */
const FAR = 70;
const ARC = 0.08;

interface Place {
  x: number;
  y: number;
  node: HTMLElement;
}

export class Motion {
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");
  private running: Animation[] = [];
  private at = -Infinity;
  private frame = 0;

  /**
   * @param stage holds all that moves: whatever has a `data-move`, which says what it is
   * @param along is told at each frame of a movement, for what is drawn between the things that move
   */
  constructor(
    private readonly stage: HTMLElement,
    private readonly along: () => void,
  ) {}

  /** Changes the stage, and shows how. */
  change(apply: () => void): void {
    const calm = this.calm.matches || document.hidden || this.stage.clientWidth === 0;
    const now = performance.now();
    const duration = now - this.at < HURRY_MS ? QUICK_MS : LONG_MS;
    this.at = now;
    const before = calm ? null : this.measured();
    this.settle();
    apply();
    if (before !== null && before.size > 0) this.play(before, this.measured(), duration);
    this.along();
  }

  /** Changes the stage, and shows no movement: it was only sized anew. */
  still(apply: () => void): void {
    this.settle();
    apply();
    this.along();
  }

  /** Nothing moves any more; what is measured next is where it is. */
  private settle(): void {
    for (const animation of this.running) animation.cancel();
    this.running = [];
    for (const ghost of this.stage.querySelectorAll(".ghost")) ghost.remove();
    cancelAnimationFrame(this.frame);
  }

  private measured(): Map<string, Place> {
    const origin = this.stage.getBoundingClientRect();
    const places = new Map<string, Place>();
    for (const node of this.stage.querySelectorAll<HTMLElement>("[data-move]")) {
      const box = node.getBoundingClientRect();
      if (box.width > 0) places.set(node.dataset["move"]!, { x: box.left - origin.left, y: box.top - origin.top, node });
    }
    return places;
  }

  private play(before: ReadonlyMap<string, Place>, after: ReadonlyMap<string, Place>, duration: number): void {
    for (const [key, now] of after) {
      const was = before.get(key);
      if (was === undefined) {
        this.run(now.node, [{ opacity: 0, scale: 0.86 }, { opacity: 1, scale: 1 }], duration);
        continue;
      }
      const [dx, dy] = [was.x - now.x, was.y - now.y];
      if (Math.abs(dx) < 0.5 && Math.abs(dy) < 0.5) continue;
      const far = Math.hypot(dx, dy) > FAR;
      const from = { translate: `${dx}px ${dy}px` };
      const middle = { translate: `${dx * 0.42 - dy * ARC}px ${dy * 0.42 + dx * ARC}px`, scale: 1.06, offset: 0.5 };
      now.node.classList.toggle("moving", far);
      this.run(now.node, far && duration === LONG_MS ? [from, middle, { translate: "0 0", scale: 1 }] : [from, { translate: "0 0" }], duration);
    }
    for (const [key, was] of before) if (!after.has(key)) this.fade(was, duration);
    if (this.running.length > 0) this.follow();
  }

  private run(node: HTMLElement, keyframes: Keyframe[], duration: number): Animation {
    const animation = node.animate(keyframes, { duration, easing: EASING });
    this.running.push(animation);
    return animation;
  }

  /** A copy of what is gone fades where it was. */
  private fade({ node, x, y }: Place, duration: number): void {
    const ghost = node.cloneNode(true) as HTMLElement;
    for (const each of [ghost, ...ghost.querySelectorAll<HTMLElement>("[data-move], [data-chip], [data-thing]")]) {
      for (const name of ["move", "chip", "thing", "greenlet"]) delete each.dataset[name];
    }
    ghost.classList.add("ghost");
    ghost.style.left = `${x}px`;
    ghost.style.top = `${y}px`;
    this.stage.append(ghost);
    const animation = this.run(ghost, [{ opacity: 0.9 }, { opacity: 0, scale: 0.9 }], duration);
    animation.finished.then(
      () => ghost.remove(),
      () => undefined, // another step came before it was over, and has removed it
    );
  }

  private follow(): void {
    this.frame = requestAnimationFrame(() => {
      this.along();
      if (this.running.some(({ playState }) => playState === "running")) this.follow();
      else this.rest();
    });
  }

  private rest(): void {
    this.running = [];
    for (const node of this.stage.querySelectorAll(".moving")) node.classList.remove("moving");
    this.along();
  }
}
