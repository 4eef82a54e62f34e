/**
 * One ring's stream, kept alive: it reconnects with a growing pause and says the current view again each
 * time. Frames that answer an older view than the last one are dropped here, so nothing behind this module
 * ever sees a stale one. Where a WebSocket does not even open, polling is tried, and the other way round.
 */

import { decodeFrame, type Frame } from "./frame";
import type { Message, View } from "./messages";
import { connect, type Kind, type Transport } from "./transport";

type Request = Omit<View, "type" | "serial">;

export interface ConnectionEvents {
  message(message: Message): void;
  frame(frame: Frame): void;
  /** The viewer answers (true) or does not (false, and it is tried again). */
  reachable(yes: boolean): void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 3000;
const VIEW_INTERVAL_MS = 50;

export class Connection {
  private transport: Transport | null = null;
  private pause = FIRST_PAUSE_MS;
  private retry: number | undefined;
  private pending: Request | null = null;
  private last: Request | null = null;
  private sendTimer: number | undefined;
  private sentAt = -Infinity;
  private serial = 0;

  /** `kind` is what to try first. */
  constructor(
    private readonly ring: string,
    private kind: Kind,
    private readonly events: ConnectionEvents,
  ) {
    this.open();
  }

  /** Says what the page shows; at most twenty times a second, the last one always. */
  show(view: Request): void {
    this.pending = view;
    if (this.sendTimer !== undefined) return;
    const wait = this.sentAt + VIEW_INTERVAL_MS - performance.now();
    this.sendTimer = window.setTimeout(() => this.flush(), Math.max(0, wait));
  }

  close(): void {
    window.clearTimeout(this.retry);
    window.clearTimeout(this.sendTimer);
    this.transport?.close();
  }

  private flush(): void {
    this.sendTimer = undefined;
    if (this.pending === null || !this.transport?.open) return;
    this.last = this.pending;
    this.pending = null;
    this.sentAt = performance.now();
    const view: View = { type: "view", serial: ++this.serial, ...this.last };
    this.transport.send(JSON.stringify(view));
  }

  private open(): void {
    let opened = false;
    this.transport = connect(this.kind, this.ring, {
      opened: () => {
        opened = true;
        this.pause = FIRST_PAUSE_MS;
        this.events.reachable(true);
        this.pending ??= this.last;
        window.clearTimeout(this.sendTimer);
        this.flush();
      },
      text: (data) => this.events.message(JSON.parse(data) as Message),
      bytes: (data) => {
        const frame = decodeFrame(data);
        if (frame !== null && frame.serial === this.serial) this.events.frame(frame);
      },
      closed: () => {
        this.events.reachable(false);
        if (!opened) this.kind = this.kind === "poll" ? "websocket" : "poll";
        this.retry = window.setTimeout(() => this.open(), this.pause);
        this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
      },
    });
  }
}
