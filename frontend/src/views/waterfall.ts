/** One request whole: its figures, the waterfall of its greenlets, and its critical path. */

import { counted, t } from "../language/language";
import * as format from "../model/format";
import { peerName, pieceLabel } from "../model/labels";
import { lookOf } from "../model/looks";
import { shareText, siteWords } from "../model/profile";
import { handOvers, partsText, statusClass, statusOf, waterfallTicks, wallText, whatOf } from "../model/requests";
import { contextOf, drawStretches } from "../plot/strip";
import { FONT, type Paint } from "../plot/theme";
import { Wait } from "../protocol/events";
import { PathState, State, type Member, type PathTotal, type Piece, type ServedRequest, type Waterfall } from "../protocol/messages";
import { byId, el } from "./dom";
import { numeric } from "./requests";
import { swatch } from "./swatch";

const ROW = 26;
const AXIS = 22;
const LANE = 14;
const MARK = 3;
const PIXELS_A_TICK = 90;
const TOTALS = 5;

export interface WaterfallEvents {
  back(): void;
  /** Look at the request on the timeline, at a greenlet of it. */
  timeline(request: ServedRequest, greenlet: number, name: string): void;
}

export class WaterfallView {
  private readonly root = byId("requests-one");
  private shown = "";
  private draw: () => void = () => undefined;
  private readonly resized = new ResizeObserver(() => this.draw());

  constructor(
    private readonly events: WaterfallEvents,
    private paint: Paint,
  ) {}

  setPaint(paint: Paint): void {
    this.paint = paint;
    this.draw();
  }

  /** Shows a request by its number; `whole` is null if it has not come yet, or is not known. */
  show(number: number, whole: Waterfall | null, unknown: boolean, failed: boolean, live: boolean, started: number): void {
    const key = JSON.stringify([number, whole, unknown, failed, live, started]);
    if (key === this.shown) return;
    const same = this.root.dataset["of"] === String(number);
    const focused = this.root.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset["of"] : undefined;
    const scrolled = this.root.querySelector(".table-scroll")?.scrollTop ?? 0;
    this.shown = key;
    this.root.dataset["of"] = String(number);
    const back = el("button", { class: "button small", "data-of": "back" }, t("request.back"), el("kbd", { "aria-hidden": "true" }, "Esc"));
    back.addEventListener("click", () => this.events.back());
    this.resized.disconnect();
    this.draw = () => undefined;
    if (whole === null) {
      const text = failed ? t("request.unanswered") : unknown ? t("request.unknown.long", { number }) : t("requests.reading");
      this.root.replaceChildren(el("div", { class: "section-head" }, back), el("p", { class: "no-requests" }, text));
    } else {
      this.showWhole(whole, back, live, started);
    }
    const scroller = this.root.querySelector(".table-scroll");
    if (same && scroller) scroller.scrollTop = scrolled;
    const again = [...this.root.querySelectorAll("button")].find((button) => button.dataset["of"] === focused);
    if (same && focused !== undefined) again?.focus({ preventScroll: true });
  }

  focus(): void {
    this.root.querySelector("button")?.focus();
  }

