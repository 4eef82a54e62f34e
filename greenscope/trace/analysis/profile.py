"""Where the time went, between two moments: what was waited for, how long, where, on whom, and who ended it.

A profile is fed with spans, a piece at a time, and keeps sums. So it takes as much memory for ten million events as
for ten thousand, and needs none of the spans again: it can be told those that a batch ended, or those that a
``Timeline`` keeps. Every time is cut to the window: of what began before it, or goes on after it, only the part
within counts.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.grouped import Grouped, Key
from greenscope.trace.analysis.load import HubLoad
from greenscope.trace.analysis.spans import SPAN, SpanArray, distinct
from greenscope.trace.analysis.spread import Spread
from greenscope.trace.analysis.states import LABELS, POLL, State
from greenscope.trace.analysis.texts import Texts
from greenscope.trace.analysis.timeline import Timeline
from greenscope.trace.events import NO_FD, Ready, Wait
from greenscope.trace.records import Site

__all__ = ["ACCEPT", "READY", "RUNNING", "By", "Part", "Profile", "part_of", "reason_label"]

ACCEPT, READY, RUNNING = 64, 65, 66
"""What a greenlet does that is not a ``Wait`` of its own: it waits for connections; for the hub; it runs."""

_END = 1 << 62
_MOST_TEXTS = 1 << 17
_MOST_PORTS = 16  # a host with more such ports is a host of clients, and shown as one
_CLIENTS_FROM = 1 << 15  # the ports that systems give to who connects
_LISTENS = "listening "


class By(StrEnum):
    """What a profile is made by."""

    LINE = "line"
    STACK = "stack"
    REASON = "reason"
    PEER = "peer"
    RESOURCE = "resource"
    WAKER = "waker"
    LATENCY = "latency"
    LOAD = "load"


class Part(StrEnum):
    """What kind of thing a reason is: those that are meant to last must not hide the others."""

    HUB = "hub"
    """Runs, and waits for the hub."""
    WAIT = "wait"
    """Waits for somebody else: a peer, a lock, a thread."""
    SLEEP = "sleep"
    """Waits for the time that it asked for itself."""
    IDLE = "idle"
    """Waits for work to come."""


_PARTS = {
    RUNNING: Part.HUB,
    READY: Part.HUB,
    Wait.TIMER: Part.SLEEP,
    Wait.YIELD: Part.SLEEP,
    ACCEPT: Part.IDLE,
    POLL: Part.IDLE,
}


def part_of(reason: int) -> Part:
    """What kind of thing a reason is."""
    return _PARTS.get(reason, Part.WAIT)


def reason_label(reason: int) -> str:
    """A reason in a word."""
    return {ACCEPT: "accept", READY: "ready", RUNNING: "running"}.get(reason) or LABELS.get(reason, "other")


class Sites(Protocol):
    """What the numbers of call sites stand for; a ``RingReader`` knows."""

    def site(self, number: int) -> Site | None:
        """A call site."""


class Profile:
    """Sums over spans.

    Args:
        by: what the sums are by.
        sites: what the numbers of call sites stand for.
        begin: the window's begin (CLOCK_MONOTONIC ns).
        end: and its end.
        chosen: says of a greenlet, by number, name and label, whether it counts; None: all do.

    ``grouped`` has the sums; what a key is, is said by ``by``:

    - line, stack: reason, site (that stands for all of the same line, or stack)
    - reason: reason
    - peer: reason, text
    - resource: reason, resource (0: the descriptor says all), descriptor (``NO_FD``: none), text
    - waker: ``Ready``, text (who: a greenlet's name, a peer), text (the sleeper's name), reason, site
    - latency, load: text (a greenlet's name)
    """

    def __init__(
        self,
        by: By,
        sites: Sites,
        begin: int = 0,
        end: int = _END,
        chosen: Callable[[int, str, str], bool] | None = None,
    ) -> None:
        self.by = by
        self.begin, self.end = begin, end
        self.grouped = Grouped()
        self.latency = Spread()
        """How long the greenlets that ran, or would, had waited for the hub."""
        self.load = HubLoad(begin, end)
        self.times = dict.fromkeys(Part, 0)
        """How long greenlets waited, by part; ``HUB``: for the hub. The hub itself is not counted."""
        self.ran = 0
        """How long they ran."""
        self.matched = chosen is None
        """Whether there was any greenlet that counts."""
        self._sites = sites
        self._chosen = chosen
        self._texts = Texts()
        self._places: dict[tuple[str, int, str, int], int] = {}
        self._place_of: dict[int, int] = {0: 0}
        self._parked: SpanArray = np.empty(0, SPAN)  # waits whose end was not followed by another span yet
        self._add: Callable[[SpanArray, npt.NDArray[np.bool_], Timeline], None] = {
            By.LINE: self._add_places, By.STACK: self._add_places, By.REASON: self._add_reasons,
            By.PEER: self._add_peers, By.RESOURCE: self._add_resources, By.LATENCY: self._add_latencies,
            By.LOAD: self._add_runs,
        }.get(by, _add_nothing)  # fmt: skip

    def text(self, number: int) -> str:
        """What a text of a key stands for."""
        return self._texts[number]

    def add(self, spans: SpanArray, timeline: Timeline, going_on: bool = False) -> None:
        """Take up spans, sorted by greenlet and then by time, each later than what its greenlet had before.

        Args:
            spans: they; all that there are, or the load and the wakers are wrong.
            timeline: where they are from.
            going_on: whether they have not ended.
        """
        if self.by is By.LOAD:
            self.load.add(spans, timeline.hub, timeline.gaps_at)
        if self._chosen is not None:
            spans = spans.take(np.flatnonzero(self._counts(spans, timeline)))
        if self.by is By.WAKER:
            self._add_wakers(spans, timeline)
        touches = spans["start"] < self.end
        touches &= (spans["end"] > self.begin) | (spans["start"] >= self.begin)
        spans = spans.take(np.flatnonzero(touches))
        if not len(spans):
            return
        still = (spans["end"] > self.end) | going_on
        np.maximum(spans["start"], self.begin, out=spans["start"])
        np.minimum(spans["end"], self.end, out=spans["end"])
        _place_the_placeless(spans, timeline)
        self._sum_up(spans, timeline)
        self._add(spans, still, timeline)

    def finish(self, timeline: Timeline, now: int) -> None:
        """Take up what goes on. That is the last: a profile is of one moment."""
        self.add(timeline.going_on(now), timeline, going_on=True)
        if self.by is By.LOAD:
            self.load.finish(now, timeline.gaps_at)
        if self.by in {By.PEER, By.WAKER}:
            self._join_clients()

    # -- what is added --------------------------------------------------------------------------

    def _sum_up(self, spans: SpanArray, timeline: Timeline) -> None:
        spans = spans.take(np.flatnonzero(spans["greenlet"] != timeline.hub))
        reasons, lengths = self._reasons(spans, timeline), _lengths(spans)
        for reason in distinct(reasons).tolist():
            total = int(lengths[reasons == reason].sum())
            if reason == RUNNING:
                self.ran += total
            else:
                self.times[part_of(reason)] += total

    def _add_places(self, spans: SpanArray, still: npt.NDArray[np.bool_], timeline: Timeline) -> None:
        waits = np.flatnonzero((spans["state"] == State.WAITING) & (spans["greenlet"] != timeline.hub))
        spans = spans.take(waits)
        self.grouped.add(
            (self._reasons(spans, timeline), self._places_of(spans["site"])), _lengths(spans), spans, still[waits]
        )

    def _add_reasons(self, spans: SpanArray, still: npt.NDArray[np.bool_], timeline: Timeline) -> None:
        some = np.flatnonzero((spans["greenlet"] != timeline.hub) | (spans["state"] == State.WAITING))
        spans = spans.take(some)
        self.grouped.add((self._reasons(spans, timeline),), _lengths(spans), spans, still[some])

    def _add_peers(self, spans: SpanArray, still: npt.NDArray[np.bool_], timeline: Timeline) -> None:
        waits = np.flatnonzero((spans["state"] == State.WAITING) & _for_a_peer(spans))
        spans = spans.take(waits)
        peers = self._texts_of(spans["peer"], timeline)
        self.grouped.add((self._reasons(spans, timeline), peers), _lengths(spans), spans, still[waits])

    def _add_resources(self, spans: SpanArray, still: npt.NDArray[np.bool_], timeline: Timeline) -> None:
        waits = spans["state"] == State.WAITING
        waits &= (spans["about"] != 0) | (spans["fd"] != NO_FD)
        waits &= (spans["reason"] != Wait.TIMER) & (spans["reason"] != Wait.YIELD) & (spans["reason"] != POLL)
        some = np.flatnonzero(waits)
        spans = spans.take(some)
        # A descriptor's watchers come and go with its connections.
        about = np.where(spans["fd"] == NO_FD, spans["about"], 0)
        key = (self._reasons(spans, timeline), about, spans["fd"], self._texts_of(spans["peer"], timeline))
        self.grouped.add(key, _lengths(spans), spans, still[some])

    def _add_latencies(self, spans: SpanArray, still: npt.NDArray[np.bool_], timeline: Timeline) -> None:
        some = np.flatnonzero(spans["state"] == State.READY)
        spans = spans.take(some)
        self.latency.add(_lengths(spans))
        self.grouped.add((self._names_of(spans["greenlet"], timeline),), _lengths(spans), spans, still[some])

    def _add_runs(self, spans: SpanArray, still: npt.NDArray[np.bool_], timeline: Timeline) -> None:
        some = np.flatnonzero((spans["state"] == State.RUNNING) | (spans["state"] == State.STALLED))
        spans = spans.take(some)
        self.grouped.add((self._names_of(spans["greenlet"], timeline),), _lengths(spans), spans, still[some])

    def _add_wakers(self, spans: SpanArray, timeline: Timeline) -> None:
        """Each wait that somebody ended within the window: a ready span follows it, here or in the next piece."""
        greenlets = spans["greenlet"]
        new = np.append(True, greenlets[1:] != greenlets[:-1])[: len(spans)]
        ready = np.flatnonzero(spans["state"] == State.READY)
        before = spans.take(np.maximum(ready - 1, 0))
        at_first = np.flatnonzero(new[ready])
        before["state"][at_first] = State.READY  # no wait, if none is found
        if len(self._parked):
            found = np.searchsorted(self._parked["greenlet"], greenlets[ready[at_first]])
            found[found == len(self._parked)] = 0
            hit = self._parked["greenlet"][found] == greenlets[ready[at_first]]
            before[at_first[hit]] = self._parked[found[hit]]
        self._park(spans, new)
        wakes = spans.take(ready)
        pairs = (before["state"] == State.WAITING) & (before["end"] == wakes["start"])
        pairs &= (wakes["start"] >= self.begin) & (wakes["start"] < self.end)
        pairs &= (wakes["reason"] != Ready.YIELD) & (wakes["greenlet"] != timeline.hub)
        some = np.flatnonzero(pairs)
        self._add_pairs(before.take(some), wakes.take(some), timeline)

    def _park(self, spans: SpanArray, new: npt.NDArray[np.bool_]) -> None:
        lasts = np.flatnonzero(np.append(new[1:], True)[: len(spans)])
        parked = spans.take(lasts[spans["state"][lasts] == State.WAITING])
        seen = np.isin(self._parked["greenlet"], spans["greenlet"][lasts])
        both = np.concatenate((self._parked[~seen], parked))
        self._parked = both.take(np.argsort(both["greenlet"], kind="stable"))

    def _add_pairs(self, waits: SpanArray, wakes: SpanArray, timeline: Timeline) -> None:
        np.maximum(waits["start"], self.begin, out=waits["start"])
        _place_the_placeless(waits, timeline)
        reason = wakes["reason"]
        who = np.zeros(len(wakes), np.int64)
        by_greenlet = np.flatnonzero(np.isin(reason, (Ready.GREENLET, Ready.KILL, Ready.CLOSE)))
        who[by_greenlet] = self._names_of(wakes["about"][by_greenlet], timeline)
        by_peer = np.flatnonzero((reason == Ready.WATCHER) & _for_a_peer(waits))
        who[by_peer] = self._texts_of(waits["peer"][by_peer], timeline)
        nameless = by_peer[who[by_peer] == 0]
        who[nameless] = self._numbers_of(waits["fd"][nameless], lambda fd: "" if fd == NO_FD else f"fd {fd}")
        names = self._names_of(wakes["greenlet"], timeline)
        key = (reason, who, names, self._reasons(waits, timeline), self._places_of(waits["site"]))
        self.grouped.add(key, _lengths(waits), waits)

    # -- numbers --------------------------------------------------------------------------------

    def _reasons(self, spans: SpanArray, timeline: Timeline) -> npt.NDArray[np.uint8]:
        state = spans["state"]
        reasons = np.where(spans["reason"] <= max(LABELS), spans["reason"], Wait.OTHER).astype(np.uint8)
        reads = np.flatnonzero((state == State.WAITING) & (reasons == Wait.READ) & (spans["peer"] != 0))
        if len(reads):
            peers = spans["peer"][reads]
            listening = [peer for peer in distinct(peers).tolist() if timeline.lanes.text(peer).startswith(_LISTENS)]
            reasons[reads[np.isin(peers, listening)]] = ACCEPT
        reasons[state == State.READY] = READY
        reasons[(state == State.RUNNING) | (state == State.STALLED)] = RUNNING
        return reasons

    def _numbers_of(self, values: npt.NDArray[np.integer], text: Callable[[int], str]) -> npt.NDArray[np.int64]:
        """The texts of values, as numbers of our own: those of a timeline do not last."""
        which = distinct(values)
        numbers = np.array([self._number(text(value)) for value in which.tolist()], np.int64)
        return numbers[np.searchsorted(which, values)]

    def _number(self, text: str) -> int:
        # Beyond that many one is not told from the other: they are "?".
        return self._texts.number(text if len(self._texts) < _MOST_TEXTS else "?")

    def _texts_of(self, texts: npt.NDArray[np.integer], timeline: Timeline) -> npt.NDArray[np.int64]:
        return self._numbers_of(texts, timeline.lanes.text)

    def _names_of(self, greenlets: npt.NDArray[np.uint64], timeline: Timeline) -> npt.NDArray[np.int64]:
        """Names and not labels: ten thousand connections that one function serves are one sleeper."""
        rows, known = timeline.lanes.find(greenlets)
        names = np.where(known, timeline.lanes.rows["name"][rows] if len(timeline.lanes) else 0, 1)
        return self._texts_of(names, timeline)

    def _counts(self, spans: SpanArray, timeline: Timeline) -> npt.NDArray[np.bool_]:
        assert self._chosen is not None
        greenlets = distinct(spans["greenlet"])
        chosen = np.zeros(len(greenlets), bool)
        lanes = timeline.lanes
        rows, known = lanes.find(greenlets)
        for at in np.flatnonzero(known).tolist():
            number, row = int(greenlets[at]), lanes.rows[rows[at]]
            name = lanes.text(int(row["name"]))
            chosen[at] = self._chosen(number, name, f"{name} #{number}" if row["numbered"] else name)
        self.matched |= bool(chosen.any())
        return chosen[np.searchsorted(greenlets, spans["greenlet"])]

    def _places_of(self, sites: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        which = distinct(sites)
        places = np.array([self._place(site) for site in which.tolist()], np.int64)
        return places[np.searchsorted(which, sites)]

    def _place(self, number: int) -> int:
        """The site that stands for all of its line; of its stack, if it is by that."""
        found = self._place_of.get(number)
        if found is not None:
            return found
        chain: list[tuple[int, Site | None]] = []
        at = number
        while at not in self._place_of:
            site = self._sites.site(at)
            chain.append((at, site))
            # A caller is there before who calls from it; in a damaged file they may call each other in a circle.
            if site is None or self.by is not By.STACK or site.caller >= at:
                break
            at = site.caller
        for at, site in reversed(chain):
            if site is None:
                self._place_of[at] = 0
                continue
            caller = self._place_of.get(site.caller, 0) if self.by is By.STACK else 0
            self._place_of[at] = self._places.setdefault((site.file, site.line, site.function, caller), at)
        return self._place_of[number]

    def _join_clients(self) -> None:
        """The many ports of a host are clients, which come and go: one row."""
        column = 1
        ports: dict[str, set[int]] = {}
        for each in self.grouped.sums():
            if each.key:
                host, _, port = self._texts[each.key[column]].rpartition(":")
                if host and port.isdecimal() and int(port) >= _CLIENTS_FROM:
                    ports.setdefault(host, set()).add(each.key[column])
        joined = {
            number: self._texts.number(f"{host}:* ({len(numbers)} ports)")
            for host, numbers in ports.items()
            if len(numbers) > _MOST_PORTS
            for number in numbers
        }

        def into(key: Key) -> Key:
            number = joined.get(key[column])
            return key if number is None else (*key[:column], number, *key[column + 1 :])

        if joined:
            self.grouped.merge(into)


def _add_nothing(spans: SpanArray, still: npt.NDArray[np.bool_], timeline: Timeline) -> None:
    """A waker's are added before they are cut."""


def _place_the_placeless(spans: SpanArray, timeline: Timeline) -> None:
    """Who waits in no line of the program, as a server that accepts does, is told by the line that spawned it."""
    placeless = (spans["site"] == 0) & (spans["state"] == State.WAITING) & (spans["greenlet"] != timeline.hub)
    placeless = np.flatnonzero(placeless)
    rows, known = timeline.lanes.find(spans["greenlet"][placeless])
    spans["site"][placeless[known]] = timeline.lanes.rows["spawn_site"][rows[known]]


def _lengths(spans: SpanArray) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(spans["end"] - spans["start"])


def _for_a_peer(spans: SpanArray) -> npt.NDArray[np.bool_]:
    return np.isin(spans["reason"], (Wait.READ, Wait.WRITE))
