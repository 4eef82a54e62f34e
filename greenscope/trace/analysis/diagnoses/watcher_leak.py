"""Watchers that become ever more: sockets that were used, and are never closed."""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.growth import finding_of, goes_with_greenlets, grown
from greenscope.trace.analysis.finding import Finding, Severity
from greenscope.trace.analysis.model import Model

__all__ = ["WatcherLeak"]


class WatcherLeak(Diagnosis):
    """``watcher-leak``: by the line that made them, which is that of the first wait."""

    id = "watcher-leak"
    severity = Severity.WARNING
    advice = "Close what was opened, by `with` or in a `finally`; bound and expire what keeps connections."

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        watchers = model.rates.watchers
        found = [growth for growth in grown(model, watchers) if not goes_with_greenlets(model, growth)]
        # A socket has one to read and one to write: told is the line where it was first waited on.
        descriptors: set[int] = set()
        going_on = {growth.site: watchers.going_on(growth.site) for growth in found}
        for growth in sorted(found, key=lambda one: int(going_on[one.site]["number"].min(initial=0))):
            its = set(going_on[growth.site]["detail"].tolist())
            if 2 * len(its & descriptors) <= len(its):
                yield finding_of(self, model, watchers, growth, "watchers made", "are open")
            descriptors |= its
