/**
 * The page: one recording, one viewport on it, and the views that show them. Views are told what to show
 * and tell what was done; they do not know each other.
 */

import { pieces, t } from "./language/language";
import { addressOf, parseAddress, type Address } from "./model/address";
import * as format from "./model/format";
import { Locator } from "./model/locator";
import { Recording } from "./model/recording";
import { requestFor, requestKey } from "./model/request";
import { nextFinding } from "./model/findings";
import { isGone } from "./model/stalls";
import { Viewport } from "./model/viewport";
import type { TimeWindow } from "./model/window";
import { LanePainter } from "./plot/painter";
import { Minimap } from "./plot/minimap";
import { plotly } from "./plot/plotly";
import { TimeAxis } from "./plot/timeaxis";
import { PointerControl } from "./pointer";
import { ProfileControl } from "./profiling";
import { fetchRings } from "./protocol/api";
import { Connection } from "./protocol/connection";
import type { Finding, Message, Ring, Stall, Status } from "./protocol/messages";
import { ViewerSource } from "./protocol/replay-source";
import type { Kind } from "./protocol/transport";
import { Replaying } from "./replaying";
import { SelectionControl } from "./selection";
import { Served } from "./served";
import { AddressBar } from "./views/address";
import { Cards } from "./views/cards";
import { announce, byId, english } from "./views/dom";
import { Empty } from "./views/empty";
import { FindingList, severityName } from "./views/findings";
import { Header } from "./views/header";
import { Help } from "./views/help";
import { listenKeys } from "./views/keys";
import { AXIS_STRIP, LanesView } from "./views/lanes";
import { Legend } from "./views/legend";
import { Meter } from "./views/meter";
import { ProfileView } from "./views/profile";
import { Side } from "./views/side";
import { GreenletTable } from "./views/table";
import { Tabs } from "./views/tabs";
import { Theme } from "./views/theme";

const RINGS_EVERY_MS = 3000;
const REDUCED_MOTION_MS = 500;
/** A stall narrower than this many pixels is fitted when it is chosen: one could not see it. */
const VISIBLE_PIXELS = 12;

export class App {
  recording: Recording | null = null;
  readonly viewport = new Viewport();
  readonly meter = new Meter();
  private rings: Ring[] = [];
  private stream: Kind = "websocket";
  /** Whether the viewer answered when it was last asked for its rings. */
  private listed = false;
  private connection: Connection | null = null;
  private reachable = true;
  private search = "";
  private exited = false;
  private readonly locator = new Locator();
  private requested = "";
  private dirty = true;
  private drawnAt = 0;

  /** What the page's address names, until it is found. */
  private wanted: Address | null = parseAddress(location.hash);

