"""The shape that all diagnoses have: an id, how much it matters, and a check of a model at a moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from greenscope.trace.analysis.finding import Finding, Severity
from greenscope.trace.analysis.model import Model

__all__ = ["Diagnosis"]


class Diagnosis(ABC):
    """One thing that can be wrong. Instances have no state: what they need to know is in the model."""

    id: ClassVar[str]
    """As the commands, the JSON and ``docs/diagnoses.md`` call it; never changed."""
    severity: ClassVar[Severity]
    advice: ClassVar[str]
    """What to do about it, in one sentence or two."""

    @abstractmethod
    def check(self, model: Model) -> Iterator[Finding]:
        """What is wrong by now; each cause once."""
