/** The ties of the diagram: lines from a greenlet, wherever it is, to what it waits for or holds. */

import type { Tie } from "../../model/replay/scene";
import { svg } from "./chip";

const ROUND = 9;
/** So far from the waits' column the ties of those that are elsewhere go up and down. */
const LANE = 16;

export class Ties {
  readonly root = svg("svg", { class: "ties" }) as SVGSVGElement;
  private ties: readonly Tie[] = [];
  private readonly paths = new Map<string, SVGElement>();

  /** @param stage what the places are relative to; `left` and `waits` are the columns on its two sides */
  constructor(
    private readonly stage: HTMLElement,
    private readonly left: HTMLElement,
    private readonly waits: HTMLElement,
  ) {}

  show(ties: readonly Tie[]): void {
    this.ties = ties;
    const keys = new Set<string>();
    for (const tie of ties) {
      const key = keyOf(tie);
      keys.add(key);
      let path = this.paths.get(key);
      if (path === undefined) {
        path = svg("path", { class: "tie" });
        this.paths.set(key, path);
        this.root.append(path);
      }
      path.dataset["kind"] = tie.kind;
    }
    for (const [key, path] of this.paths) {
      if (keys.has(key)) continue;
      path.remove();
      this.paths.delete(key);
    }
  }

  /** Draws them where everything is at this moment. */
  draw(): void {
    const origin = this.stage.getBoundingClientRect();
    const column = this.waits.getBoundingClientRect();
    const clip = { top: column.top, bottom: column.bottom };
    const chips = new Map([...this.stage.querySelectorAll<HTMLElement>("[data-chip]")].map((node) => [node.dataset["chip"]!, node.getBoundingClientRect()]));
    const things = new Map([...this.stage.querySelectorAll<HTMLElement>("[data-thing]")].map((node) => [node.dataset["thing"]!, node.getBoundingClientRect()]));
    const edge = this.left.getBoundingClientRect().right;
    const drawn: [SVGElement, string][] = [];
    for (const tie of this.ties) {
      const chip = chips.get(String(tie.greenlet));
      const thing = things.get(tie.thing);
      const seen = chip !== undefined && thing !== undefined && thing.top < clip.bottom && thing.bottom > clip.top;
      const shift = tie.kind === "holds" ? 5 : 0;
      const near = seen && chip.left >= column.left;
      this.paths.get(keyOf(tie))!.toggleAttribute("data-near", near);
      const path = seen
        ? route(
            { x: (near ? chip.right : Math.max(chip.right, edge)) - origin.left, y: chip.top + chip.height / 2 - origin.top + shift },
            { x: thing.left - origin.left, y: thing.top + thing.height / 2 - origin.top + shift },
            column.left - origin.left - LANE,
          )
        : "";
      drawn.push([this.paths.get(keyOf(tie))!, path]);
    }
    for (const [node, path] of drawn) node.setAttribute("d", path);
  }
}

interface Point {
  x: number;
  y: number;
}

/** From a chip to a thing: beside each other in a curve, from farther away around what is between. */
function route(from: Point, to: Point, lane: number): string {
  if (from.x >= lane) {
    const half = Math.max(12, (to.x - from.x) / 2);
    return `M${from.x} ${from.y}C${from.x + half} ${from.y} ${to.x - half} ${to.y} ${to.x} ${to.y}`;
  }
  const down = to.y >= from.y ? 1 : -1;
  const round = Math.min(ROUND, Math.abs(to.y - from.y) / 2);
  return [
    `M${from.x} ${from.y}H${lane - round}`,
    `Q${lane} ${from.y} ${lane} ${from.y + down * round}`,
    `V${to.y - down * round}`,
    `Q${lane} ${to.y} ${lane + round} ${to.y}`,
    `H${to.x}`,
  ].join("");
}

function keyOf({ thing, greenlet, kind }: Tie): string {
  return `${thing} ${greenlet} ${kind === "holds" ? "holds" : ""}`;
}
