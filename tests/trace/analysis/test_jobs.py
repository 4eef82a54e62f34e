"""Calls in threads: which run and which wait, and which of that is trouble."""

from __future__ import annotations

import itertools

import pytest

from greenscope.trace.analysis.diagnoses import Finding, diagnose
from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Exit, Kind, Spawn, Wait, pack
from greenscope.trace.records import Event, GreenletSlot, Site
from tests.trace.analysis.batches import batch

MS = 1_000_000
NAMES = {1: "hub", 10: "read", 11: "getaddrinfo"}
READ, LOOK_UP = 10, 11


class Numbers:
    """Site n is line n."""

    def string(self, number: int) -> str:
        return NAMES.get(number, "")

    def site(self, number: int) -> Site | None:
        return Site("/srv/app.py", number, "serve") if number else None

    def stack(self, number: int) -> list[Site]:
        return []


class Program:
    """Puts calls into a pool of two threads, by greenlet and line, at milliseconds."""

    def __init__(self) -> None:
        self.events = [Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB), Event(0, 1, Kind.GREENLET_NAME, arg=1)]
        self._numbers = itertools.count(1)

    def put(self, at: int, greenlet: int, line: int, name: int = READ, text: str = "", pool: int = 0) -> int:
        job = next(self._numbers)
        arg = pack(job, name)
        self.events.append(Event(at * MS, greenlet, Kind.JOB_PUT, pool, 2, line, arg, text))
        return job

    def end(self, at: int, job: int, waited: int = 0) -> None:
        self.events.append(Event(at * MS, 1, Kind.JOB_END, Exit.RETURNED, 0, 0, pack(job, waited)))

    def model(self, now: int, pieces: int = 1, slots: tuple[GreenletSlot, ...] = ()) -> Model:
        model = Model(0, Numbers())
        size = -(-len(self.events) // pieces)
        for at in range(0, len(self.events), size):
            model.apply(batch(self.events[at : at + size]))
        model.look(slots, now * MS, "live")
        return model

    def found(self, now: int, pieces: int = 1, slots: tuple[GreenletSlot, ...] = ()) -> list[Finding]:
        return diagnose(self.model(now, pieces, slots))


@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_the_oldest_run_and_the_others_wait(pieces: int) -> None:
    program = Program()
    jobs = [program.put(at, 3 + at, 20) for at in range(5)]
    program.end(10, jobs[1])
    running, waiting = program.model(11, pieces).jobs.pools()[0]
    assert [job.number for job in running] == [jobs[0], jobs[2]]
    assert [job.number for job in waiting] == jobs[3:]


def test_who_has_the_threads_is_named_and_not_who_waits() -> None:
    program = Program()
    for greenlet in (3, 4):
        program.put(1, greenlet, 20)
    program.put(2, 5, 30)
    assert program.found(1000) == []
    (finding,) = program.found(1003)
    assert finding.id == "pool-exhausted"
    assert finding.greenlet is not None
    assert (finding.greenlet.id, finding.site) == (3, Site("/srv/app.py", 20, "serve"))
    assert {who.id for who in finding.others} == {4, 5}
    assert "2 of the 2 threads" in finding.sentence


def test_a_finding_about_a_pool_stays_when_the_threads_are_free_again() -> None:
    program = Program()
    jobs = [program.put(1, 3, 20), program.put(1, 4, 20), program.put(2, 5, 30)]
    program.end(1500, jobs[0])
    program.end(1500, jobs[1])
    program.end(1501, jobs[2], waited=1498)
    (finding,) = program.found(9000)
    assert finding.until
    assert finding.greenlet is not None
    assert finding.greenlet.id in (3, 4)


def test_pools_do_not_wait_for_one_another() -> None:
    program = Program()
    for greenlet in (3, 4):
        program.put(1, greenlet, 20, pool=1)
    program.put(2, 5, 30, pool=2)
    assert program.found(5000) == []


@pytest.mark.parametrize("over", [False, True], ids=["going on", "over"])
def test_who_waits_behind_its_own_calls_means_to(over: bool) -> None:
    program = Program()
    jobs = [program.put(1, 3, 20) for _ in range(6)]
    if over:
        for number, job in enumerate(jobs):
            program.end(2000 * (1 + number // 2), job, waited=2000 * (number // 2))
    assert program.found(9000) == []


def test_a_look_up_that_takes_long_is_told_with_what_it_looks_up() -> None:
    program = Program()
    program.put(1, 3, 20, LOOK_UP, "db.internal")
    assert program.found(1000) == []
    (finding,) = program.found(1001)
    assert (finding.id, finding.until) == ("slow-dns", 0)
    assert "has waited 1.00 s for the look-up of db.internal, at app.py:20" in finding.sentence


def test_look_ups_that_took_long_are_one_finding_of_the_longest() -> None:
    program = Program()
    first, second = program.put(1, 3, 20, LOOK_UP, "a"), program.put(1, 4, 30, LOOK_UP, "b")
    program.end(1500, first)
    program.end(5000, second)
    (finding,) = program.found(9000)
    assert finding.count == 2
    assert "for the look-up of b, at app.py:30 in serve, the longest of 2" in finding.sentence


def test_quick_look_ups_are_no_finding_however_many() -> None:
    program = Program()
    for at in range(1, 5000, 50):
        program.end(at + 40, program.put(at, 3, 20, LOOK_UP, "a"))
    assert program.found(9000, pieces=7) == []


def test_threads_that_look_ups_have_are_the_resolver_s_fault() -> None:
    program = Program()
    for greenlet in (3, 4):
        program.put(1, greenlet, 20, LOOK_UP, "a")
    program.put(2, 5, 30)
    (finding,) = program.found(2000)
    assert finding.id == "slow-dns"
    assert "1 other greenlet waited for a thread meanwhile" in finding.sentence


@pytest.mark.parametrize("pieces", [1, 100])
def test_a_look_up_that_waits_for_a_thread_is_not_slow_by_itself(pieces: int) -> None:
    program = Program()
    jobs = [program.put(1, 3, 20), program.put(1, 4, 20), program.put(2, 5, 30, LOOK_UP, "a")]
    (finding,) = program.found(1500, pieces)
    assert finding.id == "pool-exhausted"
    program.end(3000, jobs[0])
    assert [finding.id for finding in program.found(3900, pieces)] == ["pool-exhausted"]
    assert {finding.id for finding in program.found(4100, pieces)} == {"slow-dns", "pool-exhausted"}


def test_a_look_up_whose_beginning_was_overwritten_is_in_the_table() -> None:
    slot = GreenletSlot(
        3, "serve", numbered=False, parent=1, spawn_reason=Spawn.GREENLET, state="waiting", reason=Wait.LOOKUP,
        since_ns=0, resource=7, fd=None, peer="", deadline_ns=0, site=20, spawn_site=0, run_ns=0, switches=1,
    )  # fmt: skip
    (finding,) = Program().found(1001, slots=(slot,))
    assert (finding.id, finding.site) == ("slow-dns", Site("/srv/app.py", 20, "serve"))
