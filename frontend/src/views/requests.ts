/** The tab of requests: the routes, and the requests with a bar each. */

import { t } from "../language/language";
import * as format from "../model/format";
import { shareText } from "../model/profile";
import {
  ONLY_NAMES,
  countText,
  goingOnText,
  missingText,
  orderName,
  partsText,
  statusClass,
  statusOf,
  stretchesOf,
  wallText,
  whatOf,
} from "../model/requests";
import { contextOf, drawStretches } from "../plot/strip";
import type { Paint } from "../plot/theme";
import type { Asked } from "../protocol/api";
import { ORDERS, type Only, type Order, type Requests, type Route, type ServedRequest } from "../protocol/messages";
import { byId, el, setText } from "./dom";

const BAR_WIDTH = 220;
const BAR_HEIGHT = 16;
const ROUTES = 6;

export interface RequestEvents {
  choose(change: Partial<Asked>): void;
  open(number: number): void;
}

export class RequestList {
  private readonly table = byId<HTMLTableElement>("requests-table");
  private readonly routes = byId<HTMLTableElement>("routes-table");
  private readonly more = byId<HTMLButtonElement>("routes-more");
  private readonly empty = byId("requests-empty");
  private readonly chosen = byId<HTMLButtonElement>("requests-route");
  private shown = "";
  private everyRoute = false;
  private again: () => void = () => undefined;
  private drawing: (() => void)[] = [];

  constructor(
    private readonly events: RequestEvents,
    private paint: Paint,
  ) {
    const order = (value: string): void => this.events.choose({ order: value as Order });
    choices("requests-order", ORDERS.map((each) => [each, orderName(each)]), "slowest", order);
    choices("requests-only", ONLY_NAMES, "all", (value) => this.events.choose({ only: value as Only }));
    this.chosen.addEventListener("click", () => this.events.choose({ route: "" }));
    this.more.addEventListener("click", () => {
      this.everyRoute = !this.everyRoute;
      this.shown = "";
      this.again();
    });
    columns(this.routes, [
      [t("route"), ""],
      [t("route.total"), "n"],
      [t("route.count"), "n"],
      [t("route.errors"), "n"],
      ["p50", "n"],
      ["p90", "n"],
      ["p99", "n"],
      [t("route.longest"), "n"],
      [t("route.starved"), "n"],
    ]);
    columns(this.table, [
      [t("request"), ""],
      [t("request.status"), ""],
      [t("request.wall"), "n"],
      [t("request.where"), ""],
      [t("request.running"), "n"],
      [t("request.starved"), "n"],
      [t("request.waiting"), "n"],
      [t("request.began"), "n"],
      [t("request.id"), ""],
    ]);
    this.table.addEventListener("keydown", (event) => this.move(event));
  }

  setPaint(paint: Paint): void {
    this.paint = paint;
    for (const draw of this.drawing) draw();
  }

  /** Shows a list; null: none has come yet. */
  show(list: Requests | null, asked: Asked, live: boolean, failed: boolean): void {
    const key = JSON.stringify([list, asked, live, failed]);
    if (key === this.shown) return;
    this.shown = key;
    this.again = () => this.show(list, asked, live, failed);
    setText(byId("requests-count"), list === null || list.total === 0 ? "" : countText(list, live));
    const missing = byId("requests-missing");
    setText(missing, list === null ? "" : missingText(list));
    missing.hidden = missing.textContent === "";
    this.chosen.hidden = asked.route === "";
    setText(this.chosen, `${asked.route} ×`);
    this.chosen.setAttribute("aria-label", t("route.all", { route: asked.route }));
    this.showRoutes(list, asked.route, live);
    this.showRequests(list, live);
    this.showEmpty(list, asked, failed);
  }

  /** Puts the focus on a request that was open; on the first if it is not listed any more. */
  focus(number: number): void {
    const buttons = this.buttons();
    (buttons.find((button) => button.dataset["of"] === String(number)) ?? buttons[0])?.focus();
  }

  private buttons(): HTMLButtonElement[] {
    return [...this.table.querySelectorAll("button")];
  }

  private move(event: KeyboardEvent): void {
    const buttons = this.buttons();
    const at = buttons.indexOf(event.target as HTMLButtonElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || next === undefined || buttons[next] === undefined) return;
    event.preventDefault();
    buttons[next].focus();
  }

  private showRoutes(list: Requests | null, chosen: string, live: boolean): void {
    const routes = list?.routes ?? [];
    this.routes.hidden = routes.length === 0;
    const some = this.everyRoute ? routes : routes.slice(0, ROUTES);
    this.more.hidden = routes.length <= ROUTES;
    setText(this.more, this.everyRoute ? t("routes.fewer") : t("routes.all", { count: format.count(list?.routes_total ?? 0) }));
    replaceRows(this.routes, some.map((route) => this.route(route, chosen, live)));
  }

