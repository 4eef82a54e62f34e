/** The words of a step, large and calm; which step it is; and the buttons that lead to others. */

import { counted, language, t } from "../../language/language";
import * as format from "../../model/format";
import type { Names } from "../../model/replay/marks";
import { MOVES, SPEED, SPEEDS, type Move } from "../../model/replay/moves";
import { told, type Told } from "../../model/replay/sentence";
import type { Frame } from "../../protocol/replay";
import { el, setText } from "../dom";
import { chip, glyph, icon } from "./chip";

const ICONS: Readonly<Record<Move | "play" | "stop", string>> = {
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  again_back: "M7.5 1.5v3a5 5 0 1 1-5 5.5h2A3 3 0 1 0 7.5 6.500v3L3 5.500z",
  switch_back: "M8 3v10L2 8zM14.5 3v10l-6-5z",
  back: "M11 3v10L4 8z",
  on: "M5 3v10l7-5z",
  switch_on: "M8 3v10l6-5zM1.5 3v10l6-5z",
  again: "M8.5 1.500v3a5 5 0 1 0 5 5.500h-2A3 3 0 1 1 8.5 6.500v3L13 5.500z",
  last: "M11 3h2v10h-2zM3 3v10l7-5z",
  play: "M4 2.500v11l9-5.500z",
  stop: "M3.5 3h3v10h-3zM9.5 3h3v10h-3z",
};
const KEYS: Readonly<Record<Move, string>> = {
  first: "Home",
  again_back: "Shift+R",
  switch_back: "Shift+←",
  back: "←",
  on: "→",
  switch_on: "Shift+→",
  again: "R",
  last: "End",
};
const SHORTCUTS: Readonly<Record<string, string>> = { "←": "ArrowLeft", "→": "ArrowRight", "Shift+←": "Shift+ArrowLeft", "Shift+→": "Shift+ArrowRight" };

export interface WordsEvents {
  move(move: Move): void;
  play(): void;
  speed(steps: number): void;
  why(): void;
  more(): void;
}

export interface Shown {
  frame: Frame;
  names: Names;
  steps: number;
  complete: boolean;
  /** No more is taken in: who wants what came since opens it anew. */
  full: boolean;
  playing: boolean;
  /** What is to be said beside the words; empty: nothing. */
  notice: string;
  /** Where each of the moves leads, if anywhere. */
  leads: Readonly<Record<Move, boolean>>;
  whyOpen: boolean;
}

export class Words {
  readonly root: HTMLElement;
  private readonly step = el("strong", { class: "step-number" });
  private readonly of = el("span", { class: "hint" });
  private readonly time = el("span", { class: "hint step-time" });
  private readonly who = el("span", { class: "step-who" });
  private readonly sentences = el("div", { class: "sentences" });
  private readonly notice = el("p", { class: "replay-notice", role: "status" });
  private readonly moves: Readonly<Record<Move, HTMLButtonElement>>;
  private readonly play: HTMLButtonElement;
  private readonly more: HTMLButtonElement;
  private readonly why: HTMLButtonElement;
  private playing: boolean | null = null;

  constructor(events: WordsEvents) {
    const button = (move: Move): HTMLButtonElement => {
      const node = el("button", { class: "button icon", "data-move-to": move, "aria-keyshortcuts": SHORTCUTS[KEYS[move]] ?? KEYS[move] });
      node.append(icon(ICONS[move]));
      node.addEventListener("click", () => events.move(move));
      return node;
    };
    this.moves = Object.fromEntries(MOVES.map((move) => [move, button(move)])) as Record<Move, HTMLButtonElement>;
    this.play = el("button", { class: "button icon primary play", "aria-keyshortcuts": "Space" });
    this.play.addEventListener("click", () => events.play());
    this.more = el("button", { class: "button small more-steps" });
    this.more.addEventListener("click", () => events.more());
    this.why = el("button", { class: "button why-button", "aria-keyshortcuts": "W", "aria-expanded": "false", "aria-controls": "replay-why", "aria-label": t("replay.why") }, el("span", { class: "long" }, t("replay.why")), el("span", { class: "short", "aria-hidden": "true" }, t("keys.replay.why")), el("kbd", { "aria-hidden": "true" }, "W"));
    this.why.addEventListener("click", () => events.why());
    const speed = el("select", { class: "speed", "aria-label": t("replay.speed"), title: t("replay.speed") }, ...SPEEDS.map((each) => el("option", { value: each, selected: each === SPEED }, speedText(each))));
    speed.addEventListener("change", () => events.speed(Number(speed.value)));
    const { moves } = this;
    this.root = el(
      "section",
      { class: "card replay-words", "aria-label": t("replay.words"), tabindex: -1 },
      el(
        "div",
        { class: "told" },
        el("div", { class: "step-line" }, this.step, this.of, this.more, this.time, this.who, this.notice),
        this.sentences,
      ),
      el(
        "div",
        { class: "controls" },
        el(
          "div",
          { class: "moves", role: "group", "aria-label": t("replay.moves") },
          el("span", { class: "move-group" }, moves.first, moves.again_back, moves.switch_back, moves.back),
          this.play,
          el("span", { class: "move-group" }, moves.on, moves.switch_on, moves.again, moves.last),
        ),
        speed,
        this.why,
      ),
    );
  }