  private readonly header = new Header((id) => {
    this.wanted = null;
    this.open(this.rings.find((ring) => ring.id === id));
  });
  private readonly cards = new Cards((stall) => this.showStall(stall));
  private readonly legend = new Legend();
  private readonly empty = new Empty();
  private readonly help = new Help();
  private readonly tabs = new Tabs(() => this.tabChanged());
  private readonly table = new GreenletTable(
    (id, name) => this.showGreenlet(id, name),
    () => this.sendView(),
  );
  private readonly findingList = new FindingList((finding) => this.showFinding(finding));
  private readonly profiling = new ProfileControl({
    ring: () => this.recording?.ring.id ?? null,
    shown: () => this.tabs.current === "profile" && !document.hidden,
    live: () => this.recording?.live ?? false,
    paused: () => this.viewport.paused,
    changed: () => this.showProfile(),
  });
  private readonly profile = new ProfileView(this.profiling.by, {
    by: (by) => this.profiling.choose(by),
    look: (greenlet, name, start, length) => this.showWait(greenlet ?? this.recording?.hub ?? null, name, start, length),
  });
  private readonly side = new Side({
    showFinding: (finding) => this.showFinding(finding),
    fit: () => this.fit(),
    close: () => this.selection.clear(),
  });
  private readonly selection = new SelectionControl({
    recording: () => this.recording,
    pixel: () => this.pixel(),
    changed: () => this.selectionChanged(),
  });
  private readonly pointer = new PointerControl({
    recording: () => this.recording,
    viewport: this.viewport,
    lanes: () => this.lanes,
    pixel: () => this.pixel(),
    changed: () => this.touch(),
  });
  private readonly theme = new Theme();
  private readonly served = new Served(
    {
      recording: () => this.recording,
      shown: () => this.tabs.current === "requests",
      paused: () => this.viewport.paused,
      started: () => this.started,
      opened: () => this.address.write(true),
      timeline: (request, greenlet, name) => this.showWait(greenlet, name, request.start, request.wall),
    },
    this.theme.paint,
  );
  private readonly replaying = new Replaying(
    byId("panel-replay"),
    {
      shown: () => this.tabs.current === "replay",
      moved: (jump) => (jump ? this.address.write(true) : this.address.follow()),
    },
    this.theme.paint,
  );
  private readonly address = new AddressBar((entry) => this.addressNow(entry));
  private readonly painter = new LanePainter(byId<HTMLCanvasElement>("lanes-canvas"), this.theme.paint);
  private readonly minimap = new Minimap(
    byId("minimap"),
    byId("minimap-overlay"),
    byId("minimap-band"),
    { choose: (from, to) => this.look((view, extent) => view.choose(from, to, extent)) },
    this.theme.paint,
  );
  private readonly lanes = new LanesView({
    zoom: (factor, share) => this.look((view, extent) => view.zoom(factor, share, extent)),
    pan: (share) => this.pan(share),
    choose: (a, b) => this.look((view, extent) => view.choose(view.timeAt(a), view.timeAt(b), extent)),
    hover: (row, share, x, y) => this.pointer.hovered(row, share, x, y),
    click: (row, share) => this.selectRow(row, this.viewport.timeAt(share)),
    name: (lane) => this.selection.selectAt(lane.id, lane.name, this.middle()),
    layout: () => {
      this.minimap.resize();
      this.touch();
    },
  });
  private axis: TimeAxis | null = null;
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");

  start(): void {
    this.theme.changed = (paint) => {
      this.painter.setPaint(paint);
      this.minimap.setPaint(paint);
      this.served.setPaint(paint);
      this.replaying.setPaint(paint);
      this.touch();
    };
    plotly.then(
      (api) => {
        this.axis = new TimeAxis(api, byId("axis"), byId("axis-base"));
        this.minimap.attach(api);
        this.touch();
      },
      (error: unknown) => console.warn(`greenscope: no axes: ${String(error)}`),
    );
    this.lanes.start();
    this.listen();
    void this.refreshRings();
    window.setInterval(() => void this.refreshRings(), RINGS_EVERY_MS);
    window.setInterval(() => this.twiceASecond(), 500);
    requestAnimationFrame((at) => this.tick(at));
  }

  // recordings

  private async refreshRings(): Promise<void> {
    if (document.hidden && this.recording !== null) return;
    try {
      ({ rings: this.rings, stream: this.stream } = await fetchRings());
      this.listed = true;
      if (this.recording === null) this.reachable = true;
    } catch {
      this.listed = false;
      if (this.recording === null) this.reachable = false;
      this.showEmpty();
      return;
    }
    this.followAddress();
    if (this.recording === null) this.open(this.rings.find((ring) => ring.state === "live") ?? this.rings[0]);
    this.showEmpty();
    this.showHeader();
    this.header.showRings(this.rings, this.recording?.ring ?? null);
  }

  /** Opens what the page's address names, as soon as it is there. */
  private followAddress(): void {
    const { wanted } = this;
    const ring = this.rings.find((each) => each.id === wanted?.ring);
    if (wanted === null || ring === undefined) return;
    this.open(ring);
    if (wanted.request !== null) this.tabs.choose("requests");
    this.served.open(wanted.request);
    if (wanted.step !== null) this.tabs.choose("replay");
    this.wanted = null; // until here the address stays as it is: loaded again, it leads to the same place
    if (wanted.step !== null) this.replaying.openAt(wanted.step);
    else this.address.write(false);
  }

