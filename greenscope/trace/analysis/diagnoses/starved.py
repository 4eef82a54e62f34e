"""A greenlet that was woken and did not get to run: no single run was long, but there were too many of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.hog_by_slices import hogs
from greenscope.trace.analysis.diagnoses.long_runs import long_runs
from greenscope.trace.analysis.diagnoses.spin import spinning
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.rates import STANDS_BACK, Late
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.records import Site

__all__ = ["Starved"]

_MS = 1_000_000
_LOOKED_AT_NS = 2_000_000_000
_EPISODES = 5
_NAMED = 3


class Starved(Diagnosis):
    """``starved``: who was ready for too long, by the line that ran instead."""

    id = "starved"
    severity = Severity.WARNING
    advice = (
        "Have fewer of them run at a time (a Pool), or do less between two waits; have the thread pool do it"
        " (get_hub().threadpool.apply), or more processes."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line that ran instead, and one for all that no line is the reason of."""
        late = _late(model)
        if not late:
            return
        causes: dict[int, list[_Instead]] = {}
        for episode in _episodes(late):
            instead = _instead(model, episode)
            if instead is not None:
                causes.setdefault(instead.site, []).append(instead)
        if not causes:
            return
        told = {hog.site for hog in hogs(model)} | set(spinning(model))
        for site, found in causes.items():
            if site not in told:
                worst = max(found, key=lambda one: _lasted(one.late))
                yield self._finding(model, worst, [one for one in late if any(_meet(one, it.late) for it in found)])

    def _finding(self, model: Model, instead: _Instead, late: list[Late]) -> Finding:
        worst = instead.late
        sufferer, waits_at = model.who(worst.greenlet), _waited_at(model, worst)
        site = model.site(instead.site) if instead.site else waits_at
        ran = tuple(instead.ran)
        names = dict.fromkeys(one.greenlet for one in sorted(late, key=_lasted, reverse=True))
        verb = "has been" if model.state == "live" and worst.end >= model.now else "was"
        others = f" and {many(len(ran) - 1, 'other')}" if len(ran) > 1 else ""
        share = f", {instead.percent} % of the time from {place(site)}" if instead.site else ""
        sentence = (
            f"{sufferer.name} {verb} ready for {duration(_lasted(worst))} before it ran;"
            f" {model.who(ran[0]).name}{others} ran instead{share}."
        )
        runners = (
            Evidence(f"ran for {duration(instead.ran[greenlet])} of that time", 0, model.who(greenlet))
            for greenlet in ran[:_NAMED]
        )
        culprit = model.who(ran[0]) if instead.site else sufferer
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=sentence,
            advice=self.advice,
            since=worst.start,
            until=0 if worst.end >= model.now else worst.end,
            greenlet=culprit,
            site=site,
            others=tuple(model.who(greenlet) for greenlet in (names if instead.site else ran)),
            count=len(late),
            evidence=(Evidence("was ready, and did not run", worst.start, sufferer, waits_at), *runners),
            stack=tuple(model.numbers.stack(instead.site)) if instead.site else (),
        )


@dataclass(frozen=True, slots=True)
class _Instead:
    """Who ran while a greenlet was ready."""

    late: Late
    site: int
    """The line from which most of it was; 0 if none is half of it."""
    percent: int
    ran: dict[int, int]
    """Nanoseconds that each greenlet ran there, or anywhere if there is no line, most first."""


def _lasted(late: Late) -> int:
    return late.end - late.start


def _meet(one: Late, other: Late) -> bool:
    return one.start < other.end and other.start < one.end


def _late(model: Model) -> list[Late]:
    """All that were ready for too long, and still are; of what is not forgotten."""
    shortest = model.thresholds.starved_ms * _MS
    late = [one for one in model.rates.late if one.start >= model.timeline.forgotten_until]
    late += [
        Late(slot.greenlet, slot.since_ns, model.now)
        for slot in model.slots
        if slot.state == "ready" and slot.reason not in STANDS_BACK and model.now - slot.since_ns >= shortest
    ]
    return late


def _episodes(late: list[Late]) -> list[Late]:
    """The longest, and the longest of the rest that do not meet it, and so on: a few."""
    found: list[Late] = []
    for one in sorted(late, key=_lasted, reverse=True):
        if not any(_meet(one, other) for other in found):
            found.append(one)
            if len(found) == _EPISODES:
                break
    return found


def _instead(model: Model, late: Late) -> _Instead | None:
    """Who ran meanwhile; None if a stall is the reason, or nothing is known of it."""
    end = late.end
    start = max(late.start, end - _LOOKED_AT_NS)
    stalled = sum(max(min(run.end or end, end) - max(run.start, start), 0) for run in long_runs(model))
    if 2 * stalled >= end - start:
        return None
    lanes = model.timeline.lanes
    spans = model.timeline.spans(lanes.ids, start, end)
    runs = spans[(spans["state"] == State.RUNNING) & (spans["greenlet"] != model.hub)]
    if not len(runs):
        return None
    length = np.minimum(runs["end"], end) - np.maximum(runs["start"], start)
    total = max(int(length.sum()), 1)
    # Who runs for the first time goes on from where it was spawned.
    rows, _ = lanes.find(runs["greenlet"])
    sites = np.where(runs["site"] != 0, runs["site"], lanes.rows["spawn_site"][rows])
    which, where = np.unique(sites, return_inverse=True)
    by_site = np.bincount(where, length)
    most = int(np.argmax(by_site))
    site = int(which[most]) if 2 * by_site[most] >= total else 0
    there = where == most if site else np.ones(len(runs), bool)
    ran: dict[int, int] = {}
    for greenlet, ns in zip(runs["greenlet"][there].tolist(), length[there].tolist(), strict=True):
        ran[greenlet] = ran.get(greenlet, 0) + ns
    percent = int(by_site[most]) * 100 // max(end - start, 1)
    return _Instead(late, site, percent, dict(sorted(ran.items(), key=lambda one: (-one[1], one[0]))))


def _waited_at(model: Model, late: Late) -> Site | None:
    """Where a greenlet had waited before it was ready."""
    lane = model.timeline.lanes.get(late.greenlet)
    span = lane.span_at(late.start - 1, model.now) if lane is not None else None
    slot = model.slot(late.greenlet)
    number = span.site if span is not None and span.state is State.WAITING else slot.site if slot is not None else 0
    return model.site(number)
