/** The program's own text: the line of this step, and a bookmark at each line where a parked greenlet will go on. */

import { t } from "../../language/language";
import { shortFile, siteText } from "../../model/format";
import type { Names } from "../../model/replay/marks";
import { around, bookmarks, fileFor, standing, textOf, type Bookmark } from "../../model/replay/places";
import { highlighted } from "../../model/replay/python";
import type { Frame, Overview } from "../../protocol/replay";
import { el, setText } from "../dom";
import { chip } from "./chip";

/** So many bookmarks are shown at a line. */
const MARKS = 3;
const GAP = 8;
/** The line is kept this far from the pane's edges, as a share of its height. */
const MARGIN = 0.18;

export class SourceView {
  readonly root: HTMLElement;
  private readonly name = el("span", { class: "source-file" });
  private readonly chooser = el("select", { class: "source-chooser", "aria-label": t("replay.file") });
  private readonly note = el("p", { class: "source-note hint" });
  private readonly lines = el("ol", { class: "code", role: "list" });
  private readonly scroller: HTMLElement;
  private rows = new Map<number, HTMLElement>();
  private built = "";
  private file: string | null = null;
  private here: HTMLElement | null = null;
  private marked: HTMLElement[] = [];
  private again: () => void = () => undefined;
  private offered: Overview | null = null;

  constructor() {
    this.chooser.addEventListener("change", () => {
      this.file = this.chooser.value;
      this.again();
    });
    this.scroller = el("div", { class: "code-scroll", tabindex: 0, role: "region", "aria-label": t("replay.source") }, this.lines);
    this.root = el(
      "section",
      { class: "card replay-source", "aria-label": t("replay.source") },
      el("div", { class: "section-head" }, el("h2", {}, t("replay.source")), this.name, this.chooser, this.note),
      this.scroller,
    );
  }

  show(frame: Frame, overview: Overview, names: Names): void {
    const file = fileFor(frame, overview, this.file);
    this.draw(frame, overview, names, file);
    this.again = () => this.draw(frame, overview, names, this.file);
  }

  clear(): void {
    this.file = null;
    this.built = "";
    this.again = () => undefined;
  }

  private draw(frame: Frame, overview: Overview, names: Names, file: string | null): void {
    this.file = file;
    this.offer(overview, file);
    this.note.classList.toggle("strong", false);
    if (file === null) {
      this.build("", null, null);
      setText(this.note, t("replay.no.file"));
      return;
    }
    const found = textOf(overview, file);
    const line = frame.site?.file === file ? frame.site.line : null;
    this.build(file, found?.text ?? null, line);
    const marks = bookmarks(frame, file);
    if (found?.text == null) this.withoutText(file, found?.why_not ?? null, frame, marks);
    else setText(this.note, line !== null ? "" : names.isHub(frame.running) ? t("replay.no.site") : frame.site === null ? t("replay.no.line") : "");
    this.mark(line, marks, names, frame);
  }

  /** The files to choose from, if there are several. */
  private offer(overview: Overview, file: string | null): void {
    const files = overview.files.map((each) => each.file);
    const some = files.length > 1;
    this.chooser.hidden = !some;
    this.name.hidden = some;
    setText(this.name, file === null ? "" : shortFile(file));
    this.name.title = file ?? "";
    if (this.offered !== overview) {
      this.offered = overview;
      this.chooser.replaceChildren(...files.map((each) => el("option", { value: each, title: each }, shortFile(each))));
    }
    if (file !== null) this.chooser.value = file;
    this.root.dataset["file"] = file ?? "";
  }