  /** What is looked at, as the page's address has it; null while that names something that is not there yet. */
  private addressNow(entry: boolean): string | null {
    if (this.recording === null || (this.wanted !== null && this.wanted.ring !== "" && !entry)) return null;
    const step = this.tabs.current === "replay" ? this.replaying.step : null;
    return addressOf({ ring: this.recording.ring.id, request: this.served.number, step: step === null ? null : String(step) });
  }

  private open(ring: Ring | undefined): void {
    if (ring === undefined || ring.id === this.recording?.ring.id) return;
    this.connection?.close();
    this.recording = new Recording(ring);
    this.viewport.paused = false;
    this.viewport.follow({ begin: 0, now: 0 });
    this.requested = "";
    this.pointer.clear();
    this.selection.clear();
    this.lanes.showLanes(this.recording.lanes);
    this.served.clear();
    this.replaying.open(new ViewerSource(ring.id));
    this.address.write(false);
    const { recording } = this;
    this.connection = new Connection(ring.id, this.stream, {
      message: (message) => this.message(message),
      frame: (frame) => {
        recording.takeFrame(frame, performance.now());
        this.touch();
      },
      reachable: (yes) => {
        this.reachable = yes;
        this.showHeader();
        this.touch();
      },
    });
    this.header.showRings(this.rings, ring);
    this.showEmpty();
    this.profiling.refresh();
    this.served.refresh();
    this.replaying.refresh();
    this.touch();
  }

  private message(message: Message): void {
    const recording = this.recording!;
    const before = recording.status;
    recording.take(message, performance.now());
    const held = this.viewport.paused;
    if (message.type === "status") this.statusCame(message, before);
    else if (message.type === "lanes") this.lanesCame();
    else if (message.type === "greenlets" && !held) this.showTable();
    else if (message.type === "latency" && !held) this.showMinimap();
    else if (message.type === "findings") this.findingsCame();
    else if (message.type === "error") {
      announce(english(message.message));
      console.warn(`greenscope: ${message.message}`);
    }
    this.touch();
  }

  private statusCame(status: Status, before: Status | null): void {
    const { viewport } = this;
    // A recording that is over is looked at as a whole; there is no live edge to be at.
    if (before === null && status.state !== "live") viewport.whole(this.extent());
    if (before?.state === "live" && status.state !== "live") {
      viewport.paused = false;
      viewport.advance(status.now);
      viewport.stop();
      this.showTable();
    }
    this.selection.stallsCame(status.stalls);
    if (!viewport.paused) this.cards.show(status, this.started);
    this.showFindings();
    this.showSide();
    this.showHeader();
    this.showNoLanes();
    if (this.recording!.latency === null) this.showMinimap();
  }

  private findingsCame(): void {
    this.selection.findingsCame(this.recording!.findings);
    this.showFindings();
    this.showSide();
  }

  private lanesCame(): void {
    const { lanes } = this.recording!;
    this.lanes.showLanes(lanes);
    const row = this.locator.came(lanes, performance.now());
    if (row !== null) this.lanes.scrollToRow(row);
    this.showNoLanes();
  }

  private twiceASecond(): void {
    const { recording, viewport } = this;
    if (recording === null) return;
    if (viewport.window.follow) recording.store.trim(viewport.window.from - viewport.width);
    if (this.locator.expire(performance.now())) this.touch();
    if (this.tabs.current === "timeline") this.pointer.stirred(performance.now());
    this.legend.show(recording.store.waits);
    this.profiling.refresh();
    this.served.refresh();
    this.replaying.refresh();
    if (recording.live && !viewport.paused) this.selection.refresh();
    this.meter.show(recording.lanes.total, viewport.width, recording.store.count);
  }

