/**
 * The panel of a lesson: its text in passages, each of which leads to its step, and its questions.
 *
 * What the lesson says is text, never HTML. That an answer is right or wrong is said in words; colour only repeats it.
 */

import { t } from "../../language/language";
import { beside, numberOf, passageAt, piecesOf, type Answers } from "../../model/lesson";
import type { Lesson, Passage, Question } from "../../protocol/lesson";
import { el, setText } from "../dom";
import { icon } from "./chip";

const BACK = "M11 3v10L4 8z";
const ON = "M5 3v10l7-5z";

export interface LessonEvents {
  /** Go to a passage's step. */
  passage(index: number): void;
  move(direction: -1 | 1): void;
  answer(question: number, given: number): void;
  /** Go to where one sees it. */
  look(step: number): void;
  again(): void;
  save(): void;
  /** Where one is. */
  here(): number;
}

export class LessonView {
  private readonly back = el("button", { class: "button icon", "aria-label": t("lesson.back"), title: `${t("lesson.back")} (P)`, "aria-keyshortcuts": "P" });
  private readonly on = el("button", { class: "button icon", "aria-label": t("lesson.on"), title: `${t("lesson.on")} (N)`, "aria-keyshortcuts": "N" });
  private readonly where = el("span", { class: "lesson-where" });
  private readonly saveButton = el("button", { class: "button small lesson-save" }, t("lesson.save"));
  private readonly saved = el("p", { class: "hint lesson-saved", role: "status" });
  private readonly score = el("span", { class: "hint lesson-score", role: "status" });
  private readonly restart = el("button", { class: "button small" }, t("lesson.again"));
  private passages: HTMLElement[] = [];
  private questions: QuestionView[] = [];
  private lesson: Lesson | null = null;
  private current: number | null | undefined;
  /** The passage that is to be seen when the panel is. */
  private hides: HTMLElement | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly events: LessonEvents,
  ) {
    this.back.append(icon(BACK));
    this.on.append(icon(ON));
    this.back.addEventListener("click", () => events.move(-1));
    this.on.addEventListener("click", () => events.move(1));
    this.saveButton.addEventListener("click", () => events.save());
    this.restart.addEventListener("click", () => events.again());
  }

  /** A lesson, or none; `saves`: whether it can be saved as a page. */
  open(lesson: Lesson | null, answers: Answers | null, saves: boolean): void {
    this.root.hidden = lesson === null;
    this.lesson = lesson;
    this.current = undefined;
    this.hides = null;
    this.saveButton.hidden = !saves;
    this.say("");
    if (lesson === null || answers === null) {
      this.root.replaceChildren();
      return;
    }
    this.passages = lesson.passages.map((passage, i) => this.passage(passage, i));
    this.questions = lesson.questions.map((question, i) => new QuestionView(question, i, this.events));
    this.root.replaceChildren(
      el("div", { class: "lesson-head" }, el("h2", {}, ...coded(lesson.title)), this.saveButton),
      this.saved,
      el("p", { class: "lesson-summary" }, ...coded(lesson.summary)),
      el("div", { class: "lesson-moves", role: "group", "aria-label": t("lesson.passages") }, this.back, this.on, this.where),
      el("ol", { class: "passages", role: "list" }, ...this.passages.map((node) => el("li", {}, node))),
    );
    if (lesson.questions.length > 0) {
      this.root.append(
        el("div", { class: "lesson-head questions-head" }, el("h3", {}, t("lesson.questions")), this.score, this.restart),
        ...this.questions.map(({ root }) => root),
      );
    }
    this.answered(answers);
  }

  /** One is at a step; `chosen` is the passage that was gone to. */
  show(step: number, chosen: number | null): void {
    const { lesson } = this;
    if (lesson === null) return;
    for (const question of this.questions) question.here(step);
    const current = passageAt(lesson.passages, step, chosen);
    if (this.hides !== null && this.reveal(this.hides)) this.hides = null;
    if (current === this.current) return;
    this.current = current;
    this.passages.forEach((node, i) => {
      if (i === current) node.setAttribute("aria-current", "step");
      else node.removeAttribute("aria-current");
    });
    const count = lesson.passages.length;
    setText(this.where, current === null ? t("lesson.before") : t("lesson.passage", { number: current + 1, count }));
    this.back.setAttribute("aria-disabled", String(beside(lesson.passages, current, -1) === null));
    this.on.setAttribute("aria-disabled", String(beside(lesson.passages, current, 1) === null));
    const node = current === null ? null : this.passages[current]!;
    this.hides = node !== null && !this.reveal(node) ? node : null;
  }

  /** What became of the questions. */
  answered(answers: Answers): void {
    const count = this.questions.length;
    this.questions.forEach((question, i) => question.show(answers.of(i)));
    setText(this.score, answers.answered === 0 ? t("lesson.none", { count }) : t("lesson.score", { right: answers.right, count }));
    this.restart.hidden = answers.answered === 0;
  }

  /** What became of the page that was to be saved. */
  say(words: string): void {
    this.saved.hidden = words === "";
    setText(this.saved, words);
  }

  private passage({ words, step }: Passage, index: number): HTMLElement {
    if (step === null) return el("div", { class: "passage absent" }, el("p", {}, ...coded(words)), el("p", { class: "hint" }, t("lesson.absent")));
    const button = el("button", { class: "passage", "data-step": step }, el("span", {}, ...coded(words)), el("span", { class: "hint passage-step" }, t("lesson.step", { step })));
    button.addEventListener("click", () => this.events.passage(index));
    return button;
  }

  /** Scrolls the panel so that a passage is seen, and nothing else: the page stays where it is. False: not on screen. */
  private reveal(node: HTMLElement): boolean {
    const { root } = this;
    if (root.clientHeight === 0) return false;
    const top = node.getBoundingClientRect().top - root.getBoundingClientRect().top;
    const head = this.back.parentElement!.offsetHeight + 8;
    if (top < head) root.scrollTop += top - head;
    else if (top + node.offsetHeight > root.clientHeight - 8) {
      root.scrollTop += Math.min(top - head, top + node.offsetHeight - root.clientHeight + 8);
    }
    return true;
  }
}

