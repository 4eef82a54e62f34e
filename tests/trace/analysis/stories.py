"""A small program for tests of steps: who there is, what the numbers mean, and how an event is written."""

from __future__ import annotations

from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind, Ready, Spawn
from greenscope.trace.records import Event, Site

HUB, MAIN, WORKER, OTHER = 1, 2, 3, 4
MS = 1_000_000


class Names:
    """Strings have their numbers for names; site 14 is client.py:14."""

    strings = ("", "hub", "main", "worker-2", "worker-1", "resize", "ValueError")

    def string(self, number: int) -> str:
        return self.strings[number] if number < len(self.strings) else "?"

    def site(self, number: int) -> Site | None:
        return Site("/srv/client.py", number, "fetch") if number else None

    def stack(self, number: int) -> list[Site]:
        site = self.site(number)
        return [site] if site else []


def event(
    kind: Kind, greenlet: int = WORKER, reason: int = 0, *, aux: int = 0, site: int = 0, arg: int = 0, text: str = ""
) -> Event:
    """At no particular time: ``Told`` gives it one."""
    return Event(0, greenlet, kind, reason, aux, site, arg, text)


BEGINNING = (
    event(Kind.GREENLET_SPAWN, HUB, Spawn.HUB),
    event(Kind.GREENLET_NAME, HUB, arg=1),
    event(Kind.GREENLET_SPAWN, MAIN, Spawn.MAIN),
    event(Kind.GREENLET_NAME, MAIN, arg=2),
    event(Kind.GREENLET_SWITCH, MAIN),
    event(Kind.GREENLET_SPAWN, WORKER, Spawn.GREENLET, arg=MAIN, site=5),
    event(Kind.GREENLET_NAME, WORKER, arg=3),
    event(Kind.GREENLET_SPAWN, OTHER, Spawn.GREENLET, arg=MAIN, site=6),
    event(Kind.GREENLET_NAME, OTHER, arg=4),
    event(Kind.GREENLET_READY, WORKER, Ready.SPAWN, arg=MAIN),
)
"""The main greenlet runs, worker-2 is ready, worker-1 was not started."""


class Told:
    """What is known after a story, an event a millisecond."""

    def __init__(self, *story: Event) -> None:
        self.steps = Steps(Names())
        self.time = 0
        self.go_on(*BEGINNING, *story)

    def timed(self, one: Event) -> Event:
        self.time += MS
        return one._replace(time_ns=self.time)

    def go_on(self, *story: Event) -> None:
        for one in story:
            self.steps.apply(self.timed(one))
            assert self.steps.contradictions() == []
