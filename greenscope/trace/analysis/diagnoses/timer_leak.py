"""Timeouts and timers that become ever more: started at a line, and never stopped."""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.growth import finding_of, goes_with_greenlets, grown
from greenscope.trace.analysis.finding import Finding, Severity
from greenscope.trace.analysis.model import Model

__all__ = ["TimerLeak"]


class TimerLeak(Diagnosis):
    """``timer-leak``: timeouts by the line that started them, timers by the line that made them."""

    id = "timer-leak"
    severity = Severity.WARNING
    advice = "Use `with Timeout(…)`, or cancel it in a `finally`; stop a timer of the loop that is not wanted any more."

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        rates = model.rates
        for what, population in (("timeouts started", rates.timeouts), ("timers made", rates.timers)):
            for growth in grown(model, population):
                if not goes_with_greenlets(model, growth):
                    yield finding_of(self, model, population, growth, what, "count on")
