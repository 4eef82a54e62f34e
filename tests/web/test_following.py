"""A dashboard inside an application reads rings while somebody asks, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from greenscope.trace.events import Spawn
from greenscope.trace.recorder import Recorder, open_recorder
from greenscope.web import source as source_module
from greenscope.web.following import Following
from greenscope.web.source import Source


@pytest.fixture
def ring(trace_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(source_module, "_FOLLOW_SECONDS", 0.001)
    recorder = open_recorder(1, "MainThread")
    recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
    yield recorder
    recorder.close()


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what another task brings about
            await asyncio.sleep(0.001)


def run(scenario: Callable[[Following, Clock], Awaitable[None]], ring: Recorder) -> Following:
    assert ring.path is not None
    clock = Clock()
    following = Following(Source([ring.path.parent]), rest_after=60, clock=clock)
    asyncio.run(asyncio.wait_for(scenario(following, clock), 30))  # type: ignore[arg-type]
    return following


def events_read(following: Following) -> int:
    return sum(session.timeline.events for session in following.source.open_rings())


def test_it_rests_when_nobody_asked_for_a_while_and_goes_on_with_the_next_one(ring: Recorder) -> None:
    async def scenario(following: Following, clock: Clock) -> None:
        following.start()
        assert len(following.source.rings()) == 1  # the first one who asks is answered
        await until(lambda: events_read(following) == 2)
        clock.now += 59
        following.start()
        clock.now += 59
        ring.spawn(Spawn.MAIN, ring.string("main"), 0, 0)
        await until(lambda: events_read(following) == 4)
        assert following.idle_seconds == 59
        clock.now += 1
        await until(lambda: not following.source.rings())
        following.start()
        await until(lambda: events_read(following) == 4)  # what the ring holds still
        await following.stop()
        assert not following.source.rings()

    run(scenario, ring)


def test_it_does_not_rest_while_a_page_is_open(ring: Recorder) -> None:
    async def scenario(following: Following, clock: Clock) -> None:
        following.start()
        (session,) = following.source.open_rings()
        session.pages += 1
        clock.now += 1000
        ring.spawn(Spawn.MAIN, ring.string("main"), 0, 0)
        await until(lambda: events_read(following) == 4)
        assert following.idle_seconds == 0
        session.pages -= 1
        await until(lambda: not following.source.rings())

    run(scenario, ring)


def test_an_application_that_ends_ends_it_and_one_that_begins_anew_begins_it(ring: Recorder) -> None:
    async def begins(following: Following, _: Clock) -> None:
        following.start()
        await until(lambda: events_read(following) == 2)

    following = run(begins, ring)  # nobody stopped it: the loop's end did
    assert not following.source.rings()

    async def again() -> None:
        following.start()
        await until(lambda: events_read(following) == 2)
        await following.stop()

    asyncio.run(again())
