/**
 * The page: what is held (one recording, its segments, the window) and how a message or a gesture
 * changes it. Views are told what to show and tell what was done; they do not know each other.
 */

import { RingClock } from "./model/clock";
import { neighbour, segmentAt } from "./model/hit";
import { SegmentStore, type Segment } from "./model/segments";
import { nextStall, stallOf } from "./model/stalls";
import * as win from "./model/window";
import { LanePainter } from "./plot/painter";
import { Minimap } from "./plot/minimap";
import { plotly } from "./plot/plotly";
import { TimeAxis } from "./plot/timeaxis";
import type { Paint } from "./plot/theme";
import { fetchRings, streamUrl } from "./protocol/api";
import { Connection } from "./protocol/connection";
import type { Frame } from "./protocol/frame";
import type { Greenlets, Lane, Lanes, Latency, Message, Ring, Span, Stall, Status } from "./protocol/messages";
import { Spans } from "./protocol/spans";
import { Cards } from "./views/cards";
import { announce, byId, setText } from "./views/dom";
import { stateName } from "./views/details";
import * as format from "./model/format";
import { Header } from "./views/header";
import { Help } from "./views/help";
import { AXIS_STRIP, LanesView } from "./views/lanes";
import { Legend } from "./views/legend";
import { Side, type Selection } from "./views/side";
import { StallList } from "./views/stalls";
import { GreenletTable } from "./views/table";
import { Tabs } from "./views/tabs";
import { Theme } from "./views/theme";
import { Tooltip } from "./views/tooltip";

const RINGS_EVERY_MS = 3000;
const MOST_PIXELS = 4000;
const MOST_ROWS = 200;
const ROWS_AROUND = 8;
const FOLLOW_EXTRA_NS = 0.3e9;
/** Closer than this, following is only a blur: zooming further stands still. */
const FOLLOW_NARROWEST_NS = 0.25e9;
const HOVER_MS = 60;
const LOCATE_MS = 1500;
const REDUCED_MOTION_MS = 500;

interface Selected {
  greenlet: number;
  name: string;
  time: number;
  start: number;
  end: number;
  span: Span | null;
  stall: Stall | null;
}

export class App {
  readonly store = new SegmentStore();
  private readonly clock = new RingClock();
  private ring: Ring | null = null;
  private rings: Ring[] = [];
  private connection: Connection | null = null;
  private reachable = true;
  private status: Status | null = null;
  private lanesMessage: Lanes = { type: "lanes", total: 0, first: 0, lanes: [] };
  private greenlets: Greenlets = { type: "greenlets", total: 0, rows: [] };
  private latency: Latency | null = null;
  private window: win.TimeWindow = { from: -win.FIRST_WIDTH_NS, to: 0, follow: true };
  private paused = false;
  private search = "";
  private exited = false;
  private selected: Selected | null = null;
  private hover: { row: number; time: number; x: number; y: number } | null = null;
  private cursor: { row: number; time: number } | null = null;
  /** Looking for a lane: the first of the rows asked for; see reveal. */
  private locating: { greenlet: number; first: number; found: boolean; until: number } | null = null;
  private dirty = true;
  private first = true;
  private drawnAt = 0;
  private shownView = "";
  private frames: number[] = [];
  private paints: number[] = [];

