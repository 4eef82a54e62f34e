"""A greenlet that keeps the hub: it ran longer than the threshold, and nobody else of its thread did anything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.long_runs import LongRun, long_runs
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.words import duration, many, place

__all__ = ["HubBlocked"]

_NAMED = 3


class HubBlocked(Diagnosis):
    """``hub-blocked``: runs at one line, the longest first."""

    id = "hub-blocked"
    severity = Severity.CRITICAL
    advice = (
        "Let it switch in between, with sleep(0) every few milliseconds; have the thread pool do it"
        " (get_hub().threadpool.apply), or another process."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line that such runs were in."""
        at_line: dict[object, list[LongRun]] = {}
        for run in long_runs(model):
            at_line.setdefault(run.site or run.greenlet.id, []).append(run)
        return (self._finding(model, runs) for runs in at_line.values())

    def _finding(self, model: Model, runs: list[LongRun]) -> Finding:
        now = model.now
        worst = max(runs, key=lambda run: run.lasted(now))
        kept = model.ready_during(worst.start, worst.end or now)
        took = duration(worst.lasted(now))
        verb = "has kept" if worst.going_on and model.state == "live" else "kept"
        sentence = f"{worst.greenlet.name} {verb} the hub for {took}, at {place(worst.site)}"
        if len(runs) > 1:
            total = sum(run.lasted(now) for run in runs)
            sentence += f", the longest of {len(runs)} such runs, {duration(total)} in all"
        if kept:
            sentence += f"; {many(len(kept), 'greenlet')} could have run meanwhile"
        seen = (Evidence("ran, and did not switch", run.start, run.greenlet, run.site) for run in runs[-_NAMED:])
        waited = (Evidence(f"could have run for {duration(one.ns)} of it", 0, model.who(one.greenlet)) for one in kept)
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=f"{sentence}.",
            advice=self.advice,
            since=worst.start,
            until=worst.end,
            greenlet=worst.greenlet,
            site=worst.site,
            others=tuple(model.who(one.greenlet) for one in kept),
            count=len(runs),
            evidence=tuple(chain(seen, list(waited)[:_NAMED])),
            stack=worst.frames,
        )
