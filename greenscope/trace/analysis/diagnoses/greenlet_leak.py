"""Greenlets that become ever more: a line spawns them, and they wait for what does not come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.growth import Growth, more_greenlets
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.words import duration, place

__all__ = ["GreenletLeak"]

_NAMED = 20


class GreenletLeak(Diagnosis):
    """``greenlet-leak``: those that one line spawned, the oldest of them first."""

    id = "greenlet-leak"
    severity = Severity.WARNING
    advice = (
        "See why they do not end: a timeout where they wait, or a kill by whoever spawned them, ends them; a Pool"
        " bounds their number."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line that spawned them."""
        return (self._finding(model, growth) for growth in more_greenlets(model))

    def _finding(self, model: Model, growth: Growth) -> Finding:
        living = sorted(
            (slot for slot in model.slots if slot.spawn_site == growth.site), key=lambda slot: slot.greenlet
        )
        number, there = Counter(slot.site for slot in living).most_common(1)[0]
        who, site, waits_at = model.who(living[0].greenlet), model.site(growth.site), model.site(number)
        live = "live" if model.state == "live" else "lived"
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=(
                f"{len(living)} greenlets spawned at {place(site)} {live}, {growth.more} more than"
                f" {duration(model.now - growth.since)} before; {there} of them are at {place(waits_at)}."
            ),
            advice=self.advice,
            since=growth.since,
            greenlet=who,
            site=site,
            others=tuple(model.who(slot.greenlet) for slot in living[1:_NAMED]),
            evidence=(
                Evidence(f"{growth.more} more greenlets since", growth.since, None, site),
                Evidence(f"{there} of {len(living)} are here", 0, None, waits_at),
            ),
        )
