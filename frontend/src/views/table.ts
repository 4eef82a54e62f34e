/** The table of greenlets: `ps` for green threads. Rows are kept and refilled, so that a click or a focus survives. */

import { t } from "../language/language";
import * as format from "../model/format";
import { rowLabel } from "../model/labels";
import { lookOf, type Look } from "../model/looks";
import { FIRST_ORDER, lineText, matches, reads, reordered, waitingOn, type Order } from "../model/table";
import type { Column, Greenlets, Row } from "../protocol/messages";
import { inText } from "./details";
import { byId, el, setText } from "./dom";
import { swatch } from "./swatch";

const COLUMNS: readonly { column: Column; title: string; numeric?: boolean; title_text?: string }[] = [
  { column: "name", title: t("table.name") },
  { column: "state", title: t("table.state") },
  { column: "on", title: t("table.on") },
  { column: "site", title: t("table.site") },
  { column: "since", title: t("table.since"), numeric: true, title_text: t("table.since.about") },
  { column: "deadline", title: t("table.deadline"), numeric: true, title_text: t("table.deadline.about") },
  { column: "switches", title: t("table.switches"), numeric: true },
  { column: "run_time", title: t("table.run_time"), numeric: true },
];

interface Line {
  root: HTMLTableRowElement;
  button: HTMLButtonElement;
  number: HTMLElement;
  state: HTMLElement;
  swatch: HTMLElement;
  label: HTMLElement;
  cells: HTMLTableCellElement[];
  look: Look | -1;
  id: number;
}

export class GreenletTable {
  order: Order = FIRST_ORDER;
  private readonly heads = new Map<Column, HTMLTableCellElement>();
  private readonly lines: Line[] = [];
  private readonly body: HTMLTableSectionElement;

  constructor(
    private readonly choose: (id: number, name: string) => void,
    private readonly reorder: () => void,
  ) {
    const table = byId<HTMLTableElement>("greenlets-table");
    this.body = table.tBodies[0]!;
    const row = el("tr");
    for (const { column, title, numeric, title_text } of COLUMNS) {
      const button = el("button", { title: title_text }, title, el("span", { class: "arrow", "aria-hidden": "true" }));
      button.addEventListener("click", () => {
        this.order = reordered(this.order, column);
        this.showOrder();
        this.reorder();
      });
      const head = el("th", { scope: "col", class: numeric ? "numeric" : undefined, "data-column": column }, button);
      this.heads.set(column, head);
      row.append(head);
    }
    table.tHead!.append(row);
    this.showOrder();
  }

  show(greenlets: Greenlets, search: string, hub: number | null): void {
    const rows = greenlets.rows.filter((row) => matches(row, search));
    while (this.lines.length < rows.length) this.lines.push(this.newLine());
    while (this.lines.length > rows.length) this.lines.pop()!.root.remove();
    rows.forEach((row, i) => this.fill(this.lines[i]!, row, greenlets.now, row.id === hub));
    setText(
      byId("table-count"),
      greenlets.total > rows.length
        ? t("table.showing", { count: format.count(rows.length), total: format.count(greenlets.total) })
        : `${format.count(rows.length)}`,
    );
    const empty = byId("table-empty");
    empty.hidden = rows.length > 0;
    setText(empty, search.trim() === "" ? t("table.empty") : t("table.empty.search", { search }));
  }

  private newLine(): Line {
    const button = el("button", { class: "link" });
    const number = el("span", { class: "number" });
    const box = el("span", { class: "swatch-box" });
    const label = el("span");
    const state = el("span", { class: "state" }, box, label);
    const cells = COLUMNS.map(({ numeric }) => el("td", { class: numeric ? "numeric" : undefined }));
    cells[0]!.append(button, number);
    cells[1]!.append(state);
    const root = el("tr", {}, ...cells);
    const line: Line = { root, button, number, state, swatch: box, label, cells, look: -1, id: -1 };
    root.addEventListener("click", () => this.choose(line.id, button.textContent ?? ""));
    this.body.append(root);
    return line;
  }

  private fill(line: Line, row: Row, now: number, hub: boolean): void {
    line.id = row.id;
    line.root.dataset["greenlet"] = String(row.id);
    line.root.classList.toggle("exited", !row.alive);
    setText(line.button, row.name);
    line.button.title = row.name;
    setText(line.number, row.name.endsWith(`#${row.id}`) ? "" : ` #${row.id}`);
    const look = row.alive ? lookOf(row.state, row.reason, hub) : 0;
    if (look !== line.look) {
      line.look = look;
      line.swatch.replaceChildren(...(look === 0 ? [] : [swatch(look)]));
    }
    setText(line.label, rowLabel(row));
    const [, , on, site, since, deadline, switches, run] = line.cells as [
      HTMLTableCellElement, HTMLTableCellElement, HTMLTableCellElement, HTMLTableCellElement,
      HTMLTableCellElement, HTMLTableCellElement, HTMLTableCellElement, HTMLTableCellElement,
    ];
    setText(on, row.alive ? waitingOn(row) : "");
    on.title = on.textContent ?? "";
    setText(site, lineText(row));
    site.title = row.site ? `${row.site.file}:${row.site.line}` : "";
    setText(since, row.alive ? format.duration(Math.max(0, now - row.since)) : "");
    since.classList.toggle("late", row.alive && !hub && row.deadline === null && row.state === 2 && now - row.since > 5e9);
    setText(deadline, row.deadline === null || !row.alive ? "" : inText(row.deadline - now));
    setText(switches, format.count(row.switches));
    setText(run, format.duration(row.run_time));
  }

  private showOrder(): void {
    for (const [column, head] of this.heads) {
      const sort = column === this.order.column ? reads(this.order) : "none";
      head.setAttribute("aria-sort", sort);
    }
  }
}