  // the window

  private extent(): { begin: number; now: number } {
    return this.recording?.extent(performance.now()) ?? { begin: 0, now: 0 };
  }

  /** Seconds since the epoch at time 0. */
  private get started(): number {
    return this.recording?.ring.started ?? 0;
  }

  private pixel(): number {
    return this.viewport.width / Math.max(1, this.lanes.width);
  }

  private middle(): number {
    const { from, to } = this.viewport.window;
    return Math.min((from + to) / 2, this.extent().now);
  }

  /** Changes the window, and tells who shows whether it follows. */
  private look(change: (view: Viewport, extent: { begin: number; now: number }) => void): void {
    if (this.recording === null) return;
    const { follow } = this.viewport.window;
    const { paused } = this.viewport;
    change(this.viewport, this.extent());
    if (follow !== this.viewport.window.follow || paused !== this.viewport.paused) this.showHeader();
    this.touch();
  }

  private pan(share: number): void {
    this.look((view, extent) => view.pan(share, extent, this.recording!.live));
  }

  private backToLive(): void {
    if (this.recording?.live !== true) return;
    this.look((view, extent) => view.follow(extent));
    this.cards.show(this.recording.status!, this.started);
    this.showTable();
    this.showMinimap();
  }

  private togglePause(): void {
    if (this.viewport.paused) this.backToLive();
    else if (this.recording?.live === true) this.look((view) => view.pause());
  }

  private fit(): void {
    if (this.tabs.current === "requests" && this.served.fit()) return;
    const selected = this.selection.current;
    if (selected === null) return;
    this.look((view, extent) => view.fit(selected.start, selected.end, extent));
    this.reveal(selected.greenlet);
  }

  // selection

  private selectRow(row: number, time: number): void {
    const lane = this.lanes.laneAt(row);
    if (lane !== null) this.selection.selectAt(lane.id, lane.name, time);
  }

  private showStall(stall: Stall): void {
    if (isGone(stall, this.recording?.status?.begin ?? 0)) {
      announce(t("stall.gone", { name: stall.name }));
      return;
    }
    const end = stall.start + stall.duration;
    this.tabs.choose("timeline");
    this.look((view, extent) => view.show(stall.start, end, extent));
    if (stall.duration < VISIBLE_PIXELS * this.pixel()) {
      this.look((view, extent) => view.fit(stall.start, end, extent, 4));
    }
    this.selection.selectStall(stall);
    this.reveal(stall.greenlet);
    announce(t("stall.said", { name: stall.name, duration: format.duration(stall.duration) }));
  }

  private showFinding(finding: Finding): void {
    const greenlet = finding.greenlet?.id ?? this.recording?.hub ?? null;
    this.tabs.choose("timeline");
    this.look((view, extent) => view.fit(finding.start, finding.start + finding.duration, extent));
    if (greenlet !== null) {
      this.selection.selectFinding(finding, greenlet);
      this.reveal(greenlet);
    }
    announce(...pieces("finding.said", { severity: severityName(finding), sentence: english(finding.sentence) }));
  }

  private showWait(greenlet: number | null, name: string, start: number, length: number): void {
    this.tabs.choose("timeline");
    this.look((view, extent) => view.fit(start, start + length, extent));
    if (greenlet === null) return;
    this.selection.selectSpan(greenlet, name, start, length);
    this.reveal(greenlet);
    announce(`${name}, ${format.duration(length)}`);
  }

  private stepFinding(direction: -1 | 1): void {
    const finding = nextFinding(this.recording?.findings ?? [], this.selection.current?.finding ?? null, direction);
    if (finding !== null) this.showFinding(finding);
    else if (this.recording?.findings.length) announce(t(direction < 0 ? "finding.worst" : "finding.last"));
    else announce(t("finding.none"));
  }

