"""What a program says itself: spans, marks, names and requests are in the recording, of the greenlet that said them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenscope.runtime import GreenletExit, sleep, spawn
from greenscope.runtime.hub import get_hub
from greenscope.trace import mark, request, set_name, span
from greenscope.trace.events import Exit, Kind, unpack
from greenscope.trace.here import here
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event


@pytest.fixture
def told() -> Iterator[Any]:
    """Gives the notes of this thread's new hub: (greenlet's name, kind, what)."""
    hub = get_hub()
    path = hub.recorder.path
    assert path is not None
    yield lambda: notes(path)
    hub.destroy()


def notes(path: Path) -> list[tuple[str, str, Any]]:
    with contextlib.closing(RingReader(path)) as reader:
        events = [event for event in reader.read() if isinstance(event, Event)]
        names: dict[int, str] = {}
        told: list[tuple[str, str, Any]] = []
        spans: dict[int, str] = {}
        for event in events:
            kind = Kind(event.kind)
            low, high = unpack(event.arg)
            if kind == Kind.GREENLET_NAME:
                names[event.greenlet] = reader.string(event.arg)
            what: Any = None
            if kind == Kind.SPAN_BEGIN:
                what = spans[low] = reader.string(high)
            elif kind == Kind.SPAN_END:
                what = (spans.pop(low), Exit(event.reason).name.lower(), reader.string(high))
            elif kind == Kind.REQUEST_END:
                what = (Exit(event.reason).name.lower(), event.aux, reader.string(high))
            elif kind in {Kind.MARK, Kind.REQUEST_BEGIN}:
                what = event.text
            if what is not None:
                told.append((names[event.greenlet], kind.name.lower(), what))
        return told


def test_a_span_begins_and_ends_and_one_within_it_too(told: Any) -> None:
    with span("outer"):
        with span("inner"):
            pass
    assert told() == [
        ("main", "span_begin", "outer"),
        ("main", "span_begin", "inner"),
        ("main", "span_end", ("inner", "returned", "")),
        ("main", "span_end", ("outer", "returned", "")),
    ]


def test_spans_of_two_greenlets_that_switch_within_them_are_each_ones_own(told: Any) -> None:
    def work(name: str) -> None:
        set_name(name)
        with span(f"of {name}"):
            sleep(0)
            sleep(0)

    for one in [spawn(work, "a"), spawn(work, "b")]:
        one.join()
    assert told() == [
        ("a", "span_begin", "of a"),
        ("b", "span_begin", "of b"),
        ("a", "span_end", ("of a", "returned", "")),
        ("b", "span_end", ("of b", "returned", "")),
    ]


def test_an_exception_that_leaves_a_span_is_said_and_goes_on(told: Any) -> None:
    with pytest.raises(ZeroDivisionError), span("divide"):
        1 / 0  # noqa: B018
    with pytest.raises(GreenletExit), span("killed"):
        raise GreenletExit
    assert [what for _, kind, what in told() if kind == "span_end"] == [
        ("divide", "raised", "ZeroDivisionError"),
        ("killed", "killed", "GreenletExit"),
    ]


def test_each_call_of_a_decorated_function_is_a_span(told: Any) -> None:
    @span("power")
    def power(base: int, exponent: int = 2) -> int:
        """Says what it is."""
        return base if exponent == 1 else base * power(base, exponent - 1)

    assert power(3) == 9
    assert (power.__name__, power.__doc__) == ("power", "Says what it is.")
    assert [kind for _, kind, _ in told()] == ["span_begin", "span_begin", "span_end", "span_end"]


def test_a_decorated_generator_is_one_span_from_its_first_step_to_its_end(told: Any) -> None:
    @span("numbers")
    def numbers() -> Iterator[int]:
        got = yield 1
        mark(f"got {got}")
        yield 2

    made: Any = numbers()
    assert told() == []
    assert (next(made), made.send("news")) == (1, 2)
    mark("between")
    assert list(made) == []
    abandoned: Any = numbers()
    next(abandoned)
    abandoned.close()
    assert [(kind, what) for _, kind, what in told()] == [
        ("span_begin", "numbers"),
        ("mark", "got news"),
        ("mark", "between"),
        ("span_end", ("numbers", "returned", "")),
        ("span_begin", "numbers"),
        ("span_end", ("numbers", "raised", "GeneratorExit")),
    ]


def test_a_coroutine_function_cannot_be_a_span() -> None:
    async def coroutine() -> None: ...

    with pytest.raises(TypeError, match="does not run coroutines"):
        span("never")(coroutine)


def test_a_request_has_an_id_a_subject_and_a_status(told: Any) -> None:
    with request("id-1", "GET /orders") as served:
        served.status = 200
    with pytest.raises(KeyError), request("id-2\nforged"):
        raise KeyError
    request("id-3").begin().end(503, TimeoutError())
    assert [(kind, what) for _, kind, what in told()] == [
        ("request_begin", "id-1\nGET /orders"),
        ("request_end", ("returned", 200, "")),
        ("request_begin", "id-2 forged"),
        ("request_end", ("raised", 0, "KeyError")),
        ("request_begin", "id-3"),
        ("request_end", ("raised", 503, "TimeoutError")),
    ]


def test_a_request_without_an_id_gets_one_and_only_its_first_end_counts(told: Any) -> None:
    first, second = request().begin(), request().begin()
    assert first.id
    assert first.id != second.id
    first.end()
    first.end()
    assert [kind for _, kind, _ in told()] == ["request_begin", "request_begin", "request_end"]


def test_a_status_that_is_no_number_is_none_and_hides_no_error(told: Any) -> None:
    with pytest.raises(KeyError), request("id") as served:
        served.status = "500 Oh"  # type: ignore[assignment]
        raise KeyError
    assert told()[-1] == ("main", "request_end", ("raised", 0, "KeyError"))


def test_a_request_may_end_in_another_greenlet(told: Any) -> None:
    served = request("id").begin()
    spawn(served.end, 204).join()
    (_, _, begun), (_, _, ended) = told()
    assert (begun, ended) == ("id", ("returned", 204, ""))


def test_a_mark_is_cut_where_its_records_end(told: Any) -> None:
    mark("x" * 1000)
    assert told() == [("main", "mark", "x" * 196)]


@pytest.mark.parametrize("say", [mark, set_name, span, request])
def test_what_is_no_text_is_refused_with_and_without_a_recording(say: Any) -> None:
    with pytest.raises(TypeError, match="is a str, not 7"):
        say(7)
    hub = get_hub()
    try:
        with pytest.raises(TypeError, match="is a str, not 7"):
            say(7)
    finally:
        hub.destroy()


def test_notes_make_no_hub_and_a_span_that_began_without_one_has_no_end_either() -> None:
    recorded: list[Any] = []

    def thread() -> None:
        with span("before"):
            mark("nobody hears it")
            recorded.append(here.recorder)
            path = get_hub().recorder.path
            mark("heard")
        assert path is not None
        recorded.append(notes(path))
        get_hub().destroy()
        recorded.append(here.recorder)

    runs = threading.Thread(target=thread)
    runs.start()
    runs.join()
    assert recorded == [None, [("main", "mark", "heard")], None]


def test_what_ends_in_another_thread_than_it_began_in_is_left_open(told: Any) -> None:
    opened = span("handed over")
    opened.__enter__()
    ends = threading.Thread(target=opened.__exit__, args=(None, None, None))
    ends.start()
    ends.join()
    assert told() == [("main", "span_begin", "handed over")]


def test_nothing_is_said_nor_raised_with_tracing_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENSCOPE", "0")
    program = (
        "from greenscope.trace import span, mark, request, set_name, set_detail, detail\n"
        "from greenscope.runtime import sleep\n"
        "sleep(0)\n"
        "with span('s'), request('r') as served:\n    mark('m'); set_name('n'); set_detail('io'); sleep(0)\n"
        "print(span('f')(lambda: served.id)(), detail())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("r io\n", "")
    assert not list(tmp_path.rglob("*.gsr"))


def test_to_import_the_package_loads_none_of_its_modules() -> None:
    program = "import sys, greenscope.trace; print([m for m in sys.modules if m.startswith('greenscope.trace.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
