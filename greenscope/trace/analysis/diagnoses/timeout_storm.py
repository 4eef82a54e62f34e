"""Timeouts that fire, and fire, at one line: what is waited for there no longer comes in time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.series import stretches
from greenscope.trace.analysis.words import duration, many, place

__all__ = ["TimeoutStorm"]

_WINDOW_NS = 2_000_000_000
_FORGIVEN = 4


class TimeoutStorm(Diagnosis):
    """``timeout-storm``: so many a second that one line started, and at least half of those that ended."""

    id = "timeout-storm"
    severity = Severity.WARNING
    advice = (
        "See whether whom the line waits for is up, and not asked more than it can do; if it is only slow, give it"
        " more time, or stop asking for a while after several timeouts."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        fired, over = model.rates.fired, model.rates.over
        newest = max(fired.newest, over.newest, model.timeline.last // fired.width)
        fired.move_to(newest)
        over.move_to(newest)
        window = np.ones(_WINDOW_NS // fired.width, np.int64)
        enough = model.thresholds.storm_per_s * _WINDOW_NS // 1_000_000_000
        for site in fired.keys:
            fires, ends = fired.of(site), over.of(site)
            lately = np.convolve(fires, window)[: len(fires)]
            high = (lately >= enough) & (2 * lately >= np.convolve(ends, window)[: len(ends)])
            found = stretches(high, np.ones(len(high), bool), _FORGIVEN)
            if found:
                begin, end = found[-1]
                begin = max(begin - len(window) + 1, 0)
                yield self._finding(model, site, begin, end, int(fires[begin:end].sum()), int(ends[begin:end].sum()))

    def _finding(self, model: Model, number: int, begin: int, end: int, fires: int, ends: int) -> Finding:
        fired = model.rates.fired
        site, who = model.site(number), model.who(fired.about(number))
        since, until = max((fired.first + begin) * fired.width, model.timeline.start), (fired.first + end) * fired.width
        goes_on = model.now - until <= _FORGIVEN * fired.width
        lasted = duration((model.now if goes_on else until) - since)
        have = "have fired" if goes_on and model.state == "live" else "fired"
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=(
                f"{many(fires, 'timeout')} of {place(site)} {have} within {lasted}, of {ends} that ended; the last in"
                f" {who.name}."
            ),
            advice=self.advice,
            since=since,
            until=0 if goes_on else until,
            greenlet=who,
            site=site,
            count=fires,
            evidence=(Evidence(f"{fires} of {ends} timeouts fired", since, who, site),),
            stack=tuple(model.numbers.stack(number)),
        )
