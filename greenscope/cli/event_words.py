"""An event in words, or as JSON has it: what its numbers mean for its kind.

Names, and what a watcher watches, are told once in a ring and meant from there on: so every event has
to be learned from in turn, those that nobody wants to see as well.
"""

from __future__ import annotations

import errno
from typing import Any

from greenscope.cli.words import line_of, printable
from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.narrate.labels import reason_of
from greenscope.trace.events import EVENT_KINDS, FOR_ONE, NO_ERRNO, NO_FD, Detail, Kind, Op, Ready, Watch, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

__all__ = ["TEACHING", "EventWords"]

TEACHING = (Kind.GREENLET_NAME, Kind.WATCHER_OPEN)
"""Kinds that say what others mean."""

_KEEP_WATCHERS = 1 << 17
_LARGE_FD = 0xFFFF
_STALL_KINDS = frozenset({Kind.STALL_BEGIN, Kind.STALL_END})
_WATCHER_KINDS = (
    Kind.WATCHER_OPEN, Kind.WATCHER_START, Kind.WATCHER_FIRE, Kind.WATCHER_STOP, Kind.WATCHER_CLOSE,
)  # fmt: skip
_FD_WATCHES = (Watch.READ, Watch.WRITE)

Facts = dict[str, Any]


class EventWords:
    """What the events of one ring mean.

    Args:
        reader: the ring.
    """

    def __init__(self, reader: RingReader) -> None:
        self._reader = reader
        # Of those that live, also where the event that named them was lost.
        self._names = {slot.greenlet: _shown(slot.name, slot.numbered, slot.greenlet) for slot in reader.greenlets()}
        self._watchers: dict[int, tuple[int, str]] = {}

    def expect(self, event: Event) -> None:
        """Take the name of a greenlet that has none yet from an event to come: spawns come before names."""
        if event.kind == Kind.GREENLET_NAME and event.greenlet not in self._names:
            self.learn(event)

    def learn(self, event: Event) -> None:
        """Take in what an event says for those after it."""
        if event.kind == Kind.GREENLET_NAME:
            name = self._reader.string(event.arg)
            self._names[event.greenlet] = _shown(name, bool(event.aux), event.greenlet)
        elif event.kind == Kind.WATCHER_OPEN:
            resource, fd = unpack(event.arg)
            self._watchers[resource] = fd, event.text
            if len(self._watchers) > _KEEP_WATCHERS:
                self._watchers = dict(list(self._watchers.items())[_KEEP_WATCHERS // 2 :])

    def name(self, greenlet: int) -> str:
        """A greenlet's name as it is shown."""
        return self._names.get(greenlet, f"? #{greenlet}") if greenlet else ""

    def facts(self, event: Event) -> Facts:
        """An event for JSON; what it does not say is left out."""
        doc = EVENT_KINDS.get(event.kind)  # type: ignore[call-overload]
        facts: Facts = {
            "time_ns": event.time_ns - self._reader.info.start_monotonic_ns,
            "greenlet": event.greenlet,
            "name": self.name(event.greenlet),
            "kind": doc.name if doc else f"kind_{event.kind}",
        }
        facts["reason"] = reason_of(event.kind, event.reason)
        facts.update(self._details(event))
        if event.text and event.kind not in _WATCHER_KINDS:
            facts["text"] = event.text
        of_stall = event.kind in _STALL_KINDS  # whose site is no line
        if of_stall and event.site:
            facts["computed_us"] = event.site - 1
        stack = self._reader.stack(0 if of_stall else event.site)
        if stack:
            facts |= {"file": stack[0].file, "line": stack[0].line, "function": stack[0].function}
        if len(stack) > 1:
            facts["callers"] = [site_as_json(site) for site in stack[1:]]
        return {key: value for key, value in facts.items() if value is not None}

    def line(self, event: Event) -> str:
        """An event as a line: when, who, what, why, with what, where."""
        facts = self.facts(event)
        seconds = facts.pop("time_ns") / 1e9
        for key in ("greenlet", "file", "line", "function", "callers"):
            facts.pop(key, None)
        who, kind, reason = facts.pop("name"), facts.pop("kind"), facts.pop("reason", "")
        text = facts.pop("text", "")
        words = [f"{key} {value}" if value is not True else key for key, value in facts.items() if value is not False]
        if text:
            words.append(" < ".join(line.replace("\t", ":", 1).replace("\t", " ") for line in text.split("\n")))
        site = line_of(self._reader.site(0 if event.kind in _STALL_KINDS else event.site))
        line = f"{seconds:13.6f}  {who:<20} {kind:<16} {reason:<8}  {'  '.join([*words, site])}"
        return printable(line.rstrip())

    # -- by kind --------------------------------------------------------------------------------

    def _details(self, event: Event) -> Facts:
        low, high = unpack(event.arg)
        kind = event.kind
        if kind in _WATCHER_KINDS:
            timed = kind == Kind.WATCHER_START and event.reason == Watch.TIMER
            fd = high if event.reason in _FD_WATCHES and high != NO_FD else None
            return {"watcher": low, "fd": fd, "ms": high if timed else None, "peer": self._peer(low)}
        match kind:
            case Kind.GREENLET_SPAWN:
                return {"by": self.name(event.arg) or None}
            case Kind.GREENLET_NAME:
                return {"called": self._reader.string(event.arg)}
            case Kind.GREENLET_READY:
                return self._ready(event)
            case Kind.GREENLET_PARK if event.reason in FOR_ONE:
                awaits = self.name(event.aux) if 0 < event.aux < _LARGE_FD else None
                return {"resource": low or None, "awaits": awaits, "timeout_ms": high or None}
            case Kind.GREENLET_PARK:
                fd = event.aux - 1 if event.aux else None
                if event.aux == _LARGE_FD:
                    fd = self._watchers.get(low, (fd, ""))[0]
                return {"resource": low or None, "fd": fd, "timeout_ms": high or None, "peer": self._peer(low)}
            case Kind.TIMEOUT_START:
                return {"timeout": low, "ms": high}
            case Kind.TIMEOUT_FIRE | Kind.TIMEOUT_CANCEL:
                return {"timeout": low}
            case Kind.POLL_BEGIN:
                return {"blocks": bool(event.aux)}
            case Kind.POLL_END:
                return {"fired": event.aux}
            case _:
                return self._finer_details(event, low, high)

    def _finer_details(self, event: Event, low: int, high: int) -> Facts:
        """Of the kinds that not every recording has."""
        string = self._reader.string
        match event.kind:
            case Kind.CALLBACK_BEGIN:
                return {"watcher": low or None, "function": string(high) or None}
            case Kind.LOOP_EXIT | Kind.JOB_PUT | Kind.JOB_END:
                return self._thread_details(event, low, high)
            case Kind.RESOURCE_ACQUIRE:
                return {"resource": low, "left": high, "earlier": bool(event.aux)}
            case Kind.RESOURCE_RELEASE:
                return {"resource": low, "left": high}
            case Kind.OP_BEGIN:
                return {"watcher": low or None, "fd": high if high != NO_FD else None, "tls": bool(event.aux)}
            case Kind.OP_END:
                number = None if event.aux in (0, NO_ERRNO) else errno.errorcode.get(event.aux, str(event.aux))
                amount = "fd" if event.reason == Op.ACCEPT else "bytes"
                return {"errno": number, amount: event.arg if not event.aux else None}
            case Kind.SPAN_BEGIN:
                return {"span": low, "called": string(high)}
            case Kind.SPAN_END:
                return {"span": low, "error": string(high) or None}
            case Kind.REQUEST_BEGIN:
                return {"request": low}
            case Kind.REQUEST_END:
                return {"request": low, "status": event.aux or None, "error": string(high) or None}
            case Kind.STALL_BEGIN:
                return {"since_ns": event.arg - self._reader.info.start_monotonic_ns}
            case Kind.STALL_END:
                return {"ran_ns": event.arg}
            case Kind.DETAIL:
                return {"before": _word(Detail, event.aux)}
        return {}

    def _thread_details(self, event: Event, low: int, high: int) -> Facts:
        """Of calls in threads, and of what is left when there are none."""
        match event.kind:
            case Kind.JOB_PUT:
                called = self._reader.string(high) or None
                return {"job": low, "called": called, "pool": event.reason, "threads": event.aux}
            case Kind.JOB_END:
                return {"job": low, "waited_ms": high}
            case _:
                return {"resource": low or None, "waited_ms": high, "waiting": event.aux}

    def _ready(self, event: Event) -> Facts:
        if event.reason == Ready.WATCHER:
            fd, peer = self._watchers.get(event.arg, (NO_FD, ""))
            return {"watcher": event.arg, "fd": fd if fd != NO_FD else None, "peer": peer or None}
        if event.reason == Ready.TIMEOUT:
            return {"timeout": event.arg}
        return {"by": self.name(event.arg) or None}

    def _peer(self, resource: int) -> str | None:
        return self._watchers.get(resource, (0, ""))[1] or None


def _shown(name: str, numbered: bool, greenlet: int) -> str:
    return f"{name} #{greenlet}" if numbered else name


def _word(enum: Any, number: int) -> str:
    try:
        return str(enum(number).name).lower()
    except ValueError:
        return str(number)
