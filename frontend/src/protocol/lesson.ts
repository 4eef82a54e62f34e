/** A lesson about one recording, as a type: what `/api/rings/{id}/lesson` answers. Its words may have `code` in back-ticks. */

export interface Passage {
  words: string;
  /** Null: this did not happen in this recording. */
  step: number | null;
}

export interface Question {
  words: string;
  kind: "number" | "choice" | "step";
  /** Of a choice. */
  choices: string[];
  /** The number, the index of the choice, or the step. */
  answer: number;
  /** Said after a right answer. */
  right: string;
  /** Said after a wrong one. */
  hint: string;
  /** Where one sees it. */
  step: number | null;
}

export interface Lesson {
  name: string;
  title: string;
  summary: string;
  passages: Passage[];
  questions: Question[];
}
