/**
 * The tab of the replay: where one is in a recording, what is fetched for it, and how one moves.
 *
 * What is on screen is the frame of the position; while that is on its way, it is the one before it. `goTo` is all that
 * others need: the page's address, a lesson.
 */

import { language, t } from "./language/language";
import { Learning } from "./learning";
import { Frames } from "./model/replay/frames";
import { Latest } from "./model/replay/latest";
import { levelText } from "./model/replay/level";
import { Names } from "./model/replay/marks";
import { MOVES, stepOf, target, type Move } from "./model/replay/moves";
import { Player, type Took } from "./model/replay/player";
import { stretchFor, type Stretch } from "./model/replay/strip";
import type { Paint } from "./plot/theme";
import type { ReplaySource } from "./protocol/replay-source";
import type { Cause, Frame, Overview, Strip } from "./protocol/replay";
import { announce } from "./views/dom";
import { Panel } from "./views/replay/panel";

/** What the words say is told to who cannot see it when one has stopped for so long. */
const TELL_MS = 250;
/** A live recording is looked at anew so often while one is at its end. */
const LOOK_MS = 2000;

export interface ReplayContext {
  /** Whether the tab is on screen. */
  shown(): boolean;
  /** One is at another step: the page's address changes. `jump`: the browser can go back from it. */
  moved(jump: boolean): void;
}

export class Replaying {
  readonly panel: Panel;
  private readonly learning: Learning;
  private source: ReplaySource | null = null;
  private readonly overview = new Latest<Overview>(() => this.overviewCame());
  private readonly strip = new Latest<Strip>(() => this.show());
  private readonly causes = new Latest<Cause[]>(() => this.show());
  private frames: Frames | null = null;
  private names = new Names();
  private frame: Frame | null = null;
  private at = 0;
  /** What the page's address asks for, until it is known what there is. */
  private wanted: string | null = null;
  private notice = "";
  private stretch: Stretch | null = null;
  private whyOf: number | null = null;
  private whyFocus = false;
  private readonly player = new Player(() => this.playOn(), () => this.show());
  private telling: number | undefined;
  private told = "";
  private lookedAt = 0;
  private drawing = 0;

  constructor(
    root: HTMLElement,
    private readonly context: ReplayContext,
    paint: Paint,
  ) {
    this.panel = new Panel(
      root,
      {
        words: {
          move: (move) => this.move(move),
          play: () => this.play(!this.player.playing),
          speed: (steps) => this.player.at(steps),
          why: () => this.toggleWhy(),
          more: () => (this.overview.value?.full ? this.openAnew(Infinity, true) : this.lookForMore()),
        },
        strip: { go: (step, over) => this.goTo(step, over) },
        why: { go: (step) => this.goTo(step, true), close: () => void this.close() },
        again: () => this.again(),
        sized: () => this.show(),
      },
      paint,
    );
    this.learning = new Learning(this.panel.aside, { step: () => this.step, goTo: (step) => this.goTo(step, true) });
  }

  setPaint(paint: Paint): void {
    this.panel.strip.setPaint(paint);
  }

  /** Where one is, for the page's address; null: there is nothing to be at. */
  get step(): number | null {
    return this.overview.value === null || this.overview.value.steps === 0 ? null : this.at;
  }

  /** Another recording; null: none. */
  open(source: ReplaySource | null): void {
    this.play(false);
    this.source = source;
    for (const each of [this.overview, this.strip, this.causes]) each.forget();
    this.frames?.forget();
    this.frames = source && new Frames((from, to, signal) => this.fetch(source, from, to, signal), () => this.show());
    if (source) source.renumbered = () => this.openAnew(this.at);
    this.names = new Names();
    this.frame = this.stretch = this.whyOf = this.wanted = null;
    this.at = 0;
    this.notice = "";
    this.panel.source.clear();
    this.panel.diagram.clear();
    this.learning.open(source);
    this.show();
  }

  /** What the page's address names; it may be anything. */
  openAt(text: string): void {
    this.wanted = text;
    this.takeWanted();
    this.show();
  }

  /**
   * Goes to a step: the nearest there is.
   *
   * @param jump whether the browser can go back from there
   */
  goTo(step: number, jump = false): void {
    const steps = this.overview.value?.steps ?? 0;
    if (steps === 0) return;
    const to = Math.max(0, Math.min(Math.round(step), steps - 1));
    if (to !== this.at) this.notice = "";
    else if (!jump) return;
    this.at = to;
    this.frames?.look(to, steps);
    this.context.moved(jump);
    this.show();
  }

  move(move: Move): void {
    const overview = this.overview.value;
    if (overview === null) return;
    const to = target(move, this.at, overview.steps, this.frame);
    if (to !== null) this.goTo(to, move === "first" || move === "last");
    else if (this.frame?.step === this.at) this.nowhere(move, this.frame, overview);
  }