  private readonly theme: Theme;
  private readonly header: Header;
  private readonly cards: Cards;
  private readonly legend = new Legend();
  private readonly lanes: LanesView;
  private readonly painter: LanePainter;
  private readonly minimap: Minimap;
  private axis: TimeAxis | null = null;
  private readonly table: GreenletTable;
  private readonly stallList: StallList;
  private readonly side: Side;
  private readonly tooltip = new Tooltip();
  private readonly help = new Help();
  private readonly tabs: Tabs;
  private readonly spans = new Spans(() => this.ring?.id ?? null);
  private readonly selectionSpans = new Spans(() => this.ring?.id ?? null);
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor() {
    this.header = new Header((id) => this.open(this.rings.find((ring) => ring.id === id) ?? null));
    this.cards = new Cards((stall) => this.selectStall(stall));
    this.tabs = new Tabs(() => this.tabChanged());
    this.side = new Side({
      showStall: (stall) => this.selectStall(stall),
      fit: () => this.fit(),
      close: () => this.select(null),
    });
    this.table = new GreenletTable((id, name) => this.jumpTo(id, name));
    this.stallList = new StallList((stall) => this.selectStall(stall));
    let paint: Paint | null = null;
    this.theme = new Theme((changed) => {
      paint = changed;
      // Called once from the constructor, before there is anything to paint.
      (this.painter as LanePainter | undefined)?.setPaint(changed);
      (this.minimap as Minimap | undefined)?.setPaint(changed);
      this.dirty = true;
    });
    this.painter = new LanePainter(byId<HTMLCanvasElement>("lanes-canvas"), paint ?? this.theme.paint);
    this.minimap = new Minimap(
      byId("minimap"),
      byId("minimap-overlay"),
      byId("minimap-band"),
      { choose: (from, to) => this.setWindow(win.chosen(from, to, this.extent())) },
      this.theme.paint,
    );
    this.lanes = new LanesView({
      zoom: (factor, share) => this.zoom(factor, share),
      pan: (share) => this.pan(share),
      choose: (a, b) => this.setWindow(win.chosen(this.timeAt(a), this.timeAt(b), this.extent())),
      hover: (row, share, x, y) => this.hovered(row, share, x, y),
      click: (row, share) => this.clicked(row, share),
      name: (lane) => this.selectAt(lane.id, lane.name, this.middle()),
      layout: () => this.layoutChanged(),
    });
    plotly.then(
      (api) => {
        this.axis = new TimeAxis(api, byId("axis"), byId("axis-base"));
        this.minimap.attach(api);
        this.dirty = true;
      },
      () => undefined,
    );
    this.listen();
    void this.refreshRings();
    window.setInterval(() => void this.refreshRings(), RINGS_EVERY_MS);
    window.setInterval(() => this.halfSecond(), 500);
    requestAnimationFrame((at) => this.tick(at));
  }

  // what there is

  private async refreshRings(): Promise<void> {
    if (document.hidden && this.ring !== null) return;
    try {
      this.rings = await fetchRings();
    } catch {
      if (this.connection === null) this.reachable = false;
      this.showEmpty();
      return;
    }
    if (this.connection === null) this.reachable = true;
    if (this.ring === null) {
      const wanted = decodeURIComponent(location.hash.slice(1));
      const choice =
        this.rings.find((ring) => ring.id === wanted) ??
        this.rings.find((ring) => ring.state === "live") ??
        this.rings[0];
      if (choice !== undefined) this.open(choice);
    }
    this.showEmpty();
    this.header.showRings(this.rings, this.ring);
  }

  private showEmpty(): void {
    const none = this.ring === null;
    byId("empty").hidden = !none;
    const wasHidden = byId("content").hidden;
    byId("content").hidden = none;
    if (wasHidden && !none) this.lanes.measure();
    if (!none) return;
    setText(byId("empty-title"), this.reachable ? "Waiting for a traced process…" : "The viewer is not reachable");
    setText(
      byId("empty-text"),
      this.reachable ? "Start one and it appears here by itself:" : "Retrying. If it was stopped, start it again:",
    );
    setText(byId("empty-command").firstElementChild!, this.reachable ? "greenscope run app.py" : "greenscope serve");
    this.showHeader();
  }