  private showWhole(whole: Waterfall, back: HTMLElement, live: boolean, started: number): void {
    const { request } = whole;
    const look = el("button", { class: "button small", "data-of": "timeline" }, t("request.timeline"), el("kbd", { "aria-hidden": "true" }, "F"));
    look.addEventListener("click", () => this.events.timeline(request, request.greenlet, whatOf(request)));
    const facts = [
      request.id && t("request.fact.id", { id: request.id }),
      t("request.fact.number", { number: request.number }),
      t("request.fact.began", { moment: format.moment(request.start, 3, started) }),
      request.site && siteWords(request.site),
      request.trace && t("request.fact.trace", { trace: request.trace.split("-")[1] ?? "" }),
    ];
    const content: HTMLElement[] = [];
    if (!whole.complete) content.push(el("p", { class: "hint missing" }, t("request.incomplete")));
    content.push(
      el("h3", {}, t(request.outcome === "done" ? "request.end_waited" : "request.waited")),
      totals(whole.path_sums, request.wall),
      el("h3", {}, t("request.greenlets"), el("span", { class: "hint" }, lanesText(whole))),
      this.waterfall(whole),
      el("h3", {}, t("request.path"), el("span", { class: "hint" }, pathText(whole))),
      this.path(whole),
    );
    this.root.replaceChildren(
      el("div", { class: "section-head" }, back, look),
      el(
        "div",
        { class: "request-title" },
        el("h2", { class: "path" }, whatOf(request)),
        el("span", { class: `status ${statusClass(request, live)}` }, statusOf(request, live)),
        el("strong", {}, wallText(request, live)),
        el("span", { class: "hint" }, partsText(request)),
      ),
      el("p", { class: "hint request-facts" }, facts.filter(Boolean).join(" · ")),
      el("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": t("request.label") }, ...content),
    );
    this.draw();
  }

  private waterfall(whole: Waterfall): HTMLElement {
    const { request, greenlets } = whole;
    const canvas = el("canvas", { "aria-hidden": "true" });
    const names = el("ol", { class: "waterfall-names", role: "list" }, ...greenlets.map((member) => this.name(member, request)));
    const plot = el("div", { class: "waterfall-plot" }, canvas);
    const end = request.start + request.wall;
    const timeAt = (event: MouseEvent): number => request.start + (event.offsetX / Math.max(1, plot.clientWidth)) * request.wall;
    const memberAt = (event: MouseEvent): Member | undefined => greenlets[Math.floor((event.offsetY - AXIS) / ROW)];
    canvas.addEventListener("mousemove", (event) => {
      const member = memberAt(event);
      canvas.title = member === undefined ? "" : tip(member, timeAt(event), whole);
    });
    canvas.addEventListener("click", (event) => {
      const member = memberAt(event) ?? greenlets[0];
      if (member) this.events.timeline(request, member.id, member.name);
    });
    this.draw = () => {
      const width = plot.clientWidth;
      if (width < 20) return;
      const height = AXIS + greenlets.length * ROW;
      const context = contextOf(canvas, width, height);
      if (context === null) return;
      const x = (time: number): number => ((time - request.start) / Math.max(1, end - request.start)) * width;
      this.axis(context, request.wall, width, height);
      greenlets.forEach((member, row) => {
        const top = AXIS + row * ROW;
        context.fillStyle = this.paint.selectedRow;
        for (const [from, to] of member.on_path) context.fillRect(x(from), top, Math.max(1, x(to) - x(from)), ROW);
        const stretches = member.segments.map(([start, stop, state, reason]) => ({ start, end: stop, state, reason }));
        drawStretches(context, stretches, x, top + 4, LANE, this.paint);
        context.fillStyle = this.paint.line;
        for (const [from, to] of member.on_path) context.fillRect(x(from), top + ROW - MARK - 1, Math.max(1.5, x(to) - x(from)), MARK);
      });
      context.fillStyle = this.paint.line;
      for (const { at, from, to } of handOvers(greenlets)) {
        const [upper, lower] = [Math.min(from, to), Math.max(from, to)].map((row) => AXIS + (row + 1) * ROW - MARK / 2 - 1) as [number, number];
        context.fillRect(Math.min(x(at), width - 1) - 0.5, upper, 1.5, lower - upper);
      }
    };
    this.resized.observe(plot);
    return el("div", { class: "waterfall" }, names, plot);
  }

  private axis(context: CanvasRenderingContext2D, wall: number, width: number, height: number): void {
    context.font = `11px ${FONT}`;
    context.textBaseline = "middle";
    for (const { at, text } of waterfallTicks(wall, width / PIXELS_A_TICK)) {
      const left = Math.min((at / Math.max(1, wall)) * width, width - 1);
      context.fillStyle = this.paint.grid;
      context.fillRect(left, AXIS - 4, 1, height - AXIS + 4);
      context.fillStyle = this.paint.text;
      const wide = context.measureText(text).width;
      context.fillText(text, Math.max(0, Math.min(left - (at === 0 ? 0 : wide / 2), width - wide)), AXIS / 2 - 2);
    }
  }

  private name(member: Member, request: ServedRequest): HTMLLIElement {
    const onPath = member.on_path.reduce((sum, [from, to]) => sum + to - from, 0);
    const said = [
      member.depth > 0 ? t("request.spawned", { duration: format.duration(Math.max(0, member.spawned - request.start)) }) : "",
      member.site && member.depth > 0 ? t("request.at", { site: siteWords(member.site) }) : "",
      livesOn(member, request) ? t("request.lives_on") : "",
      onPath > 0 ? t("request.on_path", { duration: format.duration(onPath) }) : t("request.off_path"),
    ]
      .filter(Boolean)
      .join(t("list.comma"));
    const button = el(
      "button",
      { class: onPath > 0 ? "link on-path" : "link", title: t("request.lane", { name: member.name, facts: said }), "data-of": `lane ${member.id}` },
      member.name,
      el("span", { class: "sr-only" }, t("request.lane.said", { facts: said })),
    );
    button.style.setProperty("--depth", String(Math.min(member.depth, 6)));
    button.addEventListener("click", () => this.events.timeline(request, member.id, member.name));
    return el("li", {}, button, livesOn(member, request) ? el("span", { class: "lives-on", "aria-hidden": "true", title: t("request.lives_on.about") }, "→") : null);
  }

  private path(whole: Waterfall): HTMLTableElement {
    const { request } = whole;
    const titles: [string, string][] = [
      [t("path.at"), "numeric"],
      [t("path.took"), "numeric"],
      [t("path.share"), ""],
      [t("path.greenlet"), ""],
      [t("path.what"), ""],
      [t("path.line"), ""],
    ];
    return el(
      "table",
      { class: "path-table" },
      el("thead", {}, el("tr", {}, ...titles.map(([title, kind]) => el("th", { scope: "col", class: kind }, title)))),
      el("tbody", {}, ...whole.path.map((piece) => pieceRow(piece, request))),
    );
  }
}

