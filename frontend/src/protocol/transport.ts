/**
 * How messages get to the viewer and back: over a WebSocket, or by asking again and again where none goes
 * (through a WSGI server, or a proxy that passes none on). Both say the same things in the same order.
 */

export interface TransportEvents {
  opened(): void;
  text(data: string): void;
  bytes(data: ArrayBuffer): void;
  /** It is over, or never opened; nothing comes any more. */
  closed(): void;
}

export interface Transport {
  readonly open: boolean;
  send(text: string): void;
  /** Nothing is heard of it any more, not even that it closed. */
  close(): void;
}

export type Kind = "websocket" | "poll";

export function connect(kind: Kind, ring: string, events: TransportEvents): Transport {
  const address = `api/rings/${encodeURIComponent(ring)}`;
  return kind === "poll" ? new Polling(`${address}/poll`, events) : new Socket(`${address}/stream`, events);
}

class Socket implements Transport {
  private readonly socket: WebSocket;

  constructor(address: string, events: TransportEvents) {
    const url = new URL(address, document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => events.opened();
    socket.onclose = () => events.closed();
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (typeof event.data === "string") events.text(event.data);
      else events.bytes(event.data);
    };
  }

  get open(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  send(text: string): void {
    this.socket.send(text);
  }

  close(): void {
    this.socket.onopen = this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
  }
}

const PART_HEAD = 8;
const TEXT = 1;
const ANSWER_MS = 20_000;
/** A page that nobody sees asks this rarely; the viewer forgets one after half a minute. */
const HIDDEN_PAUSE_MS = 5_000;

/** The messages of one answer: each after its length and whether it is text (1), two u32. */
export function parts(body: ArrayBuffer): (string | ArrayBuffer)[] {
  const view = new DataView(body);
  const found: (string | ArrayBuffer)[] = [];
  for (let at = 0; at < body.byteLength; ) {
    if (at + PART_HEAD > body.byteLength) throw new Error("an answer was cut short");
    const size = view.getUint32(at, true);
    const kind = view.getUint32(at + 4, true);
    const end = at + PART_HEAD + size;
    if (end > body.byteLength) throw new Error("an answer was cut short");
    const part = body.slice(at + PART_HEAD, end); // a copy, so that a frame's columns are aligned
    found.push(kind === TEXT ? new TextDecoder().decode(part) : part);
    at = end;
  }
  return found;
}

export class Polling implements Transport {
  open = false;
  private said: string[] = [];
  private page: string | null = null;
  private pause = 0;
  private asking = false;
  private timer: number | undefined;
  private readonly ended = new AbortController();

  constructor(
    private readonly address: string,
    private readonly events: TransportEvents,
  ) {
    void this.ask();
  }

  send(text: string): void {
    this.said = [text]; // each view stands for the ones before it
    if (!this.asking) this.askIn(0);
  }

  close(): void {
    this.open = false;
    window.clearTimeout(this.timer);
    this.ended.abort();
  }

  private askIn(ms: number): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), ms);
  }

  /** One request at a time: what it brings goes on from the one before. */
  private async ask(): Promise<void> {
    this.asking = true;
    const said = this.said;
    this.said = [];
    try {
      const address = this.page === null ? this.address : `${this.address}?page=${encodeURIComponent(this.page)}`;
      const response = await fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(said),
        signal: AbortSignal.any([this.ended.signal, AbortSignal.timeout(ANSWER_MS)]),
      });
      if (!response.ok) throw new Error(`POST ${this.address}: ${response.status}`);
      const found = parts(await response.arrayBuffer());
      if (this.ended.signal.aborted) return;
      if (!this.open) {
        this.open = true;
        this.events.opened();
      }
      for (const part of found) {
        if (this.ended.signal.aborted) return; // one of them made the page go elsewhere
        if (typeof part !== "string") this.events.bytes(part);
        else if (!this.isOfPage(part)) this.events.text(part);
      }
    } catch {
      // What it brought is lost, and the next would go on from it: this page is over.
      if (this.ended.signal.aborted) return;
      this.close();
      this.events.closed();
      return;
    }
    this.asking = false;
    if (this.said.length > 0) this.askIn(0);
    else this.askIn(document.hidden ? HIDDEN_PAUSE_MS : this.pause);
  }

  private isOfPage(text: string): boolean {
    if (this.page !== null) return false;
    const message = JSON.parse(text) as { type: string; page: string; pause: number };
    if (message.type !== "page") return false;
    this.page = message.page;
    this.pause = message.pause;
    return true;
  }
}