  private open(ring: Ring | null): void {
    if (ring === null || ring.id === this.ring?.id) return;
    this.connection?.close();
    this.ring = ring;
    this.store.clear();
    this.clock.reset();
    this.status = null;
    this.latency = null;
    this.lanesMessage = { type: "lanes", total: 0, first: 0, lanes: [] };
    this.greenlets = { type: "greenlets", total: 0, rows: [] };
    this.paused = false;
    this.first = true;
    this.cursor = this.hover = this.locating = null;
    this.select(null);
    this.window = { from: -win.FIRST_WIDTH_NS, to: 0, follow: true };
    this.shownView = "";
    this.lanes.showLanes(this.lanesMessage);
    history.replaceState(null, "", `#${encodeURIComponent(ring.id)}`);
    this.connection = new Connection(streamUrl(ring.id), {
      message: (message) => this.message(message),
      frame: (frame) => this.frame(frame),
      reachable: (yes) => {
        this.reachable = yes;
        if (!yes) this.shownView = "";
        this.dirty = true;
        this.showHeader();
      },
    });
    this.header.showRings(this.rings, ring);
    this.showEmpty();
    this.dirty = true;
  }

  private message(message: Message): void {
    switch (message.type) {
      case "hello":
        this.ring = message.ring;
        break;
      case "status":
        this.statusCame(message);
        break;
      case "lanes":
        this.lanesCame(message);
        break;
      case "greenlets":
        this.greenlets = message;
        if (!this.paused) this.showTable();
        break;
      case "latency":
        this.latency = message;
        if (!this.paused) this.showMinimap();
        break;
      case "error":
        announce(message.message);
        console.warn(`greenscope: ${message.message}`);
        break;
    }
    this.dirty = true;
  }

  private statusCame(status: Status): void {
    const before = this.status;
    this.status = status;
    this.clock.heard(status.now, performance.now(), status.state === "live");
    if (this.first) {
      this.first = false;
      // A recording that is over is looked at as a whole; there is no live edge to be at.
      if (status.state !== "live") this.setWindow(win.whole(this.extent()));
    }
    if (before?.state === "live" && status.state !== "live") {
      this.paused = false;
      this.window = { ...win.followed(this.window, status.now), follow: false };
      this.showTable();
    }
    if (!this.paused) this.cards.show(status);
    this.legend.show(status.states);
    this.stallList.show(status, this.selected?.stall ?? null, this.search);
    this.refreshSelectedStall(status);
    this.showHeader();
    this.showSide();
    this.showNoLanes();
    if (this.latency === null) this.showMinimap();
  }

  private lanesCame(lanes: Lanes): void {
    this.locate(lanes);
    this.lanesMessage = lanes;
    this.lanes.showLanes(lanes);
    this.showNoLanes();
  }

  private locate(lanes: Lanes): void {
    const { locating } = this;
    if (locating === null) return;
    const index = lanes.lanes.findIndex((lane) => lane.id === locating.greenlet);
    if (index >= 0) {
      this.lanes.showLanes(lanes);
      this.lanes.scrollToRow(lanes.first + index);
      // The answer to a window that changed just now may come after this one, and move it once more.
      this.locating = { ...locating, found: true };
    } else if (!locating.found) {
      const next = lanes.first === locating.first ? lanes.first + lanes.lanes.length : locating.first;
      this.locating = next < lanes.total && lanes.lanes.length > 0 ? { ...locating, first: next } : null;
    }
  }

  private frame(frame: Frame): void {
    this.store.apply(frame);
    const live = this.status?.state === "live";
    if (live && this.store.newest > this.clock.latest) this.clock.heard(this.store.newest, performance.now(), true);
    this.dirty = true;
  }

  private halfSecond(): void {
    if (this.window.follow) this.store.trim(this.window.from - win.width(this.window) - FOLLOW_EXTRA_NS);
    if (this.locating !== null && performance.now() > this.locating.until) {
      this.locating = null;
      this.dirty = true;
    }
    const live = this.status?.state === "live";
    if (this.selected?.span?.open && !this.paused && live) this.askSelected();
    this.showMeter();
  }

  // the window