  /** A key on this tab; false if it is none of its own. */
  key(event: KeyboardEvent): boolean {
    const node = event.target as HTMLElement;
    if (node.matches("input:not([type=checkbox], [type=radio], [type=range]), select, textarea, [role=tab]")) return false;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { shiftKey: shift } = event;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.move(shift ? "switch_back" : "back"),
      ArrowRight: () => this.move(shift ? "switch_on" : "on"),
      r: () => this.move(shift ? "again_back" : "again"),
      Home: () => this.move("first"),
      End: () => this.move("last"),
      w: () => this.toggleWhy(),
      n: () => this.learning.move(1),
      p: () => this.learning.move(-1),
      " ": () => this.play(!this.player.playing),
    };
    // Space presses what has the focus, as everywhere, and arrows choose among choices.
    if (key === " " && node.matches("button, input, summary")) return false;
    if (/^Arrow/.test(key) && node.matches("input[type=radio]")) return false;
    if (actions[key] === undefined || this.step === null) return false;
    if (key !== " ") this.play(false);
    actions[key]();
    return true;
  }

  /** Closes the causes; false if they are not open. */
  close(): boolean {
    if (this.whyOf === null) return false;
    this.whyOf = null;
    this.causes.forget();
    this.panel.words.focusWhy();
    this.show();
    return true;
  }

  /** The focus goes to the words: from there the keys step. */
  focus(): void {
    this.panel.words.focus();
  }

  /** Asks for what is not here yet; called now and then, and when the tab is chosen. */
  refresh(now = performance.now()): void {
    if (!this.context.shown() || this.source === null) {
      this.play(false);
      return;
    }
    const { source } = this;
    this.overview.wish("overview", (signal) => source.overview(signal));
    const overview = this.overview.value;
    if (overview === null || overview.complete || overview.full || now - this.lookedAt < LOOK_MS) return;
    if (this.at >= overview.steps - 1) this.lookForMore(now);
  }

  /** Draws what is known, in the next frame: however often that changes before. */
  show(): void {
    if (!this.context.shown() || this.drawing !== 0) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.draw();
    });
  }

  // what comes

  private async fetch(source: ReplaySource, from: number, to: number, signal: AbortSignal): Promise<Frame[]> {
    const { frames, names } = await source.frames(from, to, signal);
    if (source === this.source) this.names.learn(names);
    return frames;
  }

  private overviewCame(): void {
    const overview = this.overview.value;
    this.lookedAt = performance.now();
    if (overview !== null && this.overview.of !== null) {
      this.names.know(overview);
      if (overview.lesson) this.learning.refresh();
      this.takeWanted();
      if (this.at >= overview.steps) {
        this.at = Math.max(overview.steps - 1, 0);
        this.context.moved(false);
      }
      this.frames?.look(this.at, overview.steps);
    }
    this.show();
  }

  /** Asks for all of it again, for steps have other numbers now; one is at a step again, or at the last there is. */
  private openAnew(at: number, anew = false): void {
    const { source } = this;
    if (source === null) return;
    this.open(source);
    this.at = at;
    this.notice = t("replay.renumbered");
    announce(this.notice);
    this.overview.wish("overview", (signal) => source.overview(signal, anew));
  }

  /** Asks whether there are more steps by now; what follows on the last ones is known then. */
  private lookForMore(now = performance.now()): void {
    const { source } = this;
    const before = this.overview.value;
    if (source === null || before === null || this.overview.busy) return;
    this.lookedAt = now;
    this.overview.again();
    this.overview.wish("overview", async (signal) => {
      const found = await source.overview(signal);
      if (found.steps !== before.steps || found.complete !== before.complete) {
        this.frames?.forget();
        this.strip.forget();
        this.stretch = null;
      }
      return found;
    });
  }

  private again(): void {
    if (this.overview.value === null) this.overview.again();
    this.refresh();
    if (this.overview.value !== null) this.frames?.look(this.at, this.overview.value.steps);
    this.show();
  }

  private takeWanted(): void {
    const overview = this.overview.value;
    if (overview === null || this.wanted === null || overview.steps === 0) return;
    const { step, wrong } = stepOf(this.wanted, overview.steps);
    const said = this.wanted.slice(0, 40);
    this.wanted = null;
    this.at = step;
    this.notice = wrong ? t("replay.wrong", { step: said, last: overview.steps - 1 }) : "";
    if (wrong) announce(this.notice);
    this.frames?.look(step, overview.steps);
    this.context.moved(false);
  }

  // what is done

  private nowhere(move: Move, frame: Frame, overview: Overview): void {
    const name = frame.greenlet === null ? null : this.names.of(frame.greenlet);
    const says: Record<Move, string> = {
      first: t("replay.at.begin"),
      back: t("replay.at.begin"),
      on: t("replay.at.end"),
      last: t("replay.at.end"),
      switch_back: t("replay.nowhere.switch_back"),
      switch_on: t("replay.nowhere.switch_on"),
      again: name === null ? t("replay.nowhere.nobody") : t("replay.nowhere.again", { name }),
      again_back: name === null ? t("replay.nowhere.nobody") : t("replay.nowhere.again_back", { name }),
    };
    this.notice = says[move];
    announce(this.notice);
    if (!overview.complete && (move === "on" || move === "again" || move === "switch_on")) this.lookForMore();
    this.show();
  }

  private toggleWhy(): void {
    const { source, at } = this;
    if (this.whyOf === at || source === null) {
      this.close();
      return;
    }
    this.play(false);
    this.whyOf = at;
    this.whyFocus = true;
    this.causes.forget();
    this.causes.wish(String(at), (signal) => source.why(at, signal));
    this.show();
  }

  private play(on: boolean): void {
    const overview = this.overview.value;
    // From the last step of all it begins anew.
    if (on && overview?.complete === true && this.at >= overview.steps - 1) this.goTo(0, true);
    this.player.play(on && this.step !== null);
  }

  /** The next step, if the one before it has been seen. */
  private playOn(): Took {
    const overview = this.overview.value;
    if (overview !== null && this.at >= overview.steps - 1) return overview.complete ? "over" : "wait";
    if (this.frame?.step !== this.at) return "wait";
    this.goTo(this.at + 1);
    return "on";
  }

  // what is shown

  private draw(): void {
    const overview = this.overview.value;
    const { panel } = this;
    if (overview === null) {
      if (this.overview.failed !== null) panel.say(t("replay.failed", { why: this.overview.failed }), "", { again: true });
      else panel.say(t("replay.reading"));
      return;
    }
    if (overview.steps === 0) {
      panel.say(t("replay.none"), t("replay.none.text"), { command: true, again: !overview.complete });
      return;
    }
    const here = this.frames?.at(this.at) ?? null;
    this.frame = here ?? this.frame;
    const failed = this.frames?.failed ?? null;
    if (this.frame === null) {
      if (failed !== null) panel.say(t("replay.failed", { why: failed }), "", { again: true });
      else panel.say(t("replay.reading"));
      return;
    }
    panel.note(levelText(overview));
    panel.panes();
    panel.root.dataset["step"] = String(this.frame.step);
    panel.root.toggleAttribute("data-behind", here === null);
    this.learning.show(this.at);
    this.drawFrame(this.frame, overview, here === null && failed !== null ? t("replay.failed", { why: failed }) : this.notice);
    if (here !== null) this.tell(here);
  }

  private drawFrame(frame: Frame, overview: Overview, notice: string): void {
    const { panel, names } = this;
    const leads = Object.fromEntries(MOVES.map((move) => [move, target(move, frame.step, overview.steps, frame) !== null])) as Record<Move, boolean>;
    const { steps, complete, full } = overview;
    panel.words.show({ frame, names, steps, complete, full, playing: this.player.playing, notice, leads, whyOpen: this.whyOf !== null });
    panel.source.show(frame, overview, names);
    panel.diagram.show(frame, names, overview.hub);
    const known = this.causes.of === String(this.whyOf) ? this.causes.value : null;
    panel.why.show(this.whyOf, known, this.causes.failed, this.at);
    if (this.whyFocus && (known !== null || this.causes.failed !== null)) {
      this.whyFocus = false;
      panel.why.focus();
    }
    this.drawStrip(frame, overview, known ?? []);
    panel.look.mark();
  }

  private drawStrip(frame: Frame, overview: Overview, causes: readonly Cause[]): void {
    const { source, panel } = this;
    const { strip } = panel;
    if (source === null || strip.width < 20) return;
    const { stretch: before } = this;
    const stretch = before !== null && strip.dragging ? before : stretchFor(this.at, overview.steps, strip.width, before);
    this.stretch = stretch;
    this.strip.wish(`${stretch.from} ${stretch.to}`, (signal) => source.strip(stretch.from, stretch.to - 1, signal));
    const marks = this.whyOf === null ? [] : causes.map(({ step }) => step);
    strip.show(this.strip.value, stretch, this.at, overview.steps, frame.greenlet, this.names, marks);
  }

  /** The words, for who cannot see them. */
  private tell(frame: Frame): void {
    const words = `${t("replay.step", { step: frame.step })}. ${frame.words.join(language === "zh" ? "" : " ")}`;
    if (words === this.told) return;
    this.told = words;
    window.clearTimeout(this.telling);
    this.telling = window.setTimeout(() => announce(words), TELL_MS);
  }
}
