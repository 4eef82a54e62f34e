/** A lesson while it is gone through: which passage belongs to where one is, and what was answered. */

import type { Passage, Question } from "../protocol/lesson";

export type Piece = string | { code: string };

/** Words in pieces: what stands between back-ticks is code; one that has no other is a back-tick. */
export function piecesOf(words: string): Piece[] {
  const parts = words.split(/`([^`]+)`/);
  return parts.map((part, i) => (i % 2 === 0 ? part : { code: part })).filter((piece) => piece !== "");
}

/** Words without a mark of what is code in them. */
export function plain(words: string): string {
  return piecesOf(words)
    .map((piece) => (typeof piece === "string" ? piece : piece.code))
    .join("");
}

/**
 * The passage that a step belongs to: the last that begins there or before; null before the first.
 *
 * @param chosen the passage that was gone to; of several that begin at its step it is the one
 */
export function passageAt(passages: readonly Passage[], step: number, chosen: number | null = null): number | null {
  if (chosen !== null && passages[chosen]?.step === step) return chosen;
  let found: number | null = null;
  passages.forEach((passage, i) => {
    const best = found === null ? -1 : passages[found]!.step!;
    if (passage.step !== null && passage.step <= step && passage.step > best) found = i;
  });
  return found;
}

/** The next passage that has a step, or the one before; null: there is none. */
export function beside(passages: readonly Passage[], current: number | null, direction: -1 | 1): number | null {
  if (current === null && direction < 0) return null;
  for (let i = (current ?? -1) + direction; 0 <= i && i < passages.length; i += direction) {
    if (passages[i]!.step !== null) return i;
  }
  return null;
}

/** What somebody typed as a number; null: it is none. */
export function numberOf(text: string): number | null {
  const digits = text.normalize("NFKC").trim();
  return /^\d{1,15}$/.test(digits) ? Number(digits) : null;
}

/** What became of each question: the last answer, and whether it was right. */
export interface Answered {
  given: number;
  right: boolean;
}

/** The answers to a lesson's questions. */
export class Answers {
  private readonly given: (Answered | null)[];

  /** @param kept as `kept` gave it once; whatever else it may be, no question is answered then */
  constructor(
    private readonly questions: readonly Question[],
    kept: string | null = null,
  ) {
    const numbers = read(kept);
    this.given = questions.map((_, i) => {
      const number = numbers[i];
      return typeof number === "number" ? this.judge(i, number) : null;
    });
  }

  of(question: number): Answered | null {
    return this.given[question] ?? null;
  }

  answer(question: number, given: number): Answered {
    return (this.given[question] = this.judge(question, given));
  }

  /** It is to be tried again. */
  forget(question: number): void {
    this.given[question] = null;
  }

  /** How many are right. */
  get right(): number {
    return this.given.filter((each) => each?.right).length;
  }

  /** How many are answered. */
  get answered(): number {
    return this.given.filter((each) => each !== null).length;
  }

  /** To be kept for this page. */
  get kept(): string {
    return JSON.stringify(this.given.map((each) => each?.given ?? null));
  }

  private judge(question: number, given: number): Answered {
    return { given, right: given === this.questions[question]!.answer };
  }
}

function read(kept: string | null): unknown[] {
  try {
    const read: unknown = JSON.parse(kept ?? "[]");
    return Array.isArray(read) ? read : [];
  } catch {
    return [];
  }
}