  private route(route: Route, chosen: string, live: boolean): HTMLTableRowElement {
    const name = route.route || t("route.unsaid");
    const button = el("button", { class: "link path", "aria-pressed": String(route.route === chosen), title: t("route.only", { route: name }) }, name);
    button.dataset["of"] = route.route;
    button.addEventListener("click", () => this.events.choose({ route: route.route === chosen ? "" : route.route }));
    const goes = route.going_on > 0 ? el("span", { class: "hint" }, ` ${goingOnText(route.going_on, live)}`) : null;
    const times = [route.p50, route.p90, route.p99, route.longest].map((ns) => (route.count > 0 ? format.duration(ns) : ""));
    return el(
      "tr",
      { class: route.route === chosen ? "chosen" : undefined },
      el("td", { class: "what" }, button, goes),
      numeric(format.duration(route.total)),
      numeric(format.count(route.count)),
      numeric(route.errors > 0 ? format.count(route.errors) : "", route.errors > 0 ? "failed" : ""),
      ...times.map((text) => numeric(text)),
      numeric(route.count > 0 ? shareText(route.starved) : "", route.starved >= 0.1 ? "late" : ""),
    );
  }

  private showRequests(list: Requests | null, live: boolean): void {
    const requests = list?.requests ?? [];
    this.table.hidden = requests.length === 0;
    this.drawing = [];
    replaceRows(this.table, requests.map((request) => this.request(request, list!.now, live)));
    for (const draw of this.drawing) draw();
  }

  private request(request: ServedRequest, now: number, live: boolean): HTMLTableRowElement {
    const what = whatOf(request);
    const button = el("button", { class: "link path", title: what }, el("span", { class: "method" }, request.method), what.slice(request.method.length));
    button.dataset["of"] = String(request.number);
    const canvas = el("canvas", { class: "time-bar", "aria-hidden": "true" });
    this.drawing.push(() => {
      const context = contextOf(canvas, BAR_WIDTH, BAR_HEIGHT);
      // Of the whole width each: a bar says where its time went, and the figure beside it how much that was.
      const x = (time: number): number => (time / Math.max(1, request.wall)) * BAR_WIDTH;
      if (context) drawStretches(context, stretchesOf(request), x, 0, BAR_HEIGHT, this.paint);
    });
    const parts = partsText(request);
    const row = el(
      "tr",
      {},
      el("td", { class: "what" }, button),
      el("td", {}, el("span", { class: `status ${statusClass(request, live)}` }, statusOf(request, live))),
      numeric(wallText(request, live)),
      el("td", { class: "bar-cell", title: parts }, canvas, el("span", { class: "sr-only" }, parts)),
      numeric(format.duration(request.running)),
      numeric(format.duration(request.starved), request.starved >= request.wall / 10 && request.starved > 0 ? "late" : ""),
      numeric(format.duration(request.waiting)),
      numeric(live ? t("span.until.ago", { duration: format.duration(Math.max(0, now - request.start)) }) : format.time(request.start, 3)),
      el("td", { class: "at", title: request.id ?? "" }, request.id),
    );
    row.addEventListener("click", () => this.events.open(request.number));
    return row;
  }

  private showEmpty(list: Requests | null, asked: Asked, failed: boolean): void {
    this.empty.hidden = (list?.requests.length ?? 0) > 0;
    if (this.empty.hidden) return;
    if (failed) setText(this.empty, t("requests.failed"));
    else if (list === null) setText(this.empty, t("requests.reading"));
    else if (list.total > 0) setText(this.empty, asked.search === "" ? t("requests.none_such") : t("requests.search", { search: asked.search }));
    else if (this.empty.childElementCount === 0) this.empty.replaceChildren(...howTo());
  }
}

/** How a recording comes to have requests. */
function howTo(): HTMLElement[] {
  return [
    el("h3", {}, t("requests.none")),
    el("p", {}, t("requests.how.middleware")),
    el("pre", {}, el("code", {}, "from greenscope.web import DebugMiddleware  # or AsgiDebugMiddleware\n\napp = DebugMiddleware(app)")),
    el("p", {}, t("requests.how.note")),
    el("pre", {}, el("code", {}, 'from greenscope.trace import request\n\nwith request(id, "GET /orders/7") as served:\n    …\n    served.status = 200')),
  ];
}

function choices(id: string, values: readonly (readonly [string, string])[], chosen: string, choose: (value: string) => void): void {
  for (const [value, title] of values) {
    const input = el("input", { type: "radio", name: id, value, checked: value === chosen });
    input.addEventListener("change", () => choose(value));
    byId(id).append(el("label", {}, input, el("span", {}, title)));
  }
}

function columns(table: HTMLTableElement, titles: readonly (readonly [string, string])[]): void {
  table.tHead!.replaceChildren(
    el("tr", {}, ...titles.map(([title, kind]) => el("th", { scope: "col", class: kind === "n" ? "numeric" : undefined }, title))),
  );
}

export function numeric(text: string, more = ""): HTMLTableCellElement {
  return el("td", { class: `numeric ${more}`.trim() }, text);
}

/** New rows: the focus goes with its row, or stays at its place. */
function replaceRows(table: HTMLTableElement, rows: readonly HTMLTableRowElement[]): void {
  const focused = document.activeElement as HTMLElement | null;
  const inside = focused !== null && table.contains(focused);
  const at = inside ? [...table.querySelectorAll("button")].indexOf(focused as HTMLButtonElement) : -1;
  const of = inside ? focused.dataset["of"] : undefined;
  table.tBodies[0]!.replaceChildren(...rows);
  if (at < 0) return;
  const buttons = [...table.querySelectorAll("button")];
  (buttons.find((button) => button.dataset["of"] === of) ?? buttons[Math.min(at, buttons.length - 1)])?.focus({ preventScroll: true });
}
