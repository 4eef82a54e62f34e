/** One question at a time, of which the latest counts: what comes for an earlier one is thrown away. */

export class Latest<Value> {
  value: Value | null = null;
  /** What the value is an answer to. */
  of: string | null = null;
  failed: string | null = null;
  private wished: string | null = null;
  private asked: AbortController | null = null;

  constructor(private readonly changed: () => void) {}

  /** Whether an answer is awaited. */
  get busy(): boolean {
    return this.asked !== null;
  }

  /** Asks, unless this is what was asked last. */
  wish(of: string, fetch: (signal: AbortSignal) => Promise<Value>): void {
    if (of === this.wished) return;
    this.asked?.abort();
    this.wished = of;
    this.failed = null;
    void this.ask(of, fetch);
  }

  /** Nothing was asked, and nothing is known. */
  forget(): void {
    this.asked?.abort();
    this.asked = this.value = this.of = this.wished = this.failed = null;
  }

  /** The same question would be asked again. */
  again(): void {
    if (this.asked === null) this.wished = null;
  }

  private async ask(of: string, fetch: (signal: AbortSignal) => Promise<Value>): Promise<void> {
    const asked = (this.asked = new AbortController());
    try {
      const value = await fetch(asked.signal);
      if (this.asked !== asked) return;
      this.value = value;
      this.of = of;
    } catch (error) {
      if (this.asked !== asked) return;
      this.failed = error instanceof Error ? error.message : String(error);
    }
    this.asked = null;
    this.changed();
  }
}
