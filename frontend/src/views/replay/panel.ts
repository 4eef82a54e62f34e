/** The tab of the replay as a whole: its panes side by side, or what is to be said instead of them. */

import { t } from "../../language/language";
import { OPTION } from "../../model/replay/level";
import type { Paint } from "../../plot/theme";
import { el, setText } from "../dom";
import { Diagram } from "./diagram";
import { Look } from "./look";
import { SourceView } from "./source";
import { StripView, type StripEvents } from "./strip";
import { Why, type WhyEvents } from "./why";
import { Words, type WordsEvents } from "./words";

export interface PanelEvents {
  words: WordsEvents;
  strip: StripEvents;
  why: WhyEvents;
  again(): void;
  sized(): void;
}

const RECORD = `greenscope record ${OPTION} -o x.gsr program.py\ngreenscope serve x.gsr`;

export class Panel {
  readonly words: Words;
  readonly source = new SourceView();
  readonly diagram = new Diagram();
  readonly strip: StripView;
  readonly why: Why;
  readonly look: Look;
  /** Room for a lesson: a text and questions beside the panes. */
  readonly aside = el("aside", { class: "card replay-lesson", id: "replay-lesson", "aria-label": t("replay.lesson"), hidden: true });
  private readonly level = el("p", { class: "replay-level hint", hidden: true });
  private readonly grid: HTMLElement;
  private readonly title = el("h2", {});
  private readonly text = el("p", {});
  private readonly command = el("pre", {}, el("code", {}, RECORD));
  private readonly retry = el("button", { class: "button" }, t("replay.again"));
  private readonly instead: HTMLElement;

  constructor(
    readonly root: HTMLElement,
    events: PanelEvents,
    paint: Paint,
  ) {
    this.words = new Words(events.words);
    this.strip = new StripView(events.strip, paint, () => events.sized());
    this.why = new Why(events.why);
    this.retry.addEventListener("click", () => events.again());
    this.instead = el("div", { class: "replay-instead" }, this.title, this.text, this.command, this.retry);
    const left = el("div", { class: "replay-left" }, this.source.root, this.why.root);
    const main = el("div", { class: "replay-main" }, this.words.root, this.diagram.root, this.strip.root);
    this.grid = el("div", { class: "replay-grid", hidden: true }, left, main, this.aside);
    this.look = new Look(this.grid);
    root.classList.add("replay");
    root.append(this.level, this.grid, this.instead);
  }

  /** The panes are on screen. */
  panes(): void {
    this.instead.hidden = true;
    this.grid.hidden = false;
  }

  /** Words are, instead of the panes. */
  say(title: string, text = "", { command = false, again = false } = {}): void {
    this.grid.hidden = true;
    this.instead.hidden = false;
    setText(this.title, title);
    setText(this.text, text);
    this.command.hidden = !command;
    this.retry.hidden = !again;
  }

  /** What is to be known of the recording as a whole; empty: nothing. */
  note(text: string): void {
    this.level.hidden = text === "";
    setText(this.level, text);
  }
}
