"""Questions about a run, whose answers are read off the run.

Four forms of what the page knows as three kinds: a number; a choice between sentences, each of which holds or does
not; a choice between the greenlets; a step to be found. A question that this run does not answer is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from greenscope.learn.finding import Step
from greenscope.learn.run import Run
from greenscope.learn.telling import Value
from greenscope.trace.analysis.replay import greenlets

__all__ = ["Answer", "Choice", "Number", "Option", "Question", "Where", "Whose", "whom"]

_MOST_CHOICES = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """What is right, in one run."""

    kind: Literal["number", "choice", "step"]
    answer: int
    """The number, the index of the choice, or the step."""
    step: int | None
    """Where one sees it."""
    choices: tuple[tuple[str, Mapping[str, Value]], ...] = ()
    """Of a choice between sentences: their keys and places."""
    names: tuple[str, ...] = ()
    """Of a choice between greenlets: they."""


class Question(Protocol):
    """One question. Its words are at ``key`` with a "?", with ".right" and with ".hint"."""

    @property
    def key(self) -> str:
        """Its name in the tables, after the lesson's."""

    @property
    def places(self) -> Mapping[str, Value]:
        """What goes into its words; ``answer`` is there, too."""

    def answer(self, run: Run) -> Answer | None:
        """What is right in this run; None: it does not say."""


@dataclass(frozen=True, slots=True)
class Number:
    """How many?

    Args:
        seen: the step at which one sees it.
    """

    key: str
    number: Callable[[Run], int | None]
    seen: Step
    places: Mapping[str, Value] = field(default_factory=dict)

    def answer(self, run: Run) -> Answer | None:
        """As of ``Question``."""
        number = self.number(run)
        return None if number is None else Answer("number", number, self.seen(run))


@dataclass(frozen=True, slots=True)
class Option:
    """One of the sentences to choose from, and when it is the right one."""

    key: str
    holds: Callable[[Run], bool]
    places: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of these? Right is the first that holds."""

    key: str
    options: tuple[Option, ...]
    seen: Step
    places: Mapping[str, Value] = field(default_factory=dict)

    def answer(self, run: Run) -> Answer | None:
        """As of ``Question``."""
        right = next((index for index, option in enumerate(self.options) if option.holds(run)), None)
        if right is None:
            return None
        choices = tuple((f"{self.key}.{option.key}", option.places) for option in self.options)
        return Answer("choice", right, self.seen(run), choices)


@dataclass(frozen=True, slots=True)
class Whose:
    """Who is it? A choice between the greenlets, those that were there first."""

    key: str
    whose: Callable[[Run], int | None]
    seen: Step
    places: Mapping[str, Value] = field(default_factory=dict)

    def answer(self, run: Run) -> Answer | None:
        """As of ``Question``."""
        number = self.whose(run)
        if not number:
            return None
        there = greenlets(run.replay)[:_MOST_CHOICES]
        if number != run.hub and number not in there:
            there[-1:] = [number]
        there.append(run.hub)
        return Answer("choice", there.index(number), self.seen(run), names=tuple(map(run.label, there)))


@dataclass(frozen=True, slots=True)
class Where:
    """Which step?"""

    key: str
    step: Step
    places: Mapping[str, Value] = field(default_factory=dict)

    def answer(self, run: Run) -> Answer | None:
        """As of ``Question``."""
        step = self.step(run)
        return None if step is None else Answer("step", step, step)


def whom(step: Step) -> Callable[[Run], int | None]:
    """Whom a step is about, for ``Whose``."""

    def number(run: Run) -> int | None:
        found = step(run)
        return None if found is None else run.event(found).greenlet

    return number
