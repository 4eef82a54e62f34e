"""A line that gives way, but takes most of the hub all the same: each run is short of a stall, and the next is near."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model, Waited
from greenscope.trace.analysis.series import stretches
from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import Ready

__all__ = ["Hog", "HogBySlices", "hogs"]

_SECOND = 1_000_000_000
_LOOKED_AT_NS = 2 * _SECOND
_FORGIVEN = 2
_WAITED_PERCENT = 10
_NAMED = 3


class HogBySlices(Diagnosis):
    """``hog-by-slices``: most of the hub's time goes into long runs from one line, and others wait for it."""

    id = "hog-by-slices"
    severity = Severity.WARNING
    advice = (
        "Let it switch more often, with sleep(0) every few milliseconds; have the thread pool do it"
        " (get_hub().threadpool.apply), or another process."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        return (self._finding(model, hog) for hog in hogs(model))

    def _finding(self, model: Model, hog: Hog) -> Finding:
        site = model.site(hog.site)
        who = model.who(hog.greenlets[0])
        others = tuple(model.who(one.greenlet) for one in hog.waited)
        lasted = duration((hog.until or model.now) - hog.since)
        takes = "took" if hog.until or model.state != "live" else "has taken"
        also = f" and {many(len(hog.greenlets) - 1, 'other')}" if len(hog.greenlets) > 1 else ""
        at_a_time = duration(hog.slice_ns)
        ran = Evidence(f"ran for {at_a_time} at a time, {hog.percent} % of the time", hog.since, who, site)
        waited = (
            Evidence(f"could have run for {duration(one.ns)} of {duration(hog.looked_at)}", 0, model.who(one.greenlet))
            for one in hog.waited[:_NAMED]
        )
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=(
                f"{who.name}{also} {takes} {hog.percent} % of the hub for {lasted}, in runs of {at_a_time}"
                f" from {place(site)}; {many(len(others), 'greenlet')} had to wait for it."
            ),
            advice=self.advice,
            since=hog.since,
            until=hog.until,
            greenlet=who,
            site=site,
            others=others,
            evidence=(ran, *waited),
            stack=tuple(model.numbers.stack(hog.site)),
        )


@dataclass(frozen=True, slots=True)
class Hog:
    """One line that takes the hub. ``until`` is 0 while it goes on."""

    site: int
    since: int
    until: int
    percent: int
    slice_ns: int
    """A run, on average."""
    greenlets: tuple[int, ...]
    """Who runs there, the one that does most first."""
    looked_at: int
    """Nanoseconds of the time in which it was counted who waited."""
    waited: tuple[Waited, ...]
    """Who could have run, the longest first."""


def hogs(model: Model) -> list[Hog]:
    """The lines of which that is so, or was in the last seconds, but for those that stall the hub."""
    slices, known = model.rates.slices, model.rates.known_slices
    slices.move_to(known.newest)
    known_ns = known.known
    second = max(_SECOND // slices.width, 1)
    whole = np.ones(second, np.int64)
    known_in = np.convolve(known_ns, whole)[: len(known_ns)]
    enough = known_in >= (_SECOND - slices.width)
    timeline = model.timeline
    going_on = timeline.stall_now(model.now)
    stalls = [*timeline.stalls.kept, *((going_on,) if going_on is not None else ())]
    found: list[Hog] = []
    for site in slices.keys:
        sums = slices.of(site)
        taken = np.convolve(sums, whole)[: len(sums)]
        high = enough & (taken * 100 >= model.thresholds.hog_percent * known_in)
        for whole_second, end in stretches(high, known_ns > 0, _FORGIVEN):
            begin = max(whole_second - second + 1, 0)
            since, until = (slices.first + begin) * slices.width, (slices.first + end) * slices.width
            stalled = any(stall.before == site and (stall.end or model.now) >= since for stall in stalls)
            hog = None if stalled else _hog(model, site, since, until, sums[begin:end], known_ns[begin:end])
            if hog is not None:
                found.append(hog)
    latest: dict[int, Hog] = {hog.site: hog for hog in found}
    return list(latest.values())


def _hog(
    model: Model, site: int, since: int, until: int, sums: npt.NDArray[np.int64], known: npt.NDArray[np.int64]
) -> Hog | None:
    """It, if others had to wait."""
    timeline = model.timeline
    end = min(until, timeline.last)
    begin = max(since, end - _LOOKED_AT_NS)
    spans = timeline.spans(timeline.lanes.ids, begin, end)
    length = spans["end"] - spans["start"]
    runs = spans[
        (spans["state"] == State.RUNNING)
        & (spans["site"] == site)
        & (length >= model.thresholds.hog_slice_ms * 1_000_000)
    ]
    if not len(runs):
        return None
    runs = runs[np.argsort(runs["start"])]
    waited = _waited(model, spans, runs)
    if sum(one.ns for one in waited) * 100 < _WAITED_PERCENT * (end - begin):
        return None
    took: dict[int, int] = {}
    for greenlet, ran in zip(runs["greenlet"].tolist(), (runs["end"] - runs["start"]).tolist(), strict=True):
        took[greenlet] = took.get(greenlet, 0) + ran
    # Many that share a line and its time are a busy service. Each of them may run for long when what it waits for is
    # always there before it asks.
    if max(took.values()) * 2 < sum(took.values()):
        return None
    return Hog(
        site=site,
        since=max(since, timeline.start),
        until=0 if model.now - until <= _SECOND else until,
        percent=min(int(sums.sum()) * 100 // max(int(known.sum()), 1), 100),
        slice_ns=int((runs["end"] - runs["start"]).mean()),
        greenlets=tuple(sorted(took, key=lambda greenlet: -took[greenlet])),
        looked_at=end - begin,
        waited=tuple(waited),
    )


def _waited(model: Model, spans: SpanArray, runs: SpanArray) -> list[Waited]:
    """Who could have run during these runs: who was ready, but had not just given way, or whose time was over."""
    gave_way = (spans["state"] == State.READY) & (spans["reason"] == Ready.YIELD)
    deadline = spans["deadline"].astype(np.int64)
    overdue = (spans["state"] == State.WAITING) & (deadline > spans["start"]) & (deadline < spans["end"])
    waits = (((spans["state"] == State.READY) & ~gave_way) | overdue) & (spans["greenlet"] != model.hub)
    start = np.where(overdue, deadline, spans["start"])[waits]
    # How much of the runs lies before a time is a line with a bend at each of their ends.
    edges = np.stack((runs["start"], runs["end"]), 1).ravel()
    ran = np.concatenate(([0], np.cumsum(runs["end"] - runs["start"])))
    before = np.stack((ran[:-1], ran[1:]), 1).ravel()
    inside = np.interp(spans["end"][waits], edges, before) - np.interp(start, edges, before)
    waited: dict[int, int] = {}
    for greenlet, ns in zip(spans["greenlet"][waits].tolist(), inside.tolist(), strict=True):
        if ns >= 1:
            waited[greenlet] = waited.get(greenlet, 0) + int(ns)
    return sorted((Waited(*each) for each in waited.items()), key=lambda each: (-each.ns, each.greenlet))
