"""What ``greenscope top`` shows, without the showing: a process's hubs, looked at again and again.

Each ring is followed from its oldest event on, so that a first look has a minute of history. What cannot be
looked at any more (a ring that was cut short, or removed) stays as it was seen last, and says so.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from greenscope.cli.hub_view import HubView, newest
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.diagnoses import Finding, Severity, Thresholds
from greenscope.trace.analysis.table import Row, hub_state, rows, stalled_in
from greenscope.trace.examination import Examination, monotonic_ns
from greenscope.trace.records import Site
from greenscope.trace.rings import FoundRing, rings_of

__all__ = ["HISTORY", "FoundIn", "Hub", "Picture", "Watched"]

HISTORY = 120
"""Seconds of load that are shown, if there is room."""

_RATE_NS = 2_000_000_000
_NOW_SECONDS = 2
_SEVERITIES = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub at one moment.

    Args:
        number: its number in the process, from 1.
        view: its table, and what it does itself.
        load: the share of its time that it was away from its poll, lately; None if that is not known.
        history: the same for each of the last ``HISTORY`` seconds, the newest last.
        p50: within how many ns half of those that were ready ran, in the last ten seconds; 0 if none did.
        p99: the same, for 99 of 100.
        waits: how long one that is ready has waited by now.
        events_per_second: in the last two seconds, also what was lost; None before they are over.
        lost: how many records nobody has seen.
        late_ns: how old the newest event is that was read, if there are newer ones.
        findings: what is wrong, the worst first.
        trouble: why it is not looked at any more; empty while it is.
    """

    number: int
    view: HubView
    load: float | None
    history: Sequence[float | None]
    p50: int
    p99: int
    waits: int
    events_per_second: float | None
    lost: int
    late_ns: int
    findings: Sequence[Finding]
    trouble: str = ""

    def wall_ns(self, at: int) -> int:
        """A time of the ring's, since the epoch."""
        return self.view.info.start_wall_ns + at - self.view.info.start_monotonic_ns


@dataclass(frozen=True, slots=True)
class FoundIn:
    """A finding, and where."""

    hub: Hub
    finding: Finding

    @property
    def cause(self) -> tuple[object, ...]:
        """What tells it from the others of the process, and stays the same while it grows."""
        return (self.hub.number, *self.finding.cause)


@dataclass(frozen=True, slots=True)
class Picture:
    """A process at one moment."""

    pid: int
    argv: tuple[str, ...]
    hubs: Sequence[Hub]

    @property
    def lives(self) -> bool:
        """Whether one of its hubs does."""
        return any(hub.view.state == "live" for hub in self.hubs)

    def of(self, number: int | None) -> Sequence[Hub]:
        """The hub of this number; all of them for None."""
        return [hub for hub in self.hubs if number in {None, hub.number}]

    def found(self, number: int | None) -> list[FoundIn]:
        """What is wrong in these hubs, the worst first."""
        found = [FoundIn(hub, finding) for hub in self.of(number) for finding in hub.findings]
        return sorted(found, key=_how_bad)


def _how_bad(found: FoundIn) -> tuple[int, int]:
    finding = found.finding
    return (_SEVERITIES.index(finding.severity), -finding.lasted(found.hub.view.now_ns))


class Watched:
    """A process that is looked at.

    Args:
        directory: where its rings are.
        pid: its number.
        thresholds: from when on something is called wrong.

    Raises:
        GreenscopeError: it has no ring there; the message says who has.
    """

    def __init__(self, directory: Path, pid: int, thresholds: Thresholds) -> None:
        self.pid = pid
        self._directory = directory
        self._thresholds = thresholds
        self._hubs: dict[int, _Followed] = {}
        self._lock = threading.Lock()  # a reader is nothing for two threads
        rings = rings_of(directory, pid)
        self._process = rings[0].process
        self._add(rings)
        if not self._hubs:
            raise GreenscopeError(f"the rings of process {pid} were removed just now")

    def look(self) -> Picture:
        """The process as it is now; takes as long as it takes to read what is new."""
        with self._lock:
            # A number may be another process's by now, which is not the one that was asked for.
            with suppress(GreenscopeError):
                self._add(ring for ring in rings_of(self._directory, self.pid) if ring.process == self._process)
            hubs = [self._hubs[number].look() for number in sorted(self._hubs)]
        return Picture(self.pid, hubs[0].view.info.argv, hubs)

    def stack(self, number: int, row: Row) -> list[Site]:
        """Where a greenlet of a hub parked, and by whom that was called, as far as it was recorded."""
        if row.site is None or not row.site.caller:
            return [] if row.site is None else [row.site]
        with self._lock, suppress(GreenscopeError, OSError):
            return [row.site, *self._hubs[number].examination.reader.stack(row.site.caller)]
        return [row.site]

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            for hub in self._hubs.values():
                hub.examination.close()

    def _add(self, rings: Iterable[FoundRing]) -> None:
        for ring in rings:
            if ring.hub not in self._hubs:
                with suppress(FileNotFoundError):  # it was removed just now
                    self._hubs[ring.hub] = _Followed(Examination(ring.path, self._thresholds))


class _Followed:
    """A hub's ring, and what is kept from one look to the next."""

    def __init__(self, examination: Examination) -> None:
        self.examination = examination
        self._samples: deque[tuple[int, int]] = deque()
        self._last: Hub | None = None

    def look(self) -> Hub:
        if self._last is not None and (self._last.trouble or self._last.view.state != "live"):
            return self._last
        self._last = self._look()
        return self._last

    def _look(self) -> Hub:
        examination, last = self.examination, self._last
        table, findings, trouble = ([], (), "") if last is None else (last.view.rows, last.findings, "")
        unlisted, ended, events, behind = 0, False, [], False
        model, timeline = examination.model, examination.timeline
        try:
            findings = examination.findings()
            behind = examination.behind > 0
            events = newest(examination.path)
            table = rows(model.slots, model.site, model.now)
            unlisted = examination.reader.counters()["slots_lost"]
            ended = examination.reader.end_ns() is not None
        except (GreenscopeError, OSError) as error:
            trouble = f"its ring can no longer be read: {error}"
        # Of what was written while this was read nothing is known yet, but for what the table says.
        now = timeline.last if behind else model.now
        hub = hub_state(events)
        return Hub(
            number=examination.info.hub,
            view=HubView(
                info=examination.info,
                state=examination.state,
                now_ns=max(monotonic_ns(), model.now) if examination.state == "live" else model.now,
                end_known=ended,
                hub=hub,
                rows=table,
                chosen=table,
                stalled_in=stalled_in(events) if hub is None or not hub.polling else (),
                unlisted=unlisted,
            ),
            load=timeline.load.share(now, _NOW_SECONDS),
            history=timeline.load.shares(now, HISTORY),
            p50=timeline.latency.quantile(0.5, now),
            p99=timeline.latency.quantile(0.99, now),
            waits=max((row.for_ns for row in table if row.state == "ready"), default=0),
            events_per_second=self._rate(model.now, timeline.events + timeline.lost),
            lost=timeline.lost,
            late_ns=max(model.now - now, 0),
            findings=findings,
            trouble=trouble,
        )

    def _rate(self, now: int, events: int) -> float | None:
        """Events a second; the first look counts for nothing, as it reads what was there before."""
        samples = self._samples
        samples.append((now, events))
        while len(samples) > 2 and now - samples[1][0] >= _RATE_NS:
            samples.popleft()
        (began, before), (ended, after) = samples[0], samples[-1]
        return (after - before) / ((ended - began) / 1e9) if ended > began else None
