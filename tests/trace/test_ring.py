"""Both writers, C and Python: the same calls leave the same bytes, and the bytes read back as what was said."""

from __future__ import annotations

import contextlib
import gc
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import greenlet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.trace.events import Detail, Exit, Kind, Op, Ready, Resource, Spawn, Timeouts, Wait, Watch, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Gap
from greenscope.trace.ring_file import RingSizes
from greenscope.trace.ring_layout import EVENT, EVENT_STEP, MAX_BURST, STACK_FRAMES
from tests.trace.rings import SMALL, WRITERS, begin, new_ring

HEADER_TIMES = slice(24, 40)


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def events_of(path: Path) -> list[Event | Gap]:
    with contextlib.closing(RingReader(path)) as reader:
        return reader.read()


def test_what_is_said_reads_back_in_order(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    resource = ring.watcher_open(Watch.READ, 7, b"127.0.0.1:8000")
    ring.clock_ns = 2000
    ring.wait(Watch.READ, resource, 7, 1500, b"127.0.0.1:8000")
    ring.fire(main, Watch.READ, resource, 7)
    ring.clock_ns = 3000
    ring.switch(main)
    ring.exit(main, Exit.RAISED)
    events = [event for event in events_of(tmp_path / "a.gsr") if isinstance(event, Event)]
    assert [Kind(event.kind).name.lower() for event in events[5:]] == [
        "watcher_open", "watcher_start", "greenlet_park", "watcher_fire", "greenlet_ready", "greenlet_switch",
        "greenlet_exit",
    ]  # fmt: skip
    opened, started, parked = events[5:8]
    assert opened.text == "127.0.0.1:8000"
    assert started == Event(2000, 2, Kind.WATCHER_START, Watch.READ, 0, 0, resource | 7 << 32)
    assert parked._replace(site=0) == Event(2000, 2, Kind.GREENLET_PARK, Wait.READ, 8, 0, resource | 1500 << 32)
    assert events[-1] == Event(3000, 2, Kind.GREENLET_EXIT, Exit.RAISED)


def test_what_fires_one_after_the_other_has_one_time(writer: str, tmp_path: Path) -> None:
    """It is what the kernel told in one answer; what is told after something else has happened is news."""
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    for clock, event in enumerate(("fire", "fire", "fire", "poll", "fire", "ready", "fire"), 2):
        ring.clock_ns = 1000 * clock
        if event == "fire":
            ring.fire(main, Watch.READ, 1, 7)
        elif event == "poll":
            ring.poll_end(3)
        else:
            ring.ready(main, Ready.OTHER, 0)
    times = [event.time_ns for event in events_of(tmp_path / "a.gsr") if isinstance(event, Event)][4:]
    assert times[-12:] == [2000] * 6 + [5000] + [6000] * 2 + [7000] + [8000] * 2


def test_a_timeout_of_a_scope_has_a_time_and_a_line_of_its_own(writer: str, tmp_path: Path) -> None:
    """Any amount of the program may lie between it and a wait."""
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    ring.clock_ns = 1000
    number = ring.timeout_start(Timeouts.SCOPE, 50)
    ring.clock_ns = 3000
    ring.wait(Watch.READ, 1, 7, 50, b"")
    ring.clock_ns = 4000
    ring.switch(main)
    ring.watcher_stop(Watch.READ, 1, 7)
    ring.clock_ns = 5000
    ring.timeout_cancel(Timeouts.SCOPE, number)
    events = [event for event in events_of(tmp_path / "a.gsr") if isinstance(event, Event)][5:]
    begins, starts, parks, _, stops, cancel = events
    assert [event.time_ns for event in (begins, starts, parks, stops, cancel)] == [1000, 3000, 3000, 4000, 5000]
    assert parks.site != begins.site


@pytest.mark.parametrize("stacks", [False, True])
def test_code_that_there_is_no_room_for_is_not_kept(stacks: bool, writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    ring.stacks = stacks
    codes = []
    for number in range(20):
        code = compile("ring.park(0, 0, -1, 0, b'')", f"made-{number}", "exec")
        exec(code, {"ring": ring})
        ring.switch(main)
        codes.append(weakref.ref(code))
        del code
    gc.collect()
    assert codes[-1]() is None


def test_a_string_of_a_class_with_a_hash_of_its_own_is_its_text(writer: str, tmp_path: Path) -> None:
    class Name(str):
        __slots__ = ()

        def __hash__(self) -> int:
            ring.string("meanwhile")
            raise ValueError

    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    begin(ring)
    span = ring.string(Name("load"))
    assert span
    assert ring.string("load") == span


def test_what_the_program_says_and_what_a_level_adds_reads_back(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    begin(ring)
    span = ring.span_begin("load")
    request = ring.request_begin(b"id-1\nGET /")
    ring.set_detail(Detail.IO)
    ring.op_begin(Op.RECV, 1, 5, 7)
    ring.op_end(Op.RECV, 104, 0, b"ConnectionResetError")
    ring.mark("m\N{LATIN SMALL LETTER A WITH DIAERESIS}rk ".encode() * 30)
    ring.acquire(0, Resource.LOCK, 0, 9, 0)
    ring.release(Resource.LOCK, 9, 1)
    ring.request_end(request, 500, Exit.RAISED, "KeyError")
    ring.span_end(span, Exit.RAISED, "KeyError")
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        events = [event for event in reader.read() if isinstance(event, Event)][5:]
        assert [(Kind(event.kind).name.lower(), event.reason, event.aux) for event in events] == [
            ("span_begin", 0, 0), ("request_begin", 0, 0), ("detail", Detail.IO, Detail.SWITCH),
            ("op_begin", Op.RECV, 1), ("op_end", Op.RECV, 104), ("mark", 0, 0),
            ("resource_acquire", Resource.LOCK, 0), ("resource_release", Resource.LOCK, 0),
            ("request_end", Exit.RAISED, 500), ("span_end", Exit.RAISED, 0),
        ]  # fmt: skip
        assert {event.greenlet for event in events} == {2}
        assert unpack(events[0].arg)[0] == span
        assert reader.string(unpack(events[0].arg)[1]) == "load"
        assert events[1].text == "id-1\nGET /"
        assert (unpack(events[3].arg), events[4].text) == ((5, 7), "ConnectionResetError")
        assert events[5].text.startswith("m\N{LATIN SMALL LETTER A WITH DIAERESIS}rk ")
        assert reader.string(unpack(events[-1].arg)[1]) == "KeyError"
        sites = [reader.site(event.site) for event in events]
        assert [site is not None and site.file == __file__ for site in sites] == [
            event.kind in {Kind.SPAN_BEGIN, Kind.REQUEST_BEGIN, Kind.MARK} for event in events
        ]


def test_the_call_site_is_the_first_frame_outside_the_package(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    begin(ring)
    ring.park(Wait.TIMER, 0, -1, 0, b"")
    line = test_the_call_site_is_the_first_frame_outside_the_package.__code__.co_firstlineno + 3
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        event = reader.read()[-1]
        assert isinstance(event, Event)
        site = reader.site(event.site)
    assert site is not None
    assert (site.file, site.line) == (__file__, line)
    assert site.function == "test_the_call_site_is_the_first_frame_outside_the_package"


def test_a_park_has_its_callers_when_whole_stacks_are_recorded(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr", replace(SMALL, sites=40))
    begin(ring)
    ring.stacks = True
    parks = _calling("/plumbing/inner.py", partial(ring.park, Wait.LOCK, 0, -1, 0, b""))
    places = [_calling("/a.py", parks), _calling("/b.py", parks), _calling("/plumbing/outer.py", parks)]
    apps = [_calling("/app.py", place) for place in places]
    for app in [*apps, *apps]:
        greenlet.greenlet(app).switch()
    greenlet.greenlet(parks).switch()
    ring.stacks = False
    greenlet.greenlet(places[0]).switch()
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        events = [event for event in reader.read() if isinstance(event, Event)]
        parked = [event.site for event in events if event.kind == Kind.GREENLET_PARK]
        assert [[site.file for site in reader.stack(number)] for number in parked] == [
            ["/a.py", "/app.py"], ["/b.py", "/app.py"], ["/app.py"],
            ["/a.py", "/app.py"], ["/b.py", "/app.py"], ["/app.py"],
            ["/plumbing/inner.py"], ["/a.py"],
        ]  # fmt: skip
        assert parked[:3] == parked[3:6]
        assert parked[-1] != parked[0]


def test_of_a_deep_stack_the_outermost_frames_are_left_out(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr", replace(SMALL, sites=200))
    begin(ring)
    ring.stacks = True

    def descend(levels: int) -> None:
        if levels:
            descend(levels - 1)
        else:
            ring.park(Wait.LOCK, 0, -1, 0, b"")

    descend(100)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        event = reader.read()[-1]
        assert isinstance(event, Event)
        functions = [site.function.rpartition(".")[2] for site in reader.stack(event.site)]
    assert functions == ["descend"] * STACK_FRAMES


def test_stacks_that_find_no_room_are_counted(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    begin(ring)
    ring.stacks = True
    ring.park(Wait.LOCK, 0, -1, 0, b"")
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert reader.counters()["sites_lost"] > 0


@pytest.mark.parametrize(("caller", "wanted"), [("/app.py", "/app.py"), ("/plumbing/outer.py", "/plumbing/inner.py")])
def test_the_call_site_is_plumbing_only_if_there_is_nothing_else(
    writer: str, tmp_path: Path, caller: str, wanted: str
) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    begin(ring)
    parks = greenlet.greenlet(
        _calling(caller, _calling("/plumbing/inner.py", partial(ring.park, Wait.LOCK, 0, -1, 0, b"")))
    )
    parks.switch()
    ring.park(Wait.LOCK, 0, -1, 0, b"")
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        sites = [reader.site(event.site) for event in reader.read()[-2:] if isinstance(event, Event)]
    assert [site.file for site in sites if site is not None] == [wanted, __file__]


def _calling(file: str, function: Callable[[], object]) -> Callable[[], object]:
    """A function in ``file`` that calls another."""
    names: dict[str, Any] = {"function": function}
    exec(compile("def call():\n    function()", file, "exec"), names)
    call: Callable[[], object] = names["call"]
    return call


def test_the_greenlet_table_says_what_each_living_greenlet_does(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    child = ring.spawn(Spawn.GREENLET, ring.string("work"), 1, main)
    ring.clock_ns = 5000
    ring.park(Wait.READ, 9, 7, 2, b"peer:1")
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        rows = {row.name: row for row in reader.greenlets()}
        assert rows["main"].state == "waiting"
        assert (rows["main"].fd, rows["main"].peer, rows["main"].resource) == (7, "peer:1", 9)
        assert rows["main"].since_ns == 5000
        assert rows["main"].deadline_ns == 5000 + 2_000_000
        assert (rows["main"].run_ns, rows["main"].switches) == (4000, 1)
        assert (rows["work"].state, rows["work"].numbered, rows["work"].parent) == ("spawned", True, 2)
        ring.exit(child, Exit.KILLED)
        assert {row.name for row in reader.greenlets()} == {"hub", "main"}


def test_a_ring_holds_any_multiple_of_16_records(writer: str, tmp_path: Path) -> None:
    sizes = RingSizes(events=48, slots=4, sites=8, string_bytes=512)
    ring, _ = new_ring(writer, tmp_path / "a.gsr", sizes)
    for number in range(1000):
        ring.watcher_start(Watch.READ, number, 0)
    gap, *events = events_of(tmp_path / "a.gsr")
    assert gap == Gap(1000 - 48 + MAX_BURST)
    assert [event.arg for event in events if isinstance(event, Event)] == list(range(960, 1000))


def test_space_is_taken_as_it_is_needed(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gsr"
    ring, _ = new_ring(writer, path, RingSizes())
    small = path.stat().st_blocks * 512
    assert small < 1 << 20 < path.stat().st_size
    per_step = EVENT_STEP // EVENT.size
    for number in range(per_step * 2 + 1):
        ring.watcher_start(Watch.READ, number, 0)
    assert path.stat().st_blocks * 512 == small + 2 * EVENT_STEP
    assert [event.arg for event in events_of(path) if isinstance(event, Event)] == list(range(per_step * 2 + 1))


def test_a_slot_is_used_again_and_a_stale_handle_changes_nothing(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    first = ring.spawn(Spawn.GREENLET, ring.string("first"), 0, main)
    ring.exit(first, Exit.RETURNED)
    second = ring.spawn(Spawn.GREENLET, ring.string("second"), 0, main)
    assert second != first
    ring.ready(first, Ready.OTHER, 0)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert [(row.name, row.state) for row in reader.greenlets()][2:] == [("second", "spawned")]


def test_a_full_table_is_counted_and_its_greenlets_still_have_events(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    handles = [ring.spawn(Spawn.GREENLET, 0, 0, main) for _ in range(SMALL.slots)]
    ring.ready(handles[-1], Ready.SPAWN, main)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert reader.counters()["slots_lost"] == 2
        assert reader.read()[-1] == Event(1000, 6, Kind.GREENLET_READY, Ready.SPAWN, 0, 0, 2)


def test_full_strings_and_sites_are_counted_and_read_as_unknown(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    begin(ring)
    assert [ring.string("x" * 300), ring.string("y" * 300)][1] == 0
    # Two more than fit, the last of them twice; the hub and the main greenlet began at sites as well.
    places = [compile("\n" * number + "ring.park(0, 0, -1, 0, b'')", "<s>", "exec") for number in range(SMALL.sites)]
    for place in [*places, places[-1]]:
        exec(place, {"ring": ring})
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert reader.counters()["strings_lost"] >= 1
        assert reader.counters()["sites_lost"] == 1 + len(places) - (SMALL.sites - 1 - 2)
        last = reader.read()[-1]
        assert isinstance(last, Event)
        assert reader.site(last.site) is None


def test_writing_keeps_no_objects_alive(tmp_path: Path) -> None:
    def write(number: int) -> None:
        ring, file = new_ring("c", tmp_path / f"{number}.gsr")
        _, main = begin(ring)
        for _ in range(200):
            child = ring.spawn(Spawn.GREENLET, ring.string("work"), 1, main)
            resource = ring.watcher_open(Watch.READ, 1 << 31, b"peer" * 99)
            ring.switch(child)
            ring.wait(Watch.READ, resource, 7, 5, b"peer")
            ring.fire(child, Watch.READ, resource, 7)
            with pytest.raises(TypeError):
                ring.switch("no handle")  # type: ignore[arg-type]
            ring.exit(child, Exit.RETURNED)
        ring.detach()
        file.release()

    write(0)
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(1, 11):
        write(number)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200  # 2000 rounds


def test_a_detached_ring_writes_nothing_and_raises_nothing(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    _, main = begin(ring)
    before = (tmp_path / "a.gsr").read_bytes()
    ring.detach()
    ring.detach()
    assert ring.spawn(Spawn.GREENLET, 0, 0, main) == 0
    assert ring.watcher_open(Watch.READ, 1, b"peer") == 0
    ring.park(Wait.READ, 1, 1, 0, b"")
    ring.switch(main)
    ring.exit(main, Exit.RETURNED)
    ring.string("new")
    ring.poll_begin(1)
    ring.timeout_start(0, 5)
    assert ring.span_begin("span") == ring.request_begin(b"request") == 0
    ring.span_end(1, 0, "")
    ring.mark(b"mark")
    ring.op_begin(1, 0, 0, 1)
    ring.op_end(1, 0, 0, b"OSError")
    ring.set_detail(2)
    assert (tmp_path / "a.gsr").read_bytes() == before


def test_wrong_arguments_are_a_type_error_in_c() -> None:
    ring, _ = new_ring("c")
    for method, args in {
        "ready": (1, 2),
        "park": (1, 2, 3, 4, "text"),
        "switch": ("x",),
        "string": (b"",),
        "span_begin": (b"",),
        "span_end": (1, 2),
        "mark": ("text",),
        "request_begin": ("text",),
        "request_end": (1, 2, 3, 4),
        "op_begin": (1,),
        "op_end": (1, 2, 3, ""),
        "set_detail": ("io",),
    }.items():
        with pytest.raises(TypeError):
            getattr(ring, method)(*args)


numbers = st.integers(0, 1 << 33)
small = st.integers(0, 6)
reasons = st.sampled_from([0, 1, 2, 4, 7, 0x101, 0x102, 0x201, 0x202])
peers = st.binary(max_size=300)
calls = st.one_of(
    st.tuples(st.just("spawn"), small, small, st.integers(0, 1), small),
    st.tuples(st.just("ready"), small, st.integers(0, 7), numbers),
    st.tuples(st.just("switch"), small),
    st.tuples(st.just("throw"), small),
    st.tuples(st.just("rename"), small, small, st.integers(0, 1)),
    st.tuples(st.just("park"), reasons, numbers, st.integers(-1, 1 << 17), numbers, peers),
    st.tuples(st.just("wait"), reasons, numbers, st.integers(-1, 1 << 17), numbers, peers),
    st.tuples(st.just("exit"), small, st.integers(0, 2)),
    st.tuples(st.just("watcher_open"), reasons, st.integers(-1, 1 << 17), peers),
    st.tuples(st.just("watcher_start"), small, numbers, st.integers(-1, 1 << 17)),
    st.tuples(st.just("fire"), small, small, numbers, st.integers(-1, 1 << 17)),
    st.tuples(st.just("give_way"), small, numbers),
    st.tuples(st.just("watcher_fire"), small, numbers, numbers),
    st.tuples(st.just("watcher_stop"), small, numbers, numbers),
    st.tuples(st.just("watcher_close"), small, numbers, numbers),
    st.tuples(st.just("watcher_refuse"), small, numbers, st.integers(-1, 1 << 17), numbers, peers),
    st.tuples(st.just("timeout_start"), small, numbers),
    st.tuples(st.just("timeout_fire"), small, small, numbers),
    st.tuples(st.just("timeout_cancel"), small, numbers),
    st.tuples(st.just("poll_begin"), st.integers(0, 1)),
    st.tuples(st.just("poll_end"), numbers),
    st.tuples(st.just("loop_exit"), small, numbers),
    st.tuples(st.just("string"), st.text(max_size=40)),
    st.tuples(st.just("resource")),
    st.tuples(st.just("span_begin"), st.sampled_from(["", "a", "sp\N{LATIN SMALL LETTER A WITH DIAERESIS}n"])),
    st.tuples(st.just("span_end"), numbers, small, st.sampled_from(["", "ValueError"])),
    st.tuples(st.just("mark"), peers),
    st.tuples(st.just("job_put"), st.integers(0, 300), st.integers(0, 1 << 17), st.sampled_from(["", "f"]), peers),
    st.tuples(st.just("job_end"), numbers, small, numbers),
    st.tuples(st.just("request_begin"), peers),
    st.tuples(st.just("request_end"), numbers, st.integers(0, 1 << 17), small, st.sampled_from(["", "KeyError"])),
    st.tuples(st.just("op_begin"), small, small, numbers, st.integers(-1, 1 << 17)),
    st.tuples(st.just("op_end"), small, st.integers(0, 1 << 17), numbers, peers),
    st.tuples(st.just("acquire"), small, small, small, numbers, numbers),
    st.tuples(st.just("release"), small, numbers, numbers),
    st.tuples(st.just("awaits"), small, st.integers(0, 3), numbers),
    st.tuples(st.just("callback_begin"), small, numbers, st.sampled_from(["", "f"])),
    st.tuples(st.just("callback_end"), small),
    st.tuples(st.just("set_detail"), st.integers(0, 2)),
    st.tuples(st.just("stacks"), st.booleans()),
)
BY_HANDLE = {"ready": 0, "switch": 0, "throw": 0, "rename": 0, "exit": 0, "fire": 0, "give_way": 0,
             "timeout_fire": 0, "spawn": 3, "acquire": 0, "awaits": 0, "loop_exit": 0}  # fmt: skip


def play(ring: Any, program: list[tuple[Any, ...]]) -> list[Any]:
    handles = [0, *begin(ring)]
    given = []
    for step, (method, *args) in enumerate(program):
        ring.clock_ns = 1000 + 10 * step
        at = BY_HANDLE.get(method)
        if at is not None:
            args[at] = handles[args[at] % len(handles)]
        if method == "stacks":
            ring.stacks = args[0]
            continue
        result = getattr(ring, method)(*args)
        given.append((result, ring.current))
        if method == "spawn":
            handles.append(result)
    return given


@settings(deadline=None)
@given(st.lists(calls, max_size=80))
def test_both_writers_leave_the_same_bytes(program: list[tuple[Any, ...]]) -> None:
    (c, c_file), (python, python_file) = new_ring("c"), new_ring("python")
    assert play(c, program) == play(python, program)
    c_bytes, python_bytes = bytearray(c_file.memory), bytearray(python_file.memory)
    c_bytes[HEADER_TIMES] = python_bytes[HEADER_TIMES] = b""
    assert c_bytes == python_bytes
