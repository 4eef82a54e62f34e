/** The page's address: says what is looked at, as an entry the browser can go back from, or in place of the last. */

/** While one moves, the address follows so often: browsers refuse to be told of hundreds of places in a row. */
const FOLLOW_MS = 300;

export class AddressBar {
  private pending: string | null = null;
  private timer: number | undefined;

  /** @param current what is looked at; null: nothing is to be said, unless somebody went there (`entry`) */
  constructor(private readonly current: (entry: boolean) => string | null) {}

  /** Says it at once; `entry`: one can go back from it. */
  write(entry: boolean): void {
    this.flush();
    const address = this.current(entry);
    if (address === null) return;
    if (entry && address !== location.hash) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }

  /** Says it at once, or when one has stopped, or so often. */
  follow(): void {
    this.pending = this.current(false);
    if (this.timer !== undefined) return;
    this.flush();
    this.timer = window.setTimeout(() => this.flush(), FOLLOW_MS);
  }

  private flush(): void {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    if (this.pending !== null && this.pending !== location.hash) history.replaceState(null, "", this.pending);
    this.pending = null;
  }
}