  private extent(): win.Extent {
    return { begin: this.status?.begin ?? 0, now: this.now() };
  }

  private now(): number {
    return this.clock.now(performance.now());
  }

  private timeAt(share: number): number {
    return this.window.from + share * win.width(this.window);
  }

  private middle(): number {
    const { now } = this.extent();
    return Math.min((this.window.from + this.window.to) / 2, now);
  }

  private setWindow(window: win.TimeWindow): void {
    const followed = this.window.follow;
    this.window = window;
    if (window.follow) this.paused = false;
    if (followed !== window.follow) this.showHeader();
    this.dirty = true;
  }

  private zoom(factor: number, share: number): void {
    let { window } = this;
    const narrow = win.width(window) * factor < FOLLOW_NARROWEST_NS;
    if (window.follow && factor < 1 && narrow) window = { ...window, follow: false };
    this.setWindow(win.zoomed(window, factor, this.timeAt(share), this.extent()));
  }

  private pan(share: number): void {
    const live = this.status?.state === "live" && !this.paused && win.width(this.window) >= FOLLOW_NARROWEST_NS;
    this.setWindow(win.panned(this.window, share * win.width(this.window), this.extent(), live));
  }

  private backToLive(): void {
    if (this.status?.state !== "live") return;
    this.paused = false;
    const span = Math.max(win.width(this.window), FOLLOW_NARROWEST_NS);
    const wide = Math.min(span, win.widest(this.extent()));
    this.setWindow({ from: this.now() - wide, to: this.now(), follow: true });
    this.showAll();
  }

  private togglePause(): void {
    if (this.paused) this.backToLive();
    else if (this.status?.state === "live") {
      this.paused = true;
      this.window = { ...this.window, follow: false };
      this.showHeader();
    }
    this.dirty = true;
  }

  private fit(): void {
    if (this.selected === null) return;
    const { start, end } = this.selected;
    this.setWindow(win.fitted(start, end, this.extent()));
    this.reveal(this.selected.greenlet);
  }

  // selection

  private select(selected: Selected | null): void {
    this.selected = selected;
    this.lanes?.showSelected(selected?.greenlet ?? null);
    this.dirty = true;
    if (this.status) this.stallList.show(this.status, selected?.stall ?? null, this.search);
    this.showSide();
  }

  private selectAt(greenlet: number, name: string, time: number): void {
    const pixel = this.pixel();
    const track = this.store.track(greenlet);
    const index = track === undefined ? -1 : segmentAt(track, time, pixel);
    const segment = index >= 0 ? track!.at(index) : null;
    const at = segment === null ? time : inside(segment, time);
    const [start, end] = segment === null ? [time, time] : [segment.start, segment.end];
    this.select({
      greenlet,
      name,
      time: at,
      start,
      end,
      span: null,
      stall: segment?.state === 3 ? stallOf(this.status?.stalls ?? [], greenlet, start, end) : null,
    });
    this.askSelected();
  }

  private askSelected(): void {
    const { selected } = this;
    if (selected === null) return;
    this.selectionSpans.ask(selected.greenlet, selected.time, this.pixel(), 0, (span) => {
      if (this.selected?.greenlet !== selected.greenlet || this.selected.time !== selected.time) return;
      let { start, end, stall } = this.selected;
      if (span !== null) {
        [start, end] = [span.start, span.end];
        if (span.state === 3) stall ??= stallOf(this.status?.stalls ?? [], span.greenlet.id, start, end);
      }
      this.selected = { ...this.selected, span, start, end, stall };
      this.dirty = true;
      this.showSide();
    });
  }

