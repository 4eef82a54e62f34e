"""A lesson: a program, and what its recording is told with; and a lesson about one run, in words.

A passage is tied to a step that is found in the run, and its words have places for what the run says. So the same
lesson is true of every run of its program, and of a changed program as far as that does the same. The words are in
tables, ``LANGUAGES``, at the lesson's name and the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenscope.learn.chinese import CHINESE
from greenscope.learn.english import ENGLISH
from greenscope.learn.finding import Step
from greenscope.learn.questions import Answer, Question
from greenscope.learn.run import Run
from greenscope.learn.telling import Value
from greenscope.trace.analysis.narrate.phrases import Say
from greenscope.trace.analysis.narrate.wording import words

__all__ = ["LANGUAGES", "Lesson", "Passage", "as_json", "passage"]

LANGUAGES: Mapping[str, dict[str, str]] = {"en": ENGLISH, "zh": CHINESE}
"""Of each language: the words of every key."""

_PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True)
class Passage:
    """Some sentences, and the step that they are about."""

    key: str
    step: Step
    places: Mapping[str, Value]


def passage(key: str, step: Step, **places: Value) -> Passage:
    """A passage, with what goes into its places."""
    return Passage(key, step, places)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is told of a run.

    Args:
        name: of the lesson, and of its program.
        passages: in the order of their steps.
        questions: of which those are asked that the run answers.
        shows: the passage whose step is the lesson in one picture, by its key.
        places: what goes into the places of its title and its summary.
        fails: whether its program ends with an exception, on purpose.
    """

    name: str
    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]
    shows: str
    places: Mapping[str, Value] = field(default_factory=dict)
    fails: bool = False

    @property
    def program(self) -> Path:
        """The file of its program."""
        return _PROGRAMS / f"{self.name}.py"

    def title(self, language: str) -> str:
        """What it is called."""
        return LANGUAGES[language][f"{self.name}.title"]


def as_json(lesson: Lesson, run: Run, language: str) -> dict[str, Any]:
    """A lesson about one run, as the page has it: ``GET /api/rings/{id}/lesson`` of docs/protocol.md.

    Args:
        lesson: which.
        run: of its program, or of one like it.
        language: one of ``LANGUAGES``.
    """
    told = _Told(lesson.name, run, LANGUAGES[language])
    return {
        "name": lesson.name,
        "title": told.words("title", lesson.places),
        "summary": told.words("summary", lesson.places),
        "passages": [{"words": told.words(one.key, one.places), "step": one.step(run)} for one in lesson.passages],
        "questions": [
            told.question(one, answer) for one in lesson.questions if (answer := one.answer(run)) is not None
        ],
    }


class _Told:
    """The words of a lesson about one run, in one language."""

    def __init__(self, name: str, run: Run, table: dict[str, str]) -> None:
        self._name, self._run, self._table = name, run, table

    def words(self, key: str, places: Mapping[str, Value], **more: str) -> str:
        parts = {name: value(self._run) for name, value in places.items()}
        return words(Say(f"{self._name}.{key}", {**parts, **more}), self._table)

    def question(self, one: Question, answer: Answer) -> dict[str, Any]:
        choices = [self.words(key, places) for key, places in answer.choices]
        places, number = one.places, str(answer.answer)
        return {
            "words": self.words(f"{one.key}?", places, answer=number),
            "kind": answer.kind,
            "choices": choices or list(answer.names),
            "answer": answer.answer,
            "right": self.words(f"{one.key}.right", places, answer=number),
            "hint": self.words(f"{one.key}.hint", places, answer=number),
            "step": answer.step,
        }
