"""A wait that nobody is left to end: who held the lock, fed the queue or was to be started is gone, or never came.

Whether somebody could still come is not in the recording, and most queues are idle at times. So a queue or an event
is told only if all who ever ended a wait for it are few and gone, the last of them by an error, or somebody waits for
this greenlet to end; and if nobody is about who does what they did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity, Who
from greenscope.trace.analysis.holders import awaited, thing
from greenscope.trace.analysis.model import Model, is_of_program
from greenscope.trace.analysis.wakers import OTHERS
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import NOT_STARTED, Exit, Spawn, Wait
from greenscope.trace.records import GreenletSlot

__all__ = ["OrphanWait"]

_OFTEN = 3
_KINDS = {Wait.QUEUE: "queue", Wait.EVENT: "event"}
_FED = {Wait.QUEUE: "fed", Wait.EVENT: "set"}
_ENDED = {Exit.RETURNED: "ended", Exit.RAISED: "ended with an exception", Exit.KILLED: "was killed"}


@dataclass(frozen=True, slots=True)
class _Orphan:
    slot: GreenletSlot
    why: str
    since: int
    gone: tuple[Who, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class OrphanWait(Diagnosis):
    """``orphan-wait``: who waits in vain at one line."""

    id = "orphan-wait"
    severity = Severity.CRITICAL
    advice = (
        "Release what you hold in a finally, or hold it with a with; put an end mark, or the error, into the queue"
        " when its producer ends; start a greenlet before you join it."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        longest = model.thresholds.orphan_ms * 1_000_000
        together: dict[tuple[int, str], list[_Orphan]] = {}
        for orphan in _orphans(model):
            if model.now - orphan.since >= longest:
                together.setdefault((orphan.slot.site, orphan.why), []).append(orphan)
        at_line: dict[int, list[_Orphan]] = {}
        for orphans in together.values():
            at_line.setdefault(orphans[0].slot.site, []).extend(orphans)
        return (self._finding(model, orphans) for orphans in at_line.values())

    def _finding(self, model: Model, orphans: list[_Orphan]) -> Finding:
        worst = min(orphans, key=lambda orphan: (orphan.since, orphan.slot.since_ns, orphan.slot.greenlet))
        slot = worst.slot
        who, site = model.who(slot.greenlet), model.site(slot.site)
        others = tuple(model.who(orphan.slot.greenlet) for orphan in orphans if orphan is not worst)
        waited = f"and {many(len(others), 'other')} have waited" if others else "has waited"
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=f"{who.name} {waited} for {duration(model.now - slot.since_ns)} {worst.why}, at {place(site)}.",
            advice=self.advice,
            since=worst.since,
            greenlet=who,
            site=site,
            resource=_resource(slot),
            others=others + worst.gone,
            evidence=(Evidence(f"waits for {_resource(slot)}, no deadline", slot.since_ns, who, site), *worst.evidence),
            stack=tuple(model.numbers.stack(slot.site)),
        )


def _resource(slot: GreenletSlot) -> str:
    return f"{_KINDS[Wait(slot.reason)]} {slot.resource}" if slot.reason in _KINDS else thing(slot)


def _orphans(model: Model) -> Iterator[_Orphan]:
    whom = awaited(model)
    joined = {
        other for one, other in whom.items() if (slot := model.slot(one)) is not None and slot.reason == Wait.JOIN
    }
    for slot in model.waiting():
        if slot.deadline_ns:
            continue
        other = whom.get(slot.greenlet, 0)
        orphan = None
        if slot.reason == Wait.JOIN and other == NOT_STARTED:
            orphan = _Orphan(slot, "for a greenlet to end that was never started", slot.since_ns)
        elif slot.reason == Wait.LOCK and other and other != NOT_STARTED:
            orphan = _of_lock(model, slot, other)
        elif slot.reason in _KINDS:
            orphan = _of_producers(model, slot, slot.greenlet in joined or slot.spawn_reason == Spawn.MAIN)
        if orphan is not None:
            yield orphan


def _of_lock(model: Model, slot: GreenletSlot, holder: int) -> _Orphan | None:
    ended = _ended(model, holder)
    if ended is None:
        return None
    who, (at, how) = model.who(holder), ended
    return _Orphan(
        slot,
        f"for {thing(slot)}, which {who.name} held when it {how}",
        max(slot.since_ns, at),
        (who,),
        (Evidence(f"{how}, and had not released {thing(slot)}", at, who),),
    )


def _of_producers(model: Model, slot: GreenletSlot, is_wanted: bool) -> _Orphan | None:
    """A wait for a queue or an event; ``is_wanted``: somebody waits for its greenlet to end."""
    site = model.site(slot.site)
    if site is None or not is_of_program(site):  # a library's worker waits for its next job as long as it takes
        return None
    wakers = model.wakers.of(slot.resource)
    wakers.pop(slot.greenlet, None)
    if not wakers or OTHERS in wakers or sum(waker.times for waker in wakers.values()) < _OFTEN:
        return None
    ends = {}
    for one in wakers:
        ended, lane = _ended(model, one), model.timeline.lanes.get(one)
        if ended is None or lane is None or lane.exit is None or _others_like(model, lane.parent, lane.spawn_site):
            return None
        ends[one] = (*ended, lane.exit)
    last = max(ends, key=lambda one: ends[one][0])
    at, how, exit_ = ends[last]
    if exit_ == Exit.RETURNED and not is_wanted:
        return None
    who, resource = model.who(last), _resource(slot)
    fed = _FED[Wait(slot.reason)]
    only = f"which only {who.name} ever {fed}" if len(ends) == 1 else f"which only {len(ends)} greenlets ever {fed}"
    return _Orphan(
        slot,
        f"for {resource}, {only}; {'it' if len(ends) == 1 else f'{who.name}, the last of them,'} {how}"
        f" {duration(model.now - at)} ago",
        max(slot.since_ns, at),
        tuple(model.who(one) for one in ends),
        tuple(
            Evidence(f"{how}; had ended {many(wakers[one].times, 'wait')} for {resource}", at, model.who(one))
            for one, (at, how, _) in ends.items()
        ),
    )


def _ended(model: Model, greenlet: int) -> tuple[int, str] | None:
    """When and how a greenlet ended (0: not known when); None if it lives, or that is not known."""
    if model.slot(greenlet) is not None:
        return None
    lane = model.timeline.lanes.get(greenlet)
    if lane is not None and lane.exit is not None:
        return lane.ended_at or 0, _ENDED[Exit(lane.exit)]
    return (0, "ended") if model.complete else None


def _others_like(model: Model, parent: int, spawn_site: int) -> bool:
    """Whether there may be more where it came from: others of its line live, or a server spawns them."""
    spawner = model.slot(parent)
    if parent in {0, model.hub} or (spawner is not None and spawner.peer.startswith("listening")):
        return True
    return any(slot.spawn_site == spawn_site for slot in model.slots) if spawn_site else True
