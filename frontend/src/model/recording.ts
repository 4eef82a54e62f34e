/** One recording as far as the viewer has told of it. */

import type { Frame } from "../protocol/frame";
import type { Finding, Findings, Greenlets, Lanes, Latency, Message, Ring, Row, Stall, Status } from "../protocol/messages";
import { RingClock } from "./clock";
import { SegmentStore } from "./segments";
import type { Extent } from "./window";

export class Recording {
  readonly store = new SegmentStore();
  readonly clock = new RingClock();
  status: Status | null = null;
  lanes: Lanes = { type: "lanes", total: 0, first: 0, lanes: [] };
  greenlets: Greenlets = { type: "greenlets", now: 0, total: 0, rows: [] };
  latency: Latency | null = null;
  /** null until the viewer has looked. */
  diagnosis: Findings | null = null;

  constructor(public ring: Ring) {}

  /** Takes a message that came at `localMs` of the local clock. */
  take(message: Message, localMs: number): void {
    switch (message.type) {
      case "hello":
        this.ring = message.ring;
        break;
      case "status":
        this.status = message;
        this.clock.heard(message.now, localMs, message.state === "live");
        break;
      case "lanes":
        this.lanes = message;
        break;
      case "greenlets":
        this.greenlets = message;
        break;
      case "latency":
        this.latency = message;
        break;
      case "findings":
        this.diagnosis = message;
        break;
      case "error":
        break;
    }
  }

  takeFrame(frame: Frame, localMs: number): void {
    this.store.apply(frame);
    if (this.live && this.store.newest > this.clock.latest) this.clock.heard(this.store.newest, localMs, true);
  }

  get live(): boolean {
    return this.status?.state === "live";
  }

  get stalls(): readonly Stall[] {
    return this.status?.stalls ?? [];
  }

  get findings(): readonly Finding[] {
    return this.diagnosis?.findings ?? [];
  }

  extent(localMs: number): Extent {
    return { begin: this.status?.begin ?? 0, now: this.clock.now(localMs) };
  }

  /** The hub's number. Only the hub polls; until it has, its lane is known by its name. */
  get hub(): number | null {
    const [lane] = this.lanes.lanes;
    return this.store.hub ?? (this.lanes.first === 0 && lane?.name.startsWith("hub") ? lane.id : null);
  }

  row(greenlet: number): Row | null {
    return this.greenlets.rows.find((row) => row.id === greenlet) ?? null;
  }
}
