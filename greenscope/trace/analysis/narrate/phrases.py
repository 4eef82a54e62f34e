"""The parts that sentences are made of: who, where, how long, which descriptor, for what.

A sentence is a key into a language's table and what goes into its places, which may be sentences' parts themselves.
So what is told is decided once, and only the words are a language's. What is not known has a key of its own:
no place is ever filled with a guess.
"""

from __future__ import annotations

from typing import NamedTuple

from greenscope.trace.analysis.step_parts import Parked
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.analysis.words import duration
from greenscope.trace.events import Wait, Watch

__all__ = ["Part", "Say", "at", "counted", "descriptor", "line", "milliseconds", "of_watcher", "waits_for", "who"]


class Say(NamedTuple):
    """One sentence, or a part of one: its key, and what goes into its places."""

    key: str
    places: dict[str, Part] = {}  # noqa: RUF012  (nobody changes it)


Part = str | Say


def who(steps: Steps, number: int) -> Part:
    """A greenlet, by its name."""
    if number == steps.hub:
        return Say("hub")
    if not number:
        return Say("somebody")
    return steps.names.get(number) or Say("greenlet", {"number": str(number)})


def line(steps: Steps, site: int) -> str:
    """A line of code: "client.py:14"; "" if it is not known."""
    found = steps.numbers.site(site)
    return f"{found.file.rsplit('/', 1)[-1]}:{found.line}" if found is not None else ""


def at(steps: Steps, site: int) -> Part:
    """Where, as a sentence goes on with it; nothing if that is not known."""
    where = line(steps, site)
    return Say("at", {"place": where}) if where else ""


def milliseconds(ms: int) -> str:
    """A time that somebody chose: "20 ms", "1.5 s"."""
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:g} s" if ms < 60_000 else duration(ms * 1_000_000)


def counted(key: str, count: int, places: dict[str, Part] | None = None) -> Say:
    """A sentence that is another one for none, one and many."""
    which = "none" if count <= 0 else "one" if count == 1 else "many"
    return Say(f"{key}.{which}", {**(places or {}), "count": str(count)})


def descriptor(fd: int | None, peer: str = "") -> Say:
    """A descriptor, with whom it is connected to."""
    if fd is None:
        return Say("fd.unknown")
    return Say("fd.peer", {"fd": str(fd), "peer": peer}) if peer else Say("fd", {"fd": str(fd)})


def of_watcher(steps: Steps, watcher: int, fd: int | None = None) -> Say:
    """A watcher's descriptor."""
    watched = steps.watchers.get(watcher)
    if watched is None:
        return descriptor(fd)
    return descriptor(fd if fd is not None else watched.fd, watched.peer)


def waits_for(steps: Steps, wait: Parked) -> Say:
    """What a greenlet waits for: "to read from fd 7", "for lock 3, which worker-2 holds"."""
    number: dict[str, Part] = {"number": str(wait.resource)}
    match wait.reason:
        case Wait.READ | Wait.WRITE:
            key = "for.read" if wait.reason == Wait.READ else "for.write"
            return Say(key, {"fd": of_watcher(steps, wait.resource, wait.fd)})
        case Wait.TIMER:
            armed = steps.armed.get(wait.resource)
            if armed is not None and armed.watch == Watch.TIMER:
                return Say("for.timer.of", {"time": milliseconds(armed.ms)})
            return Say("for.timer")
        case Wait.LOCK:
            holder = steps.holder(wait.resource) or wait.awaits
            return Say("for.lock.of", {**number, "other": who(steps, holder)}) if holder else Say("for.lock", number)
        case Wait.QUEUE | Wait.EVENT:
            return Say("for.queue" if wait.reason == Wait.QUEUE else "for.event", number)
        case Wait.JOIN:
            if not wait.awaits:
                return Say("for.end")
            # A wait for one end is at that one's resource; one for many has none, and names one of them.
            return Say("for.end.of" if wait.resource else "for.end.among", {"other": who(steps, wait.awaits)})
        case _:
            return Say(f"for.{_OTHERS.get(wait.reason, 'other')}")


_OTHERS: dict[int, str] = {
    Wait.YIELD: "turn",
    Wait.THREAD: "thread",
    Wait.CHILD: "child",
    Wait.SIGNAL: "signal",
    Wait.LOOKUP: "lookup",
}
