import { describe, expect, it } from "vitest";
import { Answers, beside, numberOf, passageAt, piecesOf } from "../../src/model/lesson";
import type { Question } from "../../src/protocol/lesson";

const at = (...steps: (number | null)[]) => steps.map((step) => ({ words: "", step }));
const asks = (...answers: number[]): Question[] => answers.map((answer) => ({ words: "", kind: "number", choices: [], answer, right: "", hint: "", step: null }));

describe("words", () => {
  it.each([
    ["plain", ["plain"]],
    ["`recv` asks", [{ code: "recv" }, " asks"]],
    ["ask `a` and `b`.", ["ask ", { code: "a" }, " and ", { code: "b" }, "."]],
    ["one ` alone", ["one ` alone"]],
    ["`<b>` is no tag", [{ code: "<b>" }, " is no tag"]],
    ["", []],
  ])("%j", (words, pieces) => expect(piecesOf(words)).toEqual(pieces));
});

describe("the passage of a step", () => {
  it("is the last that begins there or before", () => {
    const passages = at(3, 7, 12);
    expect([0, 2, 3, 6, 7, 11, 12, 99].map((step) => passageAt(passages, step))).toEqual([null, null, 0, 0, 1, 1, 2, 2]);
  });
  it("is none that did not happen", () => expect(passageAt(at(3, null, 9), 8)).toBe(0));
  it("is the first of those that begin at the same step, unless another was gone to", () => {
    const passages = at(3, 7, 7, 9);
    expect(passageAt(passages, 7)).toBe(1);
    expect(passageAt(passages, 7, 2)).toBe(2);
    expect(passageAt(passages, 8, 2)).toBe(1);
    expect(passageAt(passages, 7, 99)).toBe(1);
  });
  it("is found in whatever order they are", () => expect(passageAt(at(9, 3, 6), 7)).toBe(2));
  it("is none where there are none", () => expect(passageAt([], 7)).toBeNull());
});

describe("the passage beside", () => {
  const passages = at(3, null, 9);
  it("passes over what did not happen", () => {
    expect(beside(passages, 0, 1)).toBe(2);
    expect(beside(passages, 2, -1)).toBe(0);
  });
  it("is none at the ends", () => {
    expect(beside(passages, 2, 1)).toBeNull();
    expect(beside(passages, 0, -1)).toBeNull();
  });
  it("of none is the first", () => {
    expect(beside(passages, null, 1)).toBe(0);
    expect(beside(passages, null, -1)).toBeNull();
  });
});

it.each([
  ["3", 3],
  [" 12 ", 12],
  ["１２", 12],
  ["", null],
  ["two", null],
  ["-1", null],
  ["1.5", null],
  ["1e3", null],
  ["9999999999999999", null],
])("%j as a number is %j", (text, number) => expect(numberOf(text)).toBe(number));

describe("answers", () => {
  it("are right or not, and can be given again", () => {
    const answers = new Answers(asks(2, 0));
    expect(answers.answer(0, 3)).toEqual({ given: 3, right: false });
    expect([answers.answered, answers.right]).toEqual([1, 0]);
    answers.forget(0);
    expect(answers.of(0)).toBeNull();
    expect(answers.answer(0, 2).right).toBe(true);
    expect(answers.answer(1, 0).right).toBe(true);
    expect([answers.answered, answers.right]).toEqual([2, 2]);
  });
  it("are kept", () => {
    const answers = new Answers(asks(2, 0, 7));
    answers.answer(0, 2);
    answers.answer(2, 5);
    const again = new Answers(asks(2, 0, 7), answers.kept);
    expect([0, 1, 2].map((i) => again.of(i))).toEqual([{ given: 2, right: true }, null, { given: 5, right: false }]);
  });
  it.each(["", "{}", "nonsense", '["2"]', "[null, 1, 2, 3]", "null", "7"])("of %j are none to the first", (kept) => {
    expect(new Answers(asks(2, 0), kept).of(0)).toBeNull();
  });
});
