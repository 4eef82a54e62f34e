/** Where the time went: a choice of by what, a table with a bar for each share, and charts of how times are spread. */

import { BETWEEN, counted, pieces, t } from "../language/language";
import * as format from "../model/format";
import { APPEARANCE, Look, lookOf } from "../model/looks";
import {
  about, binsOfLoad, binsOfSpread, COLUMNS, heading, reasonText, rowMentions, shareText, siteWords, sumsText, type Bin, type Says,
} from "../model/profile";
import { BYS, State, type By, type Profile, type ProfilePart, type ProfileRow, type Site } from "../protocol/messages";
import { byId, el, setText } from "./dom";
import { swatch } from "./swatch";

const NUMBERS = ["total", "count", "mean", "p99", "longest", "still"] as const;
/** Frames of a stack that are shown; the others are in its title. */
const FRAMES = 5;

export interface ProfileEvents {
  by(by: By): void;
  /** Look at a time of a greenlet; of the hub if it is null. */
  look(greenlet: number | null, name: string, start: number, length: number): void;
}

export class ProfileView {
  private readonly table = byId<HTMLTableElement>("profile-table");
  private readonly charts = byId("profile-charts");
  private readonly empty = byId("profile-empty");
  private shown = "";

  constructor(
    private by: By,
    private readonly events: ProfileEvents,
  ) {
    for (const each of BYS) {
      const input = el("input", { type: "radio", name: "profile-by", value: each, checked: each === by });
      input.addEventListener("change", () => {
        this.by = each;
        this.events.by(each);
      });
      byId("profile-by").append(el("label", {}, input, el("span", {}, about(each).title)));
    }
  }

  /** Shows a profile; null: none has come yet. */
  show(profile: Profile | null, search: string, hub: number | null, failed: boolean): void {
    const key = JSON.stringify([this.by, profile, search, hub, failed]);
    if (key === this.shown) return;
    this.shown = key;
    const { text } = about(this.by);
    setText(byId("profile-about"), profile === null ? text : text + BETWEEN + t("profile.all", { sums: sumsText(profile) }));
    setText(
      byId("profile-span"),
      profile === null ? "" : t("profile.from", { from: format.time(profile.from, 2), to: format.time(profile.to, 2) }),
    );
    const focused = document.activeElement;
    const at = this.buttons().findIndex((button) => button === focused);
    this.showCharts(profile);
    const count = this.showTable(profile, search, hub);
    if (at >= 0) this.refocus(at, (focused as HTMLElement).dataset["of"]);
    this.empty.hidden = count > 0;
    if (failed) setText(this.empty, t("profile.failed"));
    else if (profile === null) setText(this.empty, t("profile.summing"));
    else if (profile.parts.length > 0) setText(this.empty, t("profile.search", { search }));
    else setText(this.empty, t("profile.nothing"));
  }

  private buttons(): HTMLButtonElement[] {
    return [...this.charts.querySelectorAll("button"), ...this.table.querySelectorAll("button")];
  }

  /** Rows change places: the focus goes with its row, or stays at its place. */
  private refocus(at: number, of: string | undefined): void {
    const buttons = this.buttons();
    const button = buttons.find((each) => each.dataset["of"] === of) ?? buttons[Math.min(at, buttons.length - 1)];
    button?.focus({ preventScroll: true });
  }

  private showTable(profile: Profile | null, search: string, hub: number | null): number {
    const parts = (profile?.parts ?? [])
      .map((part) => ({ part, rows: part.rows.filter((row) => rowMentions(row, search)) }))
      .filter(({ rows }) => rows.length > 0);
    this.table.hidden = parts.length === 0;
    const says = COLUMNS[this.by];
    this.table.tHead!.replaceChildren(
      el(
        "tr",
        {},
        ...says.map(([, title]) => el("th", { scope: "col" }, title)),
        el("th", { scope: "col" }, t("column.share")),
        ...NUMBERS.map((each) => el("th", { scope: "col", class: "numeric", title: t(`column.${each}.about`) }, t(`column.${each}`))),
      ),
    );
    for (const body of [...this.table.tBodies]) body.remove();
    for (const { part, rows } of parts) this.table.append(this.body(part, rows, hub));
    return parts.length;
  }

  private body(part: ProfilePart, rows: readonly ProfileRow[], hub: number | null): HTMLTableSectionElement {
    const says = COLUMNS[this.by];
    const more = part.rows_total > rows.length ? t("profile.showing", { count: rows.length, total: format.count(part.rows_total) }) : "";
    const head = el(
      "th",
      { scope: "rowgroup", colspan: says.length + 1 + NUMBERS.length },
      heading(this.by, part.part),
      el("span", { class: "group-total" }, format.duration(part.total)),
      more && el("span", { class: "hint" }, more),
    );
    return el("tbody", {}, el("tr", { class: "group" }, head), ...rows.map((row) => this.row(row, hub)));
  }

