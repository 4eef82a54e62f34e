"""What only becomes more is told from a start, a wave of load, and what was there before one looked."""

from __future__ import annotations

from collections.abc import Iterable

from greenscope.trace.analysis.diagnoses.growth import grown
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.thresholds import Thresholds
from greenscope.trace.events import Kind
from greenscope.trace.records import Event, Site
from tests.trace.analysis.batches import batch

SECOND = 1_000_000_000
SITE = 7


class Numbers:
    def string(self, number: int) -> str:
        return str(number)

    def site(self, number: int) -> Site | None:
        return Site("app.py", number, "f")

    def stack(self, number: int) -> list[Site]:
        return [Site("app.py", number, "f")]


def model_of(lives: Iterable[tuple[float, float]], until: float, lost: int = 0) -> Model:
    """A program whose greenlets live from one time to another, in seconds, looked at ``until``."""
    model = Model(0, Numbers(), Thresholds(leak_s=10, leak_more=50))
    events = []
    for greenlet, (start, end) in enumerate(lives, 10):
        if start >= 0:
            events.append(Event(int(start * SECOND), greenlet, Kind.GREENLET_SPAWN, site=SITE))
        if end < until:
            events.append(Event(int(end * SECOND), greenlet, Kind.GREENLET_EXIT))
    events.sort(key=lambda event: event.time_ns)
    events = [event for event in events if event.time_ns <= until * SECOND]
    model.apply(batch([*events, Event(int(until * SECOND), 1, Kind.POLL_BEGIN)], lost))
    return model


def more_of(model: Model) -> list[int]:
    return [growth.more for growth in grown(model, model.rates.greenlets)]


FOREVER = 1e9


def test_what_grows_evenly_and_does_not_end_is_told():
    model = model_of(((at / 10, FOREVER) for at in range(200)), until=15)
    assert more_of(model) == [100]
    (growth,) = grown(model, model.rates.greenlets)
    assert growth.site == SITE
    assert growth.since == 5 * SECOND


def test_it_is_not_told_before_it_has_lasted():
    assert more_of(model_of(((at / 10, FOREVER) for at in range(200)), until=9)) == []


def test_few_more_are_no_leak():
    assert more_of(model_of(((at / 4, FOREVER) for at in range(200)), until=15)) == []


def test_a_start_is_no_leak():
    assert more_of(model_of(((at / 100, FOREVER) for at in range(400)), until=12)) == []


def test_a_wave_is_no_leak():
    assert more_of(model_of(((at / 20, at / 20 + 5) for at in range(400)), until=15)) == []


def test_many_at_once_are_no_leak():
    assert more_of(model_of(((12 + at / 1000, FOREVER) for at in range(400)), until=15)) == []


def test_what_ends_as_others_begin_is_no_leak_though_its_beginning_was_not_seen():
    born = [(at / 10, FOREVER) for at in range(200)]
    died = [(-1, at / 10 + 0.05) for at in range(150)]
    assert more_of(model_of(born + died, until=15)) == []


def test_of_a_time_that_was_lost_nothing_is_told():
    lives = [(5 + at / 10, FOREVER) for at in range(200)]
    assert more_of(model_of(lives, until=16)) == [100]
    assert more_of(model_of(lives, until=14.9, lost=3)) == []
