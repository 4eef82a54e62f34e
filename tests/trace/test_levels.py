"""The detail level: set by the environment, by the program, or from outside while it runs; each change is said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from greenscope.errors import GreenscopeError
from greenscope.runtime import sleep
from greenscope.runtime.hub import Hub, get_hub
from greenscope.trace import detail, levels, set_detail
from greenscope.trace.events import Detail, Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = get_hub()
    yield hub
    set_detail("switch")
    hub.destroy()


def changes(hub: Hub) -> list[tuple[int, int]]:
    assert hub.recorder.path is not None
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        events = [event for event in reader.read() if isinstance(event, Event)]
        return [(event.aux, event.reason) for event in events if event.kind == Kind.DETAIL]


def test_the_level_is_switch_unless_it_is_set_and_each_change_is_an_event(hub: Hub) -> None:
    assert detail() == "switch"
    set_detail("io")
    set_detail("io")
    assert detail() == "io"
    set_detail("teach")
    set_detail("switch")
    assert changes(hub) == [(0, 1), (1, 2), (2, 0)]


def test_a_level_that_there_is_not_is_refused_with_those_there_are(hub: Hub) -> None:
    with pytest.raises(GreenscopeError, match=r"no detail level 'all': give switch, io or teach"):
        set_detail("all")
    assert changes(hub) == []


def test_a_hub_that_comes_later_begins_with_the_level_that_is_set(hub: Hub) -> None:
    hub.destroy()
    set_detail("teach")
    later = get_hub()
    try:
        assert later.recorder.detail == Detail.TEACH
        assert changes(later) == [(0, 2)]
    finally:
        set_detail("switch")
        later.destroy()


def test_what_another_process_asks_for_is_heard_at_the_end_of_the_next_poll(hub: Hub) -> None:
    heard: list[Detail] = []
    levels.levels.on_change(heard.append)
    hub.recorder.detail_wanted = Detail.IO
    sleep(0.001)
    assert (detail(), hub.recorder.detail_wanted, heard) == ("io", -1, [Detail.IO])
    hub.recorder.detail_wanted = 77
    sleep(0.001)
    assert (detail(), hub.recorder.detail_wanted) == ("io", -1)


@pytest.mark.parametrize(("named", "level"), [(None, "switch"), ("", "switch"), ("io", "io"), ("teach", "teach")])
def test_the_environment_says_the_first_level(named: str | None, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREENSCOPE_DETAIL", raising=False)
    if named is not None:
        monkeypatch.setenv("GREENSCOPE_DETAIL", named)
    assert levels.NAMES[levels._from_environment()] == level


def test_a_wrong_level_in_the_environment_is_said_and_the_program_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENSCOPE_DETAIL", "loud")
    assert levels._from_environment() == Detail.SWITCH
    assert capsys.readouterr().err == (
        "greenscope: GREENSCOPE_DETAIL: there is no detail level 'loud': give switch, io or teach; it is switch\n"
    )