  private selectStall(stall: Stall): void {
    const end = stall.start + stall.duration;
    this.tabs.choose("timeline");
    this.select({
      greenlet: stall.greenlet,
      name: stall.name,
      time: stall.start + stall.duration / 2,
      start: stall.start,
      end,
      span: null,
      stall,
    });
    this.setWindow(win.showing(this.window, stall.start, end, this.extent()));
    if (stall.duration < 12 * this.pixel()) this.setWindow(win.fitted(stall.start, end, this.extent(), 4));
    this.reveal(stall.greenlet);
    this.askSelected();
    announce(`Stall of ${stall.name}, ${format.duration(stall.duration)}`);
  }

  /** A stall that was going on grows until it ends; the panel shows what is known by now. */
  private refreshSelectedStall(status: Status): void {
    const stall = this.selected?.stall;
    if (!stall || stall.end !== null) return;
    const fresh = status.stalls.find((s) => s.greenlet === stall.greenlet && s.start === stall.start);
    if (fresh) this.selected = { ...this.selected!, stall: fresh, end: fresh.start + fresh.duration };
  }

  private stepStall(direction: -1 | 1): void {
    const { now } = this.extent();
    const from = this.selected?.stall?.start ?? (direction < 0 ? this.window.to : this.window.from);
    const stall = nextStall(this.status?.stalls ?? [], Math.min(from, now), direction);
    if (stall === null) announce(direction < 0 ? "No earlier stall" : "No later stall");
    else this.selectStall(stall);
  }

  private jumpTo(greenlet: number, name: string): void {
    this.tabs.choose("timeline");
    this.selectAt(greenlet, name, this.middle());
    this.reveal(greenlet);
  }

  /**
   * Scrolls to a greenlet's lane. Where it is not among the lanes the viewer has listed, they are asked for
   * two hundred at a time until it is.
   */
  private reveal(greenlet: number): void {
    const row = this.lanes.rowOf(greenlet);
    if (row !== null) this.lanes.scrollToRow(row);
    this.locating = { greenlet, first: 0, found: row !== null, until: performance.now() + LOCATE_MS };
    this.dirty = true;
  }

  // pointer and keys

  private pixel(): number {
    return win.width(this.window) / Math.max(1, this.lanes.width);
  }

  private hovered(row: number | null, share: number, x: number, y: number): void {
    if (row === null) {
      this.hover = null;
      this.spans.cancel();
      if (this.cursor === null) this.tooltip.hide();
    } else {
      this.cursor = null;
      this.hover = { row, time: this.timeAt(share), x, y };
      this.showTooltip(row, this.hover.time, x, y, HOVER_MS);
    }
    this.dirty = true;
  }

  private showTooltip(row: number, time: number, x: number, y: number, delay: number): void {
    const lane = this.lanes.laneAt(row);
    const track = lane === null ? undefined : this.store.track(lane.id);
    const index = track === undefined ? -1 : segmentAt(track, time, this.pixel());
    if (lane === null || index < 0) {
      this.tooltip.hide();
      this.spans.cancel();
      return;
    }
    const segment = track!.at(index);
    const at = inside(segment, time);
    const draw = (span: Span | null): void =>
      this.tooltip.show(lane.name, segment, lane.id === this.hubId(), span, this.extent().now, x, y);
    draw(null);
    this.spans.ask(lane.id, at, this.pixel(), delay, (span) => {
      draw(span);
      if (this.cursor !== null && span !== null) {
        announce(`${lane.name}: ${stateName(span.state, span.reason, lane.id === this.hubId())}, ${format.duration(span.end - span.start)}`);
      }
    });
  }

  private clicked(row: number, share: number): void {
    const lane = this.lanes.laneAt(row);
    if (lane === null) return;
    this.cursor = null;
    this.selectAt(lane.id, lane.name, this.timeAt(share));
  }