  private row(row: ProfileRow, hub: number | null): HTMLTableRowElement {
    const look = lookOf(row.state, row.reason, row.longest_greenlet.id === hub);
    const cells = COLUMNS[this.by].map(([says]) => cell(says, row, look));
    const bar = el("span", { class: "share-bar", "aria-hidden": "true" }, el("span", { class: "share-fill" }));
    const fill = bar.firstElementChild as HTMLElement;
    fill.style.setProperty("--share", String(row.share));
    fill.style.setProperty("--fill", APPEARANCE[look === Look.NOTHING ? Look.OTHER : look].color);
    cells.push(el("td", { class: "share" }, bar, el("span", { class: "share-text" }, shareText(row.share))));
    const longest = this.lookButton(row.longest_greenlet.id, row.longest_greenlet.name, row.longest_start, row.longest);
    longest.dataset["of"] = JSON.stringify([row.label, row.what, row.sleeper, row.site, row.stack]);
    const still = row.still > 0 ? format.count(row.still) : "";
    for (const value of [format.duration(row.total), format.count(row.count), format.duration(row.mean), format.duration(row.p99), longest, still]) {
      cells.push(el("td", { class: "numeric" }, value));
    }
    return el("tr", {}, ...cells);
  }

  private lookButton(greenlet: number | null, name: string, start: number, length: number): HTMLButtonElement {
    const text = format.duration(length);
    const button = el(
      "button",
      {
        class: "link look",
        title: t("profile.show", { name, time: format.time(start, 3) }),
        "aria-label": t("profile.show.label", { duration: text, name }),
      },
      text,
    );
    button.addEventListener("click", () => this.events.look(greenlet, name, start, length));
    return button;
  }

  private showCharts(profile: Profile | null): void {
    const charts: HTMLElement[] = [];
    const { spread, load } = profile ?? {};
    if (load) {
      const known = load.busy + load.polled;
      const share = known > 0 ? t("profile.busy", { share: shareText(load.busy / known) }) : "";
      charts.push(chart(t("profile.load", { duration: format.duration(load.stretch) }), [share], binsOfLoad(load), State.RUNNING));
    }
    if (profile && spread && spread.count > 0) {
      const words = [t("profile.half", { duration: format.duration(spread.p50) }), t("profile.most", { duration: format.duration(spread.p99) })];
      const start = load?.longest_start ?? null;
      const longest =
        start === null
          ? t("profile.longest", { duration: format.duration(spread.longest) })
          : el("span", {}, ...pieces("profile.longest", { duration: this.lookButton(null, t("profile.hub"), start, spread.longest) }));
      const title = t(load ? "profile.away" : "profile.ready", { times: counted("times", spread.count) });
      charts.push(chart(title, [...words, longest], binsOfSpread(spread), load ? State.RUNNING : State.READY));
    }
    this.charts.hidden = charts.length === 0;
    this.charts.replaceChildren(...charts);
  }
}

function cell(says: Says, row: ProfileRow, look: Look): HTMLTableCellElement {
  switch (says) {
    case "label":
      return el("td", {}, el("span", { class: "state" }, el("span", { class: "swatch-box" }, swatch(look)), reasonText(row)));
    case "site":
      // What stands for all that was not told apart has no line, but a name.
      return el("td", { class: "at", title: place(row.site) }, siteWords(row.site) || row.what);
    case "stack": {
      const frames = row.stack.length > 0 ? row.stack : row.site === null ? [] : [row.site];
      const lines = frames.slice(0, FRAMES).map((frame) => el("span", { class: "frame-line" }, siteWords(frame)));
      if (frames.length > FRAMES) lines.push(el("span", { class: "frame-line" }, counted("profile.frames", frames.length - FRAMES)));
      return el("td", { class: "at", title: frames.map(place).join("\n") }, ...(lines.length > 0 ? lines : [row.what]));
    }
    default: {
      const text = (says === "what" ? row.what : row.sleeper) ?? "";
      return el("td", { class: "what", title: text, lang: "en" }, text);
    }
  }
}

function place(site: Site | null): string {
  return site === null ? "" : `${site.file}:${site.line} ${site.function}`.trim();
}

/** A histogram, and the same as a list that can be read aloud. */
function chart(title: string, words: readonly (string | Node)[], bins: readonly Bin[], state: number): HTMLElement {
  const columns = bins.map(({ count, height, tick, text }) => {
    const bar = el("span", { class: "bin-bar", "aria-hidden": "true" });
    bar.style.setProperty("--height", String(height));
    return el(
      "li",
      { class: count === 0 ? "bin none" : "bin", title: text },
      el("span", { class: "bin-count", "aria-hidden": "true" }, count > 0 ? format.count(count) : ""),
      bar,
      el("span", { class: "bin-tick", "aria-hidden": "true" }, tick),
      el("span", { class: "sr-only" }, text),
    );
  });
  const list = el("ol", { class: "bins", role: "list", "aria-label": title }, ...columns);
  list.style.setProperty("--fill", APPEARANCE[lookOf(state, 0) as Exclude<Look, 0>].color);
  const said = el("p", { class: "hint" });
  words.forEach((word, i) => said.append(i > 0 && word !== "" ? t("list.comma") : "", word));
  return el("section", { class: "chart" }, el("h3", {}, title), said, list);
}
