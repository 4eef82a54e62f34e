"""A profile's sums in words: what a row of its table says, the same for the commands and the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from greenscope.trace.analysis.grouped import Sum
from greenscope.trace.analysis.profile import READY, RUNNING, By, Part, Profile, part_of, reason_label
from greenscope.trace.events import NO_FD, Ready, Wait
from greenscope.trace.records import Site

__all__ = ["REST", "Row", "folded", "rows_of"]

REST = "the rest"
"""What stands for all that there was no room to tell apart."""

_OF_WATCHER: dict[int, str] = {
    Wait.TIMER: "its timer",
    Wait.THREAD: "a thread",
    Wait.CHILD: "a child process",
    Wait.SIGNAL: "a signal",
}
_HOW: dict[int, str] = {Ready.KILL: "{}, killing it", Ready.CLOSE: "{}, closing its descriptor"}


class Stacks(Protocol):
    """What the numbers of call sites stand for; a ``RingReader`` knows."""

    def site(self, number: int) -> Site | None:
        """A call site."""

    def stack(self, number: int) -> list[Site]:
        """A call site and its callers, as far as they are known, the innermost first."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. What does not belong to what the profile is by is empty.

    ``share`` is of all rows of the same part. ``line`` is where it waited; where a row stands for several lines, that
    of the longest wait. ``what`` is the peer, the resource, who woke, or whose time it was. ``sleeper`` is who was
    woken.
    """

    part: Part
    share: float
    sum: Sum
    reason: str = ""
    what: str = ""
    sleeper: str = ""
    line: Site | None = None
    stack: tuple[Site, ...] = ()


def rows_of(profile: Profile, numbers: Stacks) -> list[Row]:
    """A profile as rows: part by part, in each the greatest total first."""
    sums = profile.grouped.sums()
    parts = [_part(profile.by, each) for each in sums]
    totals = dict.fromkeys(Part, 0)
    for part, each in zip(parts, sums, strict=True):
        totals[part] += each.total
    pairs = sorted(zip(parts, sums, strict=True), key=lambda pair: list(Part).index(pair[0]))
    return [_row(profile, numbers, part, each, each.total / (totals[part] or 1)) for part, each in pairs]


def folded(profile: Profile, numbers: Stacks) -> Iterator[tuple[list[Site], str, int]]:
    """A profile by stacks as tools for flame graphs want it: frames, the outermost first; the reason; ns.

    Who waits for work to come is not in it.
    """
    for each in profile.grouped.sums():
        reason, site = each.key or (Wait.OTHER, 0)
        if part_of(reason) is not Part.IDLE:
            yield numbers.stack(site)[::-1], reason_label(reason), each.total


def _part(by: By, each: Sum) -> Part:
    if by in {By.LATENCY, By.LOAD}:
        return Part.HUB
    if not each.key:
        return Part.WAIT
    return part_of(each.key[3] if by is By.WAKER else each.key[0])


def _row(profile: Profile, numbers: Stacks, part: Part, each: Sum, share: float) -> Row:
    key = each.key
    line = numbers.site(each.site)
    if not key:
        return Row(part, share, each, what=REST)
    match profile.by:
        case By.LINE:
            return Row(part, share, each, reason_label(key[0]), line=line)
        case By.STACK:
            return Row(part, share, each, reason_label(key[0]), line=line, stack=tuple(numbers.stack(key[1])))
        case By.REASON:
            at = None if key[0] in {READY, RUNNING} else line
            return Row(part, share, each, reason_label(key[0]), line=at)
        case By.PEER:
            return Row(part, share, each, reason_label(key[0]), profile.text(key[1]), line=line)
        case By.RESOURCE:
            return Row(part, share, each, reason_label(key[0]), _resource(profile, each), line=line)
        case By.WAKER:
            who, sleeper = _waker(profile, each), profile.text(key[2])
            return Row(part, share, each, reason_label(key[3]), who, sleeper, line)
    return Row(part, share, each, what=profile.text(key[0]))


def _resource(profile: Profile, each: Sum) -> str:
    reason, number, fd, peer = each.key
    if fd == NO_FD:
        return f"{reason_label(reason)} {number}"
    return f"fd {fd} {profile.text(peer)}".rstrip()


def _waker(profile: Profile, each: Sum) -> str:
    how, who, _, reason, _ = each.key
    if how == Ready.WATCHER:
        return profile.text(who) or _OF_WATCHER.get(reason, "the kernel")
    if how == Ready.TIMEOUT:
        return "its timeout"
    return _HOW.get(how, "{}").format(profile.text(who)) if who else "the hub"