  /** The lines, once for a text. */
  private build(file: string, text: string | null, line: number | null): void {
    const pieces = text === null ? [] : highlighted(text);
    const { first, last } = around(pieces.length, line);
    const built = `${file} ${text?.length ?? -1} ${first}`;
    if (built === this.built) return;
    this.built = built;
    this.rows = new Map();
    this.here = null;
    this.marked = [];
    const wide = String(last).length;
    this.lines.style.setProperty("--digits", String(wide));
    for (let number = first; number <= last && number <= pieces.length; number++) {
      const code = el("code", {}, ...pieces[number - 1]!.map(([words, token]) => (token === "plain" ? words : el("span", { class: `py-${token}` }, words))));
      this.rows.set(number, el("li", { class: "code-line", "data-line": number }, el("span", { class: "code-number" }, String(number)), code, el("span", { class: "code-marks" })));
    }
    this.lines.replaceChildren(...this.rows.values());
    this.scroller.scrollTop = 0;
  }

  /** Where there is no text, it is said why, and the lines that matter are given by their numbers. */
  private withoutText(file: string, why: string | null, frame: Frame, marks: ReadonlyMap<number, Bookmark[]>): void {
    setText(this.note, why === null ? t("replay.no.text.unknown", { file: shortFile(file) }) : t("replay.no.text", { file: shortFile(file), why }));
    this.built = "";
    const numbers = new Set([...marks.keys(), ...(frame.site?.file === file ? [frame.site.line] : [])]);
    this.rows = new Map([...numbers].sort((a, b) => a - b).map((number) => [number, el("li", { class: "code-line", "data-line": number }, el("code", {}, siteText({ file, line: number })), el("span", { class: "code-marks" }))]));
    this.lines.replaceChildren(...this.rows.values());
  }

  private mark(line: number | null, marks: ReadonlyMap<number, Bookmark[]>, names: Names, frame: Frame): void {
    this.here?.classList.remove("here");
    this.here?.removeAttribute("aria-current");
    for (const row of this.marked) row.querySelector(".code-marks")!.replaceChildren();
    this.marked = [];
    for (const [at, here] of marks) {
      const row = this.rows.get(at);
      if (row === undefined) continue;
      this.marked.push(row);
      const box = row.querySelector<HTMLElement>(".code-marks")!;
      box.title = t("replay.goes.on", { names: here.map(({ greenlet }) => names.of(greenlet)).join(t("list.comma")) });
      const some = here.length > MARKS ? here.slice(0, MARKS - 1) : here;
      for (const { greenlet, ready } of some) {
        const mark = chip(greenlet, names, true);
        mark.classList.toggle("is-ready", ready);
        box.append(mark);
      }
      if (some.length < here.length) box.append(el("span", { class: "hint" }, `+${here.length - some.length}`));
    }
    this.fit();
    this.here = line === null ? null : (this.rows.get(line) ?? null);
    this.root.dataset["line"] = line === null ? "" : String(line);
    if (this.here === null) return;
    this.here.classList.add("here");
    this.here.setAttribute("aria-current", "true");
    this.here.dataset["as"] = standing(frame);
    this.reveal(this.here);
  }

  /** Where a name would cover the line, its mark alone stands there. */
  private fit(): void {
    for (const row of this.marked) row.classList.remove("tight");
    const right = this.scroller.getBoundingClientRect().left + this.scroller.clientWidth;
    const tight = this.marked.filter((row) => {
      const code = row.querySelector("code")!.getBoundingClientRect();
      return code.right > right - row.querySelector(".code-marks")!.clientWidth - GAP;
    });
    for (const row of tight) row.classList.add("tight");
  }

  /** Scrolls the text, and nothing else, if the line is not well within it. */
  private reveal(row: HTMLElement): void {
    const { scroller } = this;
    const high = scroller.clientHeight;
    if (high === 0) return;
    const top = row.offsetTop - this.lines.offsetTop;
    const margin = high * MARGIN;
    if (top >= scroller.scrollTop + Math.min(margin, scroller.scrollTop) && top + row.offsetHeight <= scroller.scrollTop + high - margin) return;
    if (scroller.scrollHeight <= high) return;
    scroller.scrollTop = Math.max(0, top - high * 0.4);
  }
}
