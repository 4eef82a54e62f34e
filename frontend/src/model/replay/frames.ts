/**
 * The frames around the position: fetched in blocks, kept, and fetched ahead in the direction one goes.
 *
 * What comes is put where it belongs, and only what is asked for is given out: an answer that comes late, for a
 * position left long ago, overwrites nothing. Two blocks are asked for at a time. While somebody drags the position
 * about, what is on its way for a place left since is given up, though not so soon that none would ever come.
 */

import type { Frame } from "../../protocol/replay";

/** How many steps a block has. */
export const BLOCK = 32;
const AT_ONCE = 2;
const KEPT = 64;
const PATIENCE_MS = 150;

export type FetchFrames = (from: number, to: number, signal: AbortSignal) => Promise<Frame[]>;

interface Asked {
  control: AbortController;
  at: number;
}

export class Frames {
  /** Why the last one asked for did not come. */
  failed: string | null = null;
  private readonly blocks = new Map<number, Frame[]>();
  private readonly asked = new Map<number, Asked>();
  private step = 0;
  private total = 0;
  private direction: -1 | 1 = 1;

  constructor(
    private readonly fetch: FetchFrames,
    private readonly came: () => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** What was so at a step, if it is here. */
  at(step: number): Frame | null {
    return this.blocks.get(blockOf(step))?.[step % BLOCK] ?? null;
  }

  /** Somebody looks at a step of so many: it is fetched if it is not here, and then what is beside it. */
  look(step: number, total: number): void {
    if (step !== this.step) this.direction = step < this.step ? -1 : 1;
    this.step = step;
    this.total = total;
    this.failed = null;
    this.fill();
  }

  /** All is to be fetched again: there is more now, and what was last knows it. */
  forget(): void {
    for (const { control } of this.asked.values()) control.abort();
    this.asked.clear();
    this.blocks.clear();
    this.failed = null;
  }

  private fill(): void {
    const wanted = this.wanted();
    for (const block of wanted) {
      if (this.blocks.has(block) || this.asked.has(block)) continue;
      if (this.asked.size >= AT_ONCE && !this.giveUp(wanted)) return;
      void this.ask(block);
    }
  }

  /** The blocks that ought to be here, the most urgent first. */
  private wanted(): number[] {
    const here = blockOf(this.step);
    const last = blockOf(this.total - 1);
    return [here, here + this.direction, here - this.direction].filter((block) => 0 <= block && block <= last);
  }

  /** Makes room for another question; false if none of those asked may be given up yet. */
  private giveUp(wanted: readonly number[]): boolean {
    for (const [block, { control, at }] of this.asked) {
      if (wanted.includes(block) || this.now() - at < PATIENCE_MS) continue;
      control.abort();
      this.asked.delete(block);
      return true;
    }
    return false;
  }

  private async ask(block: number): Promise<void> {
    const control = new AbortController();
    const asked = { control, at: this.now() };
    this.asked.set(block, asked);
    let frames: Frame[] | null = null;
    let failed = "";
    try {
      frames = await this.fetch(block * BLOCK, Math.min(this.total, (block + 1) * BLOCK), control.signal);
    } catch (error) {
      failed = error instanceof Error ? error.message : String(error);
    }
    if (this.asked.get(block) !== asked) return; // given up, or all is forgotten
    this.asked.delete(block);
    if (frames !== null) {
      this.blocks.set(block, frames);
      this.drop();
    } else if (block === blockOf(this.step)) this.failed = failed;
    this.came();
    if (frames !== null) this.fill();
  }

  /** Those farthest away go. */
  private drop(): void {
    if (this.blocks.size <= KEPT) return;
    const here = blockOf(this.step);
    const far = (block: number): number => Math.abs(block - here);
    const farthest = [...this.blocks.keys()].reduce((a, b) => (far(b) > far(a) ? b : a));
    this.blocks.delete(farthest);
  }
}

function blockOf(step: number): number {
  return Math.floor(step / BLOCK);
}
