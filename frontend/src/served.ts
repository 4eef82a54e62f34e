/** The tab of requests: what it asks for, and which of its two views is on screen. */

import { t } from "./language/language";
import type { Recording } from "./model/recording";
import { whatOf } from "./model/requests";
import type { Paint } from "./plot/theme";
import type { ServedRequest } from "./protocol/messages";
import { RequestControl } from "./requesting";
import { announce, byId } from "./views/dom";
import { RequestList } from "./views/requests";
import { WaterfallView } from "./views/waterfall";

export interface ServedContext {
  recording(): Recording | null;
  /** Whether the tab is on screen. */
  shown(): boolean;
  paused(): boolean;
  started(): number;
  /** Another request was opened, or none: the page's address changes. */
  opened(number: number | null): void;
  /** Look at a request on the timeline, at a greenlet of it. */
  timeline(request: ServedRequest, greenlet: number, name: string): void;
}

export class Served {
  private readonly control: RequestControl;
  private readonly list: RequestList;
  private readonly one: WaterfallView;

  constructor(
    private readonly context: ServedContext,
    paint: Paint,
  ) {
    this.control = new RequestControl({
      ring: () => context.recording()?.ring.id ?? null,
      shown: () => context.shown() && !document.hidden,
      live: () => context.recording()?.live ?? false,
      paused: () => context.paused(),
      changed: () => this.show(),
    });
    this.list = new RequestList(
      {
        choose: (change) => this.control.choose(change),
        open: (number) => {
          this.open(number);
          this.one.focus();
          context.opened(number);
        },
      },
      paint,
    );
    this.one = new WaterfallView(
      {
        back: () => void this.close(),
        timeline: (request, greenlet, name) => context.timeline(request, greenlet, name),
      },
      paint,
    );
  }

  get number(): number | null {
    return this.control.open;
  }

  setPaint(paint: Paint): void {
    this.list.setPaint(paint);
    this.one.setPaint(paint);
  }

  /** Opens a request, or with null the list of them. */
  open(number: number | null): void {
    byId("requests-many").hidden = number !== null;
    byId("requests-one").hidden = number === null;
    this.control.show(number);
    this.show();
  }

  /** Goes back to the list; false if it is there. */
  close(): boolean {
    const { number } = this;
    if (number === null) return false;
    this.open(null);
    this.list.focus(number);
    this.context.opened(null);
    return true;
  }

  /** Shows the open request on the timeline; false if none is. */
  fit(): boolean {
    const request = this.control.whole?.request;
    if (this.number === null || request === undefined) return false;
    this.context.timeline(request, request.greenlet, whatOf(request));
    return true;
  }

  search(text: string): void {
    this.control.choose({ search: text.trim().slice(0, 200) });
  }

  /** Another recording. */
  clear(): void {
    this.open(null);
    this.control.choose({ route: "" });
  }

  refresh(): void {
    this.control.refresh();
  }

  show(): void {
    if (!this.context.shown()) return;
    const { control } = this;
    const live = this.context.recording()?.live ?? false;
    if (control.open === null) this.list.show(control.list, control.asked, live, control.failed);
    else this.one.show(control.open, control.whole, control.unknown, control.failed, live, this.context.started());
    if (control.open !== null && control.unknown) announce(t("request.unknown", { number: control.open }));
  }
}