/** One question. */
class QuestionView {
  readonly root: HTMLElement;
  private readonly said = el("p", { class: "answer-said", role: "status" });
  private readonly look = el("button", { class: "button small", type: "button" });
  private readonly button = el("button", { class: "button small primary", type: "submit" }, t("lesson.answer"));
  private readonly number = el("input", { type: "text", inputmode: "numeric", size: 6, autocomplete: "off", "aria-label": t("lesson.number") });
  private readonly radios: HTMLInputElement[] = [];

  constructor(
    private readonly question: Question,
    index: number,
    private readonly events: LessonEvents,
  ) {
    const { kind, words } = question;
    const form = el(
      "form",
      { class: "question", "data-kind": kind, novalidate: true },
      el("fieldset", {}, el("legend", {}, el("span", { class: "sr-only" }, `${t("lesson.question", { number: index + 1 })} `), ...coded(words)), ...this.inputs(index)),
      this.said,
      this.look,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(index);
    });
    this.look.addEventListener("click", () => question.step !== null && events.look(question.step));
    this.root = form;
  }

  /** The button of a question for a step says which one would be answered. */
  here(step: number): void {
    if (this.question.kind === "step") setText(this.button, t("lesson.here", { step }));
  }

  show(answered: { given: number; right: boolean } | null): void {
    const { question } = this;
    this.root.dataset["answered"] = answered === null ? "" : answered.right ? "right" : "wrong";
    this.look.hidden = answered === null || question.step === null;
    if (question.step !== null) setText(this.look, t("lesson.show", { step: question.step }));
    if (answered === null) {
      this.said.replaceChildren();
      this.number.value = "";
      for (const radio of this.radios) radio.checked = false;
      return;
    }
    if (question.kind === "number" && this.number.value === "") this.number.value = String(answered.given);
    const radio = this.radios[answered.given];
    if (radio !== undefined) radio.checked = true;
    this.say(...(answered.right ? coded(question.right) : [el("strong", {}, t("lesson.wrong")), " ", ...coded(question.hint)]));
  }

  private inputs(index: number): HTMLElement[] {
    const { kind, choices } = this.question;
    if (kind === "number") return [el("div", { class: "answer-row" }, this.number, this.button)];
    if (kind === "step") return [el("p", { class: "hint" }, t("lesson.find")), this.button];
    return [
      ...choices.map((choice, i) => {
        const radio = el("input", { type: "radio", name: `lesson-question-${index}`, value: i });
        this.radios.push(radio);
        return el("label", { class: "choice" }, radio, el("span", {}, ...coded(choice)));
      }),
      this.button,
    ];
  }

  private submit(index: number): void {
    const { kind } = this.question;
    const chosen = this.radios.findIndex(({ checked }) => checked);
    if (kind === "choice" && chosen < 0) this.say(t("lesson.no.choice"));
    else if (kind === "choice") this.events.answer(index, chosen);
    else if (kind === "step") this.events.answer(index, this.events.here());
    else {
      const number = numberOf(this.number.value);
      if (number === null) this.say(t("lesson.no.number"));
      else this.events.answer(index, number);
    }
  }

  private say(...said: (Node | string)[]): void {
    this.said.replaceChildren(...said);
  }
}

/** Words with their code. */
function coded(words: string): (Node | string)[] {
  return piecesOf(words).map((piece) => (typeof piece === "string" ? piece : el("code", {}, piece.code)));
}
