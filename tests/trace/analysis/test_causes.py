"""Why somebody runs: wake-ups followed backward through real recordings, and where that ends."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from greenscope.trace.analysis.narrate import LANGUAGES
from greenscope.trace.analysis.replay import Replay
from greenscope.trace.events import Detail, Kind, Ready, Resource, Spawn, Wait, Watch, pack
from greenscope.trace.replaying import Replaying
from tests.trace.analysis.replayed import PARK, SWITCH, told
from tests.trace.analysis.stories import BEGINNING, HUB, MAIN, OTHER, WORKER, event

RUNS = (Kind.GREENLET_SWITCH, Kind.GREENLET_THROW)


def test_every_step_has_causes_that_lie_before_it_in_every_language(replay: Replay):
    for step in range(len(replay)):
        causes = replay.why(step)
        assert 1 <= len(causes) <= 20
        numbers = [cause.step for cause in causes]
        assert numbers == sorted(set(numbers), reverse=True)
        assert numbers[0] <= step
        assert [cause.step for cause in replay.why(step, "zh")] == numbers
        frame = replay.frame(step)
        if frame.kind in ("greenlet_switch", "greenlet_throw", "greenlet_park"):
            assert causes[0].step == step
            assert causes[0].words.startswith(frame.words[0])


def chain(path: Path, kind: Kind, who: str, reason: int | None = None) -> list[str]:
    """Why it came to the last step of a kind, of a greenlet (the begin of its name) and for a reason, in kinds."""
    with contextlib.closing(Replaying(path)) as replaying:
        replay = replaying.replay
        steps = [
            step
            for step, one in enumerate(replay.events())
            if one.kind == kind and replay.name(one.greenlet).startswith(who) and reason in (None, one.reason)
        ]
        causes = replay.why(steps[-1])
        events = [replay.event(cause.step) for cause in causes]
        return [f"{Kind(one.kind).name.lower()} {replay.name(one.greenlet).split(' #')[0]}" for one in events]


def test_who_waits_for_data_runs_because_its_watcher_fired_in_a_poll(rings: dict[str, Path]):
    assert chain(rings["accept"], Kind.GREENLET_SWITCH, "client") == [
        "greenlet_switch client", "greenlet_ready client", "watcher_fire client", "poll_begin hub",
    ]  # fmt: skip


def test_who_sleeps_runs_because_of_the_timer_that_it_started(rings: dict[str, Path]):
    assert chain(rings["timeouts"], Kind.GREENLET_SWITCH, "soon") == [
        "greenlet_switch soon", "greenlet_ready soon", "watcher_fire soon", "poll_begin hub", "watcher_start soon",
    ]  # fmt: skip


def test_a_timeout_is_raised_because_it_was_started(rings: dict[str, Path]):
    for who in ("late", "of_socket"):
        assert chain(rings["timeouts"], Kind.GREENLET_THROW, who) == [
            f"greenlet_throw {who}", f"greenlet_ready {who}", f"timeout_fire {who}", "poll_begin hub",
            f"timeout_start {who}",
        ]  # fmt: skip


def test_who_wanted_a_lock_runs_because_another_let_go_of_it_which_ran_because_it_had_slept(rings: dict[str, Path]):
    assert chain(rings["locks"], Kind.GREENLET_SWITCH, "hold") == [
        "greenlet_switch hold", "greenlet_ready hold", "watcher_fire hold", "poll_begin hub", "watcher_start hold",
    ]  # fmt: skip
    assert chain(rings["locks"], Kind.GREENLET_PARK, "hold", Wait.LOCK)[:2] == [
        "greenlet_park hold", "resource_acquire hold",
    ]  # fmt: skip


def test_a_call_that_would_have_blocked_is_why_the_hub_runs(rings: dict[str, Path]):
    assert chain(rings["full buffer"], Kind.GREENLET_PARK, "server", Wait.WRITE) == [
        "greenlet_park server", "op_begin server",
    ]  # fmt: skip


def test_a_closed_socket_a_kill_and_a_start_lead_to_whoever_did_it(rings: dict[str, Path]):
    assert chain(rings["closes"], Kind.GREENLET_THROW, "reads")[:4] == [
        "greenlet_throw reads", "greenlet_ready reads", "greenlet_switch main", "greenlet_ready main",
    ]  # fmt: skip
    assert chain(rings["queues"], Kind.GREENLET_SWITCH, "wait")[:3] == [
        "greenlet_switch wait", "greenlet_ready wait", "greenlet_switch put",
    ]  # fmt: skip


def test_the_end_of_a_function_in_a_thread_leads_to_whoever_gave_it(rings: dict[str, Path]):
    with contextlib.closing(Replaying(rings["threads"])) as replaying:
        replay = replaying.replay
        for called in ("work", "getaddrinfo"):
            put = replay.find(
                lambda one, called=called: replay.numbers.string(one.arg >> 32) == called, kinds=(Kind.JOB_PUT,)
            )
            switch = replay.find(lambda _: True, put, RUNS)
            kinds = [replay.event(cause.step).kind for cause in replay.why(switch)]
            assert kinds == [Kind.GREENLET_SWITCH, Kind.GREENLET_READY, Kind.JOB_END, Kind.POLL_BEGIN, Kind.JOB_PUT]
        called_back = replay.find(lambda _: True, kinds=(Kind.CALLBACK_BEGIN,))
        kinds = [replay.event(cause.step).kind for cause in replay.why(called_back)]
        assert kinds == [
            Kind.CALLBACK_BEGIN,
            Kind.WATCHER_FIRE,
            Kind.POLL_BEGIN,
            Kind.GREENLET_PARK,
            Kind.WATCHER_START,
        ]


def test_a_deadlock_ends_in_loop_exit_because_nothing_was_left(rings: dict[str, Path]):
    assert chain(rings["deadlock"], Kind.GREENLET_THROW, "main")[-1].startswith("loop_exit")


# fmt: off
ENDS = {
    "cause.begins": (BEGINNING[:5],),
    "cause.hub": (BEGINNING[:1],),
    "cause.unknown": ((*BEGINNING, 5),),
    "cause.lost": ((*BEGINNING, PARK, 5, SWITCH), (5, event(Kind.TIMEOUT_START, arg=3)),
                   (5, event(Kind.GREENLET_SWITCH, MAIN), event(Kind.GREENLET_READY, OTHER, Ready.SPAWN, arg=MAIN))),
    "cause.unsaid": ((*BEGINNING, PARK, SWITCH, event(Kind.GREENLET_PARK, reason=Wait.READ),
                      event(Kind.GREENLET_READY, reason=Ready.WATCHER, arg=7), SWITCH),
                     (*BEGINNING, PARK, SWITCH, event(Kind.GREENLET_PARK, reason=Wait.EVENT),
                      event(Kind.GREENLET_READY, reason=Ready.GREENLET, arg=HUB), SWITCH)),
    "cause.kernel": ((*BEGINNING, PARK, SWITCH, event(Kind.WATCHER_START, reason=Watch.READ, arg=pack(7, 5)),
                      event(Kind.GREENLET_PARK, reason=Wait.READ, arg=7), event(Kind.POLL_BEGIN, HUB, aux=1),
                      event(Kind.WATCHER_FIRE, reason=Watch.READ, arg=pack(7, 5)),
                      event(Kind.GREENLET_READY, reason=Ready.WATCHER, arg=7), SWITCH),),
    "cause.time": ((*BEGINNING, PARK, SWITCH, event(Kind.TIMEOUT_START, arg=pack(8, 5)),
                    event(Kind.GREENLET_PARK, reason=Wait.READ, arg=pack(7, 5)),
                    event(Kind.TIMEOUT_FIRE, arg=8), event(Kind.GREENLET_READY, reason=Ready.TIMEOUT, arg=8),
                    event(Kind.GREENLET_THROW)),),
}
# fmt: on


@pytest.mark.parametrize("key", ENDS)
def test_where_it_is_not_followed_any_further_that_is_said(key: str):
    for story in ENDS[key]:
        replay = told(*story)
        for language, table in LANGUAGES.items():
            words = [cause.words for cause in replay.why(len(replay) - 1, language)]
            assert any(one.endswith(table[key]) for one in words), words


def test_each_end_is_tested_here():
    keys = {key for key in LANGUAGES["en"] if key.startswith("cause.")}
    assert keys == {*ENDS, "cause.further"}


def test_it_is_followed_for_twenty_steps_and_then_that_is_said():
    turns = []
    for number in range(40):
        one, other = (WORKER, OTHER) if number % 2 else (OTHER, WORKER)
        turns += [
            event(Kind.GREENLET_READY, one, Ready.GREENLET, arg=other),
            event(Kind.GREENLET_PARK, other, Wait.EVENT),
            event(Kind.GREENLET_SWITCH, one),
        ]
    replay = told(*BEGINNING, PARK, SWITCH, *turns)
    causes = replay.why(len(replay) - 1)
    assert len(causes) == 20
    assert [cause.words.endswith(LANGUAGES["en"]["cause.further"]) for cause in causes] == [False] * 19 + [True]


def test_who_holds_a_lock_is_followed_to_where_it_was_taken_and_not_to_where_that_was_said_again():
    takes = event(Kind.RESOURCE_ACQUIRE, MAIN, Resource.LOCK, arg=6)
    replay = told(
        *BEGINNING,
        event(Kind.DETAIL, MAIN, Detail.IO),
        takes,
        event(Kind.GREENLET_PARK, MAIN, Wait.TIMER),
        SWITCH,
        takes._replace(aux=1),
        event(Kind.GREENLET_PARK, reason=Wait.LOCK, aux=MAIN, arg=6),
    )
    assert [cause.step for cause in replay.why(len(replay) - 1)] == [len(replay) - 1, len(BEGINNING) + 1]


def test_a_raw_greenlet_runs_because_another_switched_to_it():
    raw = event(Kind.GREENLET_SPAWN, 9, Spawn.RAW, arg=MAIN), event(Kind.GREENLET_SWITCH, 9)
    replay = told(*BEGINNING, *raw)
    assert [cause.words for cause in replay.why(len(replay) - 1)] == [
        "main switched to greenlet #9 itself, without the hub.",
        "main runs, as it did before there was a hub. The program began with it.",
    ]
    assert replay.before(len(replay)).illegal == 0