  private moveCursor(rows: number, direction: -1 | 0 | 1): void {
    const at = this.cursor ?? { row: this.lanes.rows.first, time: this.middle() };
    const row = Math.max(0, Math.min(this.lanes.total - 1, at.row + (this.cursor === null ? 0 : rows)));
    let { time } = at;
    const lane = this.lanes.laneAt(row);
    const track = lane === null ? undefined : this.store.track(lane.id);
    if (direction !== 0 && track !== undefined) {
      const next = neighbour(track, time, direction);
      if (next !== null) time = (next.start + Math.max(next.end, next.start)) / 2;
    }
    // The cursor stays on its time: a window that follows would carry it away.
    this.setWindow(win.showing(this.window, time, time, this.extent()));
    this.lanes.scrollToRow(row);
    this.cursor = { row, time };
    this.hover = null;
    const { x, y } = this.lanes.pointOf(row, (time - this.window.from) / win.width(this.window));
    this.showTooltip(row, time, x, y, HOVER_MS);
    this.dirty = true;
  }

  private listen(): void {
    byId("pause").addEventListener("click", () => this.togglePause());
    byId("back-to-live").addEventListener("click", () => this.backToLive());
    const search = byId<HTMLInputElement>("search");
    search.addEventListener("input", () => {
      this.search = search.value;
      this.dirty = true;
      this.sendView();
      this.showTable();
      if (this.status) this.stallList.show(this.status, this.selected?.stall ?? null, this.search);
      this.showNoLanes();
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        if (search.value !== "") {
          search.value = "";
          search.dispatchEvent(new Event("input"));
        }
        search.blur();
      }
    });
    const exited = byId<HTMLInputElement>("exited");
    exited.addEventListener("change", () => {
      this.exited = exited.checked;
      this.sendView();
    });
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("visibilitychange", () => (this.dirty = true));
    byId("lanes-canvas").addEventListener("blur", () => {
      if (this.cursor === null) return;
      this.cursor = null;
      this.tooltip.hide();
      this.dirty = true;
    });
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || this.help.open) return;
    const target = event.target as HTMLElement;
    if (target.matches("input:not([type=checkbox]), select, textarea")) return;
    if (event.key === "?") this.help.toggle();
    else if (event.key === "/") {
      byId<HTMLInputElement>("search").focus();
      byId<HTMLInputElement>("search").select();
    } else if (event.key === "1" || event.key === "2" || event.key === "3") {
      this.tabs.choose((["timeline", "greenlets", "stalls"] as const)[Number(event.key) - 1]!);
    } else if (this.ring === null || !this.act(event, target)) return;
    event.preventDefault();
  }

  private act(event: KeyboardEvent, target: HTMLElement): boolean {
    const onPlot = target.id === "lanes-canvas";
    if (onPlot && this.plotKey(event.key)) return true;
    switch (event.key.length === 1 ? event.key.toLowerCase() : event.key) {
      case " ":
        if (target.matches("button, [role=tab], input, summary")) return false;
        this.togglePause();
        return true;
      case "w":
        this.zoom(0.7, this.keyShare());
        return true;
      case "s":
        this.zoom(1 / 0.7, this.keyShare());
        return true;
      case "a":
        this.pan(-0.15);
        return true;
      case "d":
        this.pan(0.15);
        return true;
      case "f":
        this.fit();
        return true;
      case "0":
        this.setWindow(win.whole(this.extent()));
        return true;
      case "l":
        this.backToLive();
        return true;
      case "[":
        this.stepStall(-1);
        return true;
      case "]":
        this.stepStall(1);
        return true;
      case "Escape":
        this.cursor = null;
        this.tooltip.hide();
        this.select(null);
        return true;
      default:
        return false;
    }
  }

  /** Keys zoom around the cursor or the pointer where there is one in the window, else around the middle. */
  private keyShare(): number {
    const time = this.cursor?.time ?? this.hover?.time;
    const share = time === undefined ? 0.5 : (time - this.window.from) / win.width(this.window);
    return share >= 0 && share <= 1 ? share : 0.5;
  }

  private plotKey(key: string): boolean {
    switch (key) {
      case "ArrowUp":
        this.moveCursor(-1, 0);
        return true;
      case "ArrowDown":
        this.moveCursor(1, 0);
        return true;
      case "ArrowLeft":
        this.moveCursor(0, -1);
        return true;
      case "ArrowRight":
        this.moveCursor(0, 1);
        return true;
      case "PageUp":
        this.lanes.scrollPage(-1);
        return true;
      case "PageDown":
        this.lanes.scrollPage(1);
        return true;
      case "Enter": {
        const lane = this.cursor && this.lanes.laneAt(this.cursor.row);
        if (this.cursor && lane) this.selectAt(lane.id, lane.name, this.cursor.time);
        return true;
      }
      default:
        return false;
    }
  }

  // showing

  /** Only the hub polls; until it has, its lane is known by its name. */
  private hubId(): number | null {
    const [lane] = this.lanesMessage.lanes;
    return this.store.hub ?? (this.lanesMessage.first === 0 && lane?.name.startsWith("hub") ? lane.id : null);
  }

  private showHeader(): void {
    this.header.show({
      status: this.status,
      reachable: this.reachable,
      paused: this.paused,
      following: this.window.follow,
      ring: this.ring,
    });
  }

  private showTable(): void {
    if (this.tabs.current !== "greenlets") return;
    this.table.show(this.greenlets, this.status?.now ?? this.now(), this.search, this.hubId());
  }

  private showMinimap(): void {
    if (this.status === null) return;
    this.minimap.show(this.latency, this.status.begin, this.status.now, this.status.stall_threshold);
  }

  private showSide(): void {
    const { selected } = this;
    const selection: Selection | null =
      selected === null
        ? null
        : {
            greenlet: selected.greenlet,
            name: selected.name,
            hub: selected.greenlet === this.hubId(),
            span: selected.span,
            stall: selected.stall,
            row: this.greenlets.rows.find((row) => row.id === selected.greenlet) ?? null,
          };
    this.side.show(selection, this.status, this.extent().now);
  }

  private showNoLanes(): void {
    const empty = byId("no-lanes");
    empty.hidden = this.lanesMessage.total > 0 || this.status === null;
    setText(
      empty,
      this.search.trim() !== ""
        ? `No greenlet matches “${this.search}”.`
        : "This recording has no greenlets yet. They appear when the first one is spawned.",
    );
  }

  private showAll(): void {
    if (this.status) this.cards.show(this.status);
    this.showTable();
    this.showMinimap();
    this.showHeader();
  }

  private showMeter(): void {
    const info = byId("info");
    const { total } = this.lanesMessage;
    setText(info, total > 0 ? `${format.count(total)} lanes · ${format.duration(win.width(this.window))}` : "");
    const paint = this.paintMs();
    setText(byId("meter"), this.ring === null || paint === 0 ? "" : `paint ${paint.toFixed(1)} ms · ${format.count(this.store.count)} segments`);
  }

  private tabChanged(): void {
    this.tooltip.hide();
    this.cursor = this.hover = null;
    if (this.tabs.current === "timeline") {
      this.lanes.measure();
      this.minimap.resize();
    }
    this.showTable();
    this.dirty = true;
  }

  private layoutChanged(): void {
    this.dirty = true;
    // Called from the lanes' constructor too, before there is a minimap.
    (this.minimap as Minimap | undefined)?.resize();
  }

  /** What the viewer is to send; only when that has changed, and not for a window that moves with now. */
  private sendView(): void {
    if (this.connection === null || this.lanes.width < 20) return;
    const { window, lanes } = this;
    const span = win.width(window);
    const device = Math.max(50, this.painter.canvas.width);
    // The viewer sends a quarter more on the left of a window that follows. It is drawn a moment behind the
    // newest, so a narrow one needs more than that.
    const share = window.follow && span < 4 * FOLLOW_EXTRA_NS ? span + FOLLOW_EXTRA_NS : span;
    const pixels = Math.round(Math.min(MOST_PIXELS, device * (share / span)));
    const rows = lanes.rows;
    const searching = this.locating !== null && !this.locating.found;
    const first = searching ? this.locating!.first : Math.max(0, rows.first - ROWS_AROUND);
    const count = searching ? MOST_ROWS : Math.min(MOST_ROWS, rows.first - first + rows.count + ROWS_AROUND);
    const view = {
      from: Math.floor(window.to - share),
      to: Math.ceil(window.to),
      follow: window.follow,
      pixels,
      first,
      count,
      search: this.search.trim(),
      exited: this.exited,
    };
    const key = JSON.stringify(window.follow ? { ...view, from: 0, to: Math.round(share) } : view);
    if (key === this.shownView) return;
    this.shownView = key;
    this.connection.show(view);
  }

  private tick(at: number): void {
    requestAnimationFrame((next) => this.tick(next));
    this.frames.push(at);
    if (this.frames.length > 90) this.frames.shift();
    if (this.ring === null || this.tabs.current !== "timeline") return;
    const live = this.window.follow && this.clock.live && this.reachable;
    const moves = live && (!this.calm.matches || at - this.drawnAt >= REDUCED_MOTION_MS);
    if (!this.dirty && !moves) return;
    if (this.window.follow && (moves || !live || this.drawnAt === 0)) {
      this.window = win.followed(this.window, this.now());
    }
    this.dirty = false;
    this.drawnAt = at;
    this.draw();
    this.sendView();
  }

  private draw(): void {
    const { lanes, window, status } = this;
    if (lanes.width < 20 || lanes.height < 10) return;
    const began = performance.now();
    this.painter.resize(lanes.width, lanes.height);
    const { now } = this.extent();
    const { first, count } = lanes.rows;
    const hub = this.hubId();
    const shown = [];
    for (let row = first; row < Math.min(first + count, lanes.total); row++) {
      const lane = lanes.laneAt(row);
      if (lane !== null) shown.push({ id: lane.id, row, hub: lane.id === hub });
    }
    const end = this.clock.live ? Math.max(now, window.follow ? window.to : 0) : this.clock.latest;
    this.painter.draw({
      from: window.from,
      to: window.to,
      now: this.paused ? window.to : end,
      begin: status?.begin ?? 0,
      end,
      died: status?.state === "died",
      first,
      lanes: shown,
      scroll: lanes.scroll,
      rowHeight: lanes.rowHeight,
      store: this.store,
      stalls: (status?.stalls ?? []).map((stall) => ({
        greenlet: stall.greenlet,
        start: stall.start,
        end: stall.end ?? Math.max(stall.start + stall.duration, end),
      })),
      selected: this.selected,
      hover: this.hover,
      cursor: this.cursor,
    });
    this.paints.push(performance.now() - began);
    if (this.paints.length > 60) this.paints.shift();
    this.axis?.show(window.from, window.to, lanes.width, lanes.height + AXIS_STRIP, AXIS_STRIP, this.theme.paint);
    this.minimap.showWindow(window.from, window.to);
  }

  // for tests and the curious: see main.ts

  get laneCount(): number {
    return this.lanesMessage.total;
  }

  get view(): win.TimeWindow & { lanes: readonly Lane[]; paused: boolean } {
    return { ...this.window, lanes: this.lanesMessage.lanes, paused: this.paused };
  }

  fps(): number {
    const { frames } = this;
    const spent = (frames[frames.length - 1] ?? 0) - (frames[0] ?? 0);
    return spent > 0 ? ((frames.length - 1) * 1000) / spent : 0;
  }

  paintMs(): number {
    return this.paints.length === 0 ? 0 : this.paints.reduce((sum, ms) => sum + ms, 0) / this.paints.length;
  }
}

/** A time within a segment, as near as may be to the one pointed at. */
function inside(segment: Segment, time: number): number {
  return Math.min(Math.max(time, segment.start), Math.max(segment.start, segment.end - 1));
}