  focus(): void {
    this.root.focus({ preventScroll: true });
  }

  focusWhy(): void {
    this.why.focus();
  }

  show({ frame, names, steps, complete, full, playing, notice, leads, whyOpen }: Shown): void {
    setText(this.step, t("replay.step", { step: frame.step }));
    setText(this.of, t(complete ? "replay.of" : "replay.so.far", { last: steps - 1 }));
    this.more.hidden = complete;
    setText(this.more, t(full ? "replay.newest" : "replay.more"));
    setText(this.time, format.duration(frame.time));
    this.time.title = format.time(frame.time, 9);
    this.who.replaceChildren(...(frame.greenlet === null ? [] : [chip(frame.greenlet, names, true)]));
    this.showSentences(frame, names);
    setText(this.notice, notice);
    this.notice.title = notice;
    const name = frame.greenlet === null ? null : names.of(frame.greenlet);
    for (const move of MOVES) {
      const node = this.moves[move];
      // Not `disabled`: a button that one goes on pressing would lose the focus at the end.
      node.setAttribute("aria-disabled", String(!leads[move]));
      const text = moveText(move, name);
      node.setAttribute("aria-label", text);
      node.title = `${text} (${KEYS[move]})`;
    }
    this.why.setAttribute("aria-expanded", String(whyOpen));
    if (playing === this.playing) return;
    this.playing = playing;
    this.play.replaceChildren(icon(ICONS[playing ? "stop" : "play"]));
    const text = t(playing ? "replay.stop" : "replay.play");
    this.play.setAttribute("aria-label", text);
    this.play.title = `${text} (${t("key.space")})`;
    this.play.setAttribute("aria-pressed", String(playing));
  }

  private showSentences(frame: Frame, names: Names): void {
    const known = [frame.greenlet, frame.running, ...frame.ready.map(({ greenlet }) => greenlet), ...frame.parked.flatMap(({ greenlet, on }) => [greenlet, on.greenlet])];
    const ids = [...new Set(known)].filter((each): each is number => each !== null && !names.isHub(each));
    const called = new Map(ids.map((each) => [names.of(each), each]));
    this.sentences.replaceChildren(
      ...frame.words.map((words, i) =>
        el("p", { class: i === 0 ? "lead" : undefined, lang: language }, ...told(words, called).map((piece) => node(piece, names))),
      ),
    );
  }
}

function node(piece: Told, names: Names): Node | string {
  if (typeof piece === "string") return piece;
  if ("code" in piece) return el("code", {}, piece.code);
  const span = el("span", { class: "named", "data-of": piece.greenlet }, piece.name);
  span.prepend(glyph(names.mark(piece.greenlet)));
  return span;
}

function moveText(move: Move, name: string | null): string {
  switch (move) {
    case "again":
      return name === null ? t("replay.move.again.nobody") : t("replay.move.again", { name });
    case "again_back":
      return name === null ? t("replay.move.again_back.nobody") : t("replay.move.again_back", { name });
    default:
      return t(`replay.move.${move}`);
  }
}

function speedText(steps: number): string {
  if (steps < 1) return t("replay.speed.slow", { seconds: 1 / steps });
  return counted("replay.speed", steps);
}
