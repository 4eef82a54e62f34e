/** Whom the pointer is on is marked wherever it is shown: its chip, its bookmark, its lane, its name. */

export class Look {
  private of: string | null = null;

  /** @param root holds all that shows a greenlet, each with a `data-of` */
  constructor(private readonly root: HTMLElement) {
    root.addEventListener("pointerover", (event) => this.at(event.target as Element));
    root.addEventListener("pointerleave", () => this.at(null));
  }

  /** Marks what was drawn since. */
  mark(): void {
    for (const node of this.root.querySelectorAll(".looked")) node.classList.remove("looked");
    if (this.of === null) return;
    for (const node of this.root.querySelectorAll(`[data-of="${this.of}"]`)) node.classList.add("looked");
  }

  private at(node: Element | null): void {
    const of = node?.closest<HTMLElement>("[data-of]")?.dataset["of"] ?? null;
    if (of === this.of) return;
    this.of = of;
    this.mark();
  }
}