function livesOn(member: Member, request: ServedRequest): boolean {
  return member.depth > 0 && request.outcome === "done" && (member.ended === null || member.ended > request.start + request.wall);
}

function lanesText({ greenlets, greenlets_total }: Waterfall): string {
  const some = greenlets.length < greenlets_total ? `${t("requests.showing", { count: greenlets.length, total: format.count(greenlets_total) })} · ` : "";
  return some + t("request.underlined");
}

function pathText({ path, path_total }: Waterfall): string {
  return path.length < path_total ? t("request.longest", { count: path.length, total: format.count(path_total) }) : "";
}

/** What there is at a place of the waterfall, in a line. */
function tip(member: Member, time: number, { path }: Waterfall): string {
  const piece = path.find(({ start, end, greenlet }) => greenlet.id === member.id && start <= time && time < end);
  if (piece === undefined) return member.name;
  return t("request.piece", { name: member.name, what: pieceWords(piece), duration: format.duration(piece.end - piece.start) });
}

/** What several may wait for: which one it is tells something. */
const SHARED: readonly number[] = [Wait.LOCK, Wait.QUEUE, Wait.EVENT];

function pieceWords({ state, reason, peer, fd, resource }: Piece): string {
  const label = pieceLabel(state, reason);
  if (peer) return `${label} ${peerName(peer)}`;
  if (fd !== null) return `${label} fd ${fd}`;
  return resource !== null && state === State.WAITING && SHARED.includes(reason) ? `${label} #${resource}` : label;
}

function look(state: number, reason: number): SVGSVGElement | null {
  return state < PathState.UNKNOWN ? swatch(lookOf(state, reason)) : null;
}

function totals(sums: readonly PathTotal[], wall: number): HTMLElement {
  const rest = sums.slice(TOTALS);
  const items = sums.slice(0, TOTALS).map((each) =>
    el(
      "li",
      {},
      el("span", { class: "swatch-box" }, look(each.state, each.reason)),
      el("strong", {}, format.duration(each.total)),
      el("span", { class: "hint" }, shareText(each.total / Math.max(1, wall))),
      el("span", {}, pieceLabel(each.state, each.reason)),
      el("span", { class: "path" }, each.greenlet.name),
    ),
  );
  const others = rest.reduce((sum, { total }) => sum + total, 0);
  if (others > 0) items.push(el("li", { class: "hint" }, counted("request.others", rest.length, { duration: format.duration(others) })));
  return el("ul", { class: "path-totals", role: "list" }, ...items);
}

function pieceRow(piece: Piece, request: ServedRequest): HTMLTableRowElement {
  const took = piece.end - piece.start;
  const share = took / Math.max(1, request.wall);
  const bar = el("span", { class: "share-bar", "aria-hidden": "true" }, el("span", { class: "share-fill" }));
  (bar.firstElementChild as HTMLElement).style.setProperty("--share", String(share));
  (bar.firstElementChild as HTMLElement).style.setProperty("--fill", "var(--accent)");
  return el(
    "tr",
    { class: share < 0.01 ? "small-piece" : undefined },
    numeric(format.duration(piece.start - request.start)),
    numeric(format.duration(took)),
    el("td", { class: "share" }, bar, el("span", { class: "share-text" }, shareText(share))),
    el("td", { class: "what" }, piece.greenlet.name),
    el("td", {}, el("span", { class: "state" }, el("span", { class: "swatch-box" }, look(piece.state, piece.reason)), pieceWords(piece))),
    el("td", { class: "at", title: piece.site === null ? "" : `${piece.site.file}:${piece.site.line}` }, siteWords(piece.site)),
  );
}