  private showGreenlet(greenlet: number, name: string): void {
    this.tabs.choose("timeline");
    this.selection.selectAt(greenlet, name, this.middle());
    this.reveal(greenlet);
  }

  private reveal(greenlet: number): void {
    const row = this.lanes.rowOf(greenlet);
    if (row !== null) this.lanes.scrollToRow(row);
    this.locator.look(greenlet, row !== null, performance.now());
    this.touch();
  }

  // input

  private listen(): void {
    byId("pause").addEventListener("click", () => this.togglePause());
    // With the pointer one goes to what is in the tab; the arrows that would lead to other tabs are its own there.
    byId("tab-replay").addEventListener("click", (event) => event.detail > 0 && this.replaying.focus());
    byId("back-to-live").addEventListener("click", () => this.backToLive());
    const search = byId<HTMLInputElement>("search");
    search.addEventListener("input", () => {
      this.search = search.value;
      this.sendView();
      this.showTable();
      this.showProfile();
      this.served.search(this.search);
      this.showFindings();
      this.showNoLanes();
      this.touch();
    });
    search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      search.value = "";
      search.dispatchEvent(new Event("input"));
      search.blur();
    });
    const exited = byId<HTMLInputElement>("exited");
    exited.addEventListener("change", () => {
      this.exited = exited.checked;
      this.sendView();
    });
    this.lanes.canvas.addEventListener("blur", () => {
      if (this.pointer.cursor !== null) this.pointer.clear();
    });
    window.addEventListener("hashchange", () => {
      const address = parseAddress(location.hash);
      if (!this.rings.some((ring) => ring.id === address.ring) && !location.hash.includes("=")) return;
      this.wanted = address;
      this.followAddress();
    });
    document.addEventListener("visibilitychange", () => {
      this.profiling.refresh();
      this.served.refresh();
      this.touch();
    });
    listenKeys({
      busy: () => this.help.open,
      first: (event) => this.tabs.current === "replay" && this.replaying.key(event),
      help: () => this.help.toggle(),
      tab: (name) => this.tabs.choose(name),
      pause: () => this.togglePause(),
      live: () => this.backToLive(),
      zoom: (factor) => this.look((view, extent) => view.zoom(factor, view.anchor(this.pointer.share, extent), extent)),
      pan: (share) => this.pan(share),
      fit: () => this.fit(),
      whole: () => this.look((view, extent) => view.whole(extent)),
      finding: (direction) => this.stepFinding(direction),
      clear: () => {
        if (this.tabs.current === "requests" && this.served.close()) return;
        if (this.tabs.current === "replay" && this.replaying.close()) return;
        this.pointer.clear();
        this.selection.clear();
      },
      cursor: (rows, direction) => this.look(() => this.pointer.move(rows, direction)),
      page: (direction) => this.lanes.scrollPage(direction),
      pin: () => {
        const { cursor } = this.pointer;
        if (cursor !== null) this.selectRow(cursor.row, cursor.time);
      },
    });
  }

  // showing

  private touch(): void {
    this.dirty = true;
  }

  private showEmpty(): void {
    const shown = this.empty.show(this.recording === null, this.reachable);
    if (shown) this.lanes.measure();
    if (this.recording === null) this.showHeader();
  }

  private showHeader(): void {
    this.header.show({
      status: this.recording?.status ?? null,
      reachable: this.reachable,
      paused: this.viewport.paused,
      following: this.viewport.window.follow,
      ring: this.recording?.ring ?? null,
      gone: this.listed && !this.rings.some((ring) => ring.id === this.recording?.ring.id),
    });
  }

  private showTable(): void {
    const { recording } = this;
    if (recording === null || this.tabs.current !== "greenlets") return;
    this.table.show(recording.greenlets, this.search, recording.hub);
  }

  private showProfile(): void {
    if (this.tabs.current !== "profile") return;
    const { current, failed } = this.profiling;
    this.profile.show(current, this.search, this.recording?.hub ?? null, failed);
  }

  private showFindings(): void {
    const { recording } = this;
    if (recording === null) return;
    this.findingList.show(recording.diagnosis, this.selection.current?.finding ?? null, this.search, recording.live, this.started);
  }

  private showMinimap(): void {
    const { status, latency } = this.recording ?? {};
    if (status) this.minimap.show(latency ?? null, status.begin, status.now, status.stall_threshold);
  }

  private showSide(): void {
    const { recording } = this;
    const selected = this.selection.current;
    const shown =
      selected === null
        ? null
        : { ...selected, hub: selected.greenlet === recording?.hub, row: recording?.row(selected.greenlet) ?? null };
    this.side.show(shown, recording, this.extent().now, this.started);
  }

  private showNoLanes(): void {
    if (this.recording?.status) this.empty.showNoLanes(this.recording.lanes.total === 0, this.search);
  }

  private selectionChanged(): void {
    this.lanes.showSelected(this.selection.current?.greenlet ?? null);
    this.showFindings();
    this.showSide();
    this.touch();
  }

  private tabChanged(): void {
    this.pointer.clear();
    if (this.tabs.current === "timeline") this.lanes.measure();
    this.showTable();
    this.showProfile();
    this.profiling.refresh();
    this.served.show();
    this.served.refresh();
    this.replaying.show();
    this.replaying.refresh();
    document.body.dataset["tab"] = this.tabs.current;
    this.address.write(false);
  }

  private sendView(): void {
    if (this.connection === null || this.lanes.width < 20) return;
    const request = requestFor({
      window: this.viewport.window,
      pixels: this.painter.canvas.width,
      rows: this.lanes.rows,
      lookFrom: this.locator.lookFrom,
      search: this.search,
      exited: this.exited,
      order: this.table.order,
    });
    const key = requestKey(request);
    if (key === this.requested) return;
    this.requested = key;
    this.connection.show(request);
  }

  // the frame

  private tick(at: number): void {
    requestAnimationFrame((next) => this.tick(next));
    this.meter.frame(at);
    const { recording, viewport } = this;
    if (recording === null || this.tabs.current !== "timeline") return;
    const moves = viewport.window.follow && recording.live && this.reachable;
    const due = !this.calm.matches || at - this.drawnAt >= REDUCED_MOTION_MS;
    if (!this.dirty && !(moves && due)) return;
    if (moves && due) viewport.advance(this.extent().now);
    this.dirty = false;
    this.drawnAt = at;
    this.pointer.stirred(performance.now());
    this.draw(recording, viewport.window);
    this.sendView();
  }

  private draw(recording: Recording, window: TimeWindow): void {
    const { lanes, viewport } = this;
    if (lanes.width < 20 || lanes.height < 10) return;
    const began = performance.now();
    this.painter.resize(lanes.width, lanes.height);
    const { begin, now } = this.extent();
    const end = recording.live ? Math.max(now, window.follow ? window.to : 0) : recording.clock.latest;
    const { hub } = recording;
    this.painter.draw({
      from: window.from,
      to: window.to,
      now: viewport.paused ? Math.min(window.to, end) : end,
      begin,
      end,
      died: recording.status?.state === "died",
      lanes: lanes.shown.map(({ lane, row }) => ({ id: lane.id, row, hub: lane.id === hub })),
      scroll: lanes.scroll,
      rowHeight: lanes.rowHeight,
      store: recording.store,
      stalls: recording.stalls.map((stall) => ({
        greenlet: stall.greenlet,
        start: stall.start,
        end: stall.end ?? Math.max(stall.start + stall.duration, recording.live ? end : 0),
      })),
      selected: this.selection.current,
      hover: this.pointer.hover,
      cursor: this.pointer.cursor,
    });
    this.meter.painted(performance.now() - began);
    this.axis?.show(window.from, window.to, lanes.width, lanes.height + AXIS_STRIP, AXIS_STRIP, this.theme.paint);
    this.minimap.showWindow(window.from, window.to);
  }
}
