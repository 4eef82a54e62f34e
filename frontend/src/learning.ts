/** The lesson about a recording: fetched once, gone through in the panel beside the replay, and saved as a page. */

import { t } from "./language/language";
import { Answers, beside, passageAt } from "./model/lesson";
import { Latest } from "./model/replay/latest";
import type { Lesson } from "./protocol/lesson";
import type { ReplaySource } from "./protocol/replay-source";
import { LessonView } from "./views/replay/lesson";

export interface LearningContext {
  /** Where one is; null: nowhere yet. */
  step(): number | null;
  goTo(step: number): void;
}

export class Learning {
  private readonly view: LessonView;
  private readonly lesson = new Latest<Lesson | null>(() => this.came());
  private source: ReplaySource | null = null;
  private answers: Answers | null = null;
  /** The passage that was gone to. */
  private chosen: number | null = null;
  private saving = false;

  constructor(
    root: HTMLElement,
    private readonly context: LearningContext,
  ) {
    this.view = new LessonView(root, {
      passage: (index) => this.passage(index),
      move: (direction) => this.move(direction),
      answer: (question, given) => this.answer(question, given),
      look: (step) => context.goTo(step),
      again: () => this.again(),
      save: () => void this.save(),
      here: () => context.step() ?? 0,
    });
  }

  /** Another recording; null: none. */
  open(source: ReplaySource | null): void {
    this.source = source;
    this.lesson.forget();
    this.answers = this.chosen = null;
    this.view.open(null, null, false);
  }

  /** Asks for the lesson, once. */
  refresh(): void {
    const { source } = this;
    if (source !== null) this.lesson.wish("lesson", (signal) => source.lesson(signal));
  }

  /** One is at a step. */
  show(step: number): void {
    this.view.show(step, this.chosen);
  }

  /** To the next passage, or the one before; false if there is no lesson. */
  move(direction: -1 | 1): boolean {
    const lesson = this.lesson.value;
    const step = this.context.step();
    if (lesson === null || step === null) return false;
    const to = beside(lesson.passages, passageAt(lesson.passages, step, this.chosen), direction);
    if (to !== null) this.passage(to);
    return true;
  }

  private passage(index: number): void {
    const step = this.lesson.value?.passages[index]?.step ?? null;
    if (step === null) return;
    this.chosen = index;
    this.context.goTo(step);
    this.show(step);
  }

  private came(): void {
    const lesson = this.lesson.value;
    if (lesson !== null) this.answers = new Answers(lesson.questions, stored(this.key));
    this.view.open(lesson, this.answers, this.source?.page != null);
    const step = this.context.step();
    if (step !== null) this.show(step);
  }

  private answer(question: number, given: number): void {
    this.answers?.answer(question, given);
    this.keep();
  }

  private again(): void {
    this.lesson.value?.questions.forEach((_, i) => this.answers?.forget(i));
    this.keep();
  }

  private keep(): void {
    if (this.answers === null) return;
    this.view.answered(this.answers);
    try {
      sessionStorage.setItem(this.key, this.answers.kept);
    } catch {
      // They hold until the page is left, then.
    }
  }

  private get key(): string {
    return `greenscope.lesson.${this.source?.id ?? ""}`;
  }

  private async save(): Promise<void> {
    const page = this.source?.page;
    if (page == null || this.saving) return;
    this.saving = true;
    this.view.say(t("lesson.saving"));
    try {
      const { file, content } = await page();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(content);
      link.download = file;
      link.click();
      window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      this.view.say(t("lesson.saved", { file }));
    } catch (error) {
      this.view.say(t("lesson.not.saved", { why: error instanceof Error ? error.message : String(error) }));
    }
    this.saving = false;
  }
}

function stored(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}
