"""What only becomes more: the lines of which so much began and so little ended, evenly, for so long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.population import Population
from greenscope.trace.analysis.words import duration, place

__all__ = ["Growth", "finding_of", "goes_with_greenlets", "grown", "more_greenlets"]

_SECOND = 1_000_000_000
_PIECES = 10
_RISING = 9
_STEPS = 4  # stretches of the series in a piece


@dataclass(frozen=True, slots=True)
class Growth:
    """Of what one line made."""

    site: int
    since: int
    more: int
    """How many more they are than then."""


def grown(model: Model, population: Population) -> list[Growth]:
    """Where it is so by now. An end whose beginning was not seen is taken for one of each line's."""
    begun, ended = population.begun, population.ended
    # Whole stretches only: of the one that goes on the ends may be still to come.
    newest = max(model.timeline.last // begun.width, begun.newest, ended.newest)
    begun.move_to(newest)
    ended.move_to(newest)
    count = _PIECES * _STEPS
    since = (newest - count) * begun.width
    if since < model.rates.known_since:
        return []
    unseen = int(ended.of(0)[-count - 1 : -1].sum())
    found: list[Growth] = []
    for site in begun.keys:
        pieces = (begun.of(site) - ended.of(site))[-count - 1 : -1].reshape(_PIECES, _STEPS).sum(1)
        more = int(pieces.sum())
        even = np.count_nonzero(pieces > 0) >= _RISING and pieces[-1] > 0 and 2 * int(np.abs(pieces).max()) <= more
        if even and more - unseen >= model.thresholds.leak_more:
            found.append(Growth(site, since, more))
    return found


def more_greenlets(model: Model) -> list[Growth]:
    """The lines that spawn ever more greenlets, most of which wait: those that are ready want a turn, and no end."""
    found = []
    for growth in grown(model, model.rates.greenlets):
        living = [slot for slot in model.slots if slot.spawn_site == growth.site]
        idle = sum(slot.state in {"waiting", "spawned"} for slot in living)
        if living and 2 * idle >= len(living):
            found.append(growth)
    return found


def goes_with_greenlets(model: Model, growth: Growth) -> bool:
    """Whether greenlets become more by about as many, each of which has one, or two."""
    return any(one.more <= 2 * growth.more <= 5 * one.more for one in more_greenlets(model))


def finding_of(
    diagnosis: Diagnosis, model: Model, population: Population, growth: Growth, what: str, still: str
) -> Finding:
    """What is said of things that are no greenlets.

    Args:
        diagnosis: whose finding it is.
        model: as it is checked.
        population: where they are counted.
        growth: of them.
        what: they are, and how they began: "timers made".
        still: what those do that have not ended.
    """
    going_on = population.going_on(growth.site)
    who, site = model.who(int(going_on["greenlet"][-1])) if len(going_on) else None, model.site(growth.site)
    latest = f"; the latest is of {who.name}" if who is not None else ""
    return Finding(
        id=diagnosis.id,
        severity=diagnosis.severity,
        sentence=(
            f"{len(going_on)} {what} at {place(site)} {still}, {growth.more} more than"
            f" {duration(model.now - growth.since)} before{latest}."
        ),
        advice=diagnosis.advice,
        since=growth.since,
        greenlet=who,
        site=site,
        evidence=(Evidence(f"{growth.more} more since", growth.since, who, site),),
        stack=tuple(model.numbers.stack(growth.site)),
    )
