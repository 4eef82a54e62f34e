"""``greenscope top`` as the engineer on call meets it: a service that works, is blocked, has several hubs, or dies.

The app runs in the test, on Textual's screen without a terminal, over real processes; the command itself runs in
a terminal of its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from greenscope.cli.top_app import TopApp
from greenscope.cli.top_details import Details
from greenscope.cli.top_look import Watched
from greenscope.cli.top_table import SORT_COLUMNS
from greenscope.cli.top_widgets import FindingList, GreenletTable, sparkline
from greenscope.trace.analysis.diagnoses import Thresholds
from greenscope.trace.analysis.table import SORTS
from tests.cli.test_ps import BLOCKED_IN_C, SERVICE, TWO_HUBS, WORKS, service

SIZES = ((80, 24), (200, 60))
PATIENCE = 30
ENDS = f"""{SERVICE}
print("ready", flush=True)
sleep(0.2)
"""
STUCK = f"""{SERVICE}
def stuck(connection):
    connection.recv(1)
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
spawn(stuck, socket.create_connection(server.getsockname()))
serve()
"""
COMPUTES = f"""{SERVICE}
def hog():
    print("ready", flush=True)
    while True:
        pass
spawn(hog).join()
"""
CROWD = """
from greenscope.runtime import Event, sleep, spawn
forever = Event()
def waits():
    forever.wait()
for number in range(10_000):
    spawn(waits).name = f"waits-{number:05}"
sleep(0.001)
print("ready", flush=True)
while True:
    sleep(0.01)
"""


@pytest.fixture(autouse=True)
def _(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


class Screen:
    """What is on it."""

    def __init__(self, app: TopApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def text(self) -> str:
        """As one sees it, a line a row."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in lines)

    @property
    def table(self) -> GreenletTable:
        return self.app.screen_stack[1].query_one(GreenletTable)

    @property
    def findings(self) -> FindingList:
        return self.app.screen_stack[1].query_one(FindingList)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, holds: Callable[[], object]) -> None:
        async def wait() -> None:
            while not holds():
                assert self.app._exception is None
                await self.pilot.pause(0.02)

        try:
            await asyncio.wait_for(wait(), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"it did not come about:\n{self.text}") from None

    async def shows(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.text for text in texts))


def looking(
    pid: int,
    directory: Path,
    do: Callable[[Screen], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
    **thresholds: int,
) -> TopApp:
    """The app looks at a process, and something is done with it, as soon as it shows one."""

    async def run() -> TopApp:
        watched = Watched(directory, pid, Thresholds(**thresholds))
        try:
            app = TopApp(watched)
            async with app.run_test(size=size) as pilot:
                screen = Screen(app, pilot)
                await screen.until(lambda: app.picture is not None)
                await pilot.pause()
                await do(screen)
        finally:
            watched.close()
        return app

    return asyncio.run(run())


@pytest.mark.parametrize("size", SIZES)
def test_it_shows_who_waits_on_what_and_what_the_hub_does(size: tuple[int, int], trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        await screen.shows("MainThread", "Load", "p50", "p99", "Events/s", "poll for", "nothing is wrong", "q quit")
        await screen.shows("6 greenlets: ", "reads #", "read fd ", "takes #", "lock ", "sweeper", "timer", "in 1:")
        await screen.until(lambda: screen.app.picture and screen.app.picture.hubs[0].events_per_second)
        (hub,) = screen.app.picture.hubs if screen.app.picture else ()
        assert hub.load is not None
        assert 0 < hub.load < 1
        assert 0 < hub.p50 <= hub.p99
        assert ("Run time" in screen.text) == (size[0] == 200)
        assert all(len(line) == size[0] for line in screen.text.splitlines())

    with service(WORKS) as process:
        looking(process.pid, trace_directory, do, size)


@pytest.mark.usefixtures("default_stalls")
@pytest.mark.parametrize("size", SIZES)
def test_who_blocks_the_hub_is_a_finding_and_enter_shows_its_stack_evidence_and_advice(
    size: tuple[int, int], trace_directory: Path
) -> None:
    async def do(screen: Screen) -> None:
        await screen.shows("Findings: 1 critical", "critical", "has kept the hub for", "away from its poll for", "100%")
        assert screen.text.count("▸") == 1
        assert screen.table.entries[0].row.state == "running"
        await screen.press("shift+tab", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, Details))
        await screen.shows("hub-blocked", "Stack, innermost first", "hog", "goes on")
        said = str(screen.app.screen.query_one("#text", Static).render())
        assert "What was seen" in said
        assert "ran, and did not switch" in said
        assert "What to do\n  Let it switch in between" in said
        await screen.until(lambda: str(screen.app.screen.query_one("#text", Static).render()) != said)  # it goes on
        await screen.press("escape")
        assert not isinstance(screen.app.screen, Details)

    with service(COMPUTES) as process:
        looking(process.pid, trace_directory, do, size)


@pytest.mark.usefixtures("default_stalls")
def test_the_worst_comes_first_and_each_can_be_gone_to(trace_directory: Path) -> None:
    both = STUCK.replace("serve()\n", "sleep(0.01)\n") + BLOCKED_IN_C.removeprefix(SERVICE)

    async def do(screen: Screen) -> None:
        await screen.shows("Findings: 1 critical, 1 warning")
        found = screen.findings.found
        assert found is not None
        assert [str(one.finding.severity) for one in found] == ["critical", "warning"]
        await screen.press("tab", "down", "enter")
        await screen.shows("wait-no-deadline")

    with service(both) as process:
        looking(process.pid, trace_directory, do, wait_ms=10)


@pytest.mark.parametrize("size", SIZES)
def test_when_the_process_dies_its_last_picture_stays_and_it_is_said(
    size: tuple[int, int], trace_directory: Path
) -> None:
    with service(WORKS) as process:

        async def do(screen: Screen) -> None:
            await screen.shows("live for")
            process.kill()
            await screen.shows("died 20", "sweeper")
            assert "live for" not in screen.text
            assert not screen.app.picture or not screen.app.picture.lives
            await screen.press("end", "enter")
            await screen.shows("Where it parked")

        looking(process.pid, trace_directory, do, size)


def test_a_process_that_ended_in_good_order_is_said_to_have_ended(trace_directory: Path) -> None:
    with service(ENDS) as process:

        async def do(screen: Screen) -> None:
            await screen.shows("ended 20")

        looking(process.pid, trace_directory, do)


def test_a_process_that_was_stopped_is_shown_and_stays_stopped(trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        await screen.shows("live for", "sweeper")

    with service(WORKS) as process:
        process.send_signal(signal.SIGSTOP)
        looking(process.pid, trace_directory, do)
        assert Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
        process.send_signal(signal.SIGCONT)


def test_each_of_several_hubs_has_a_line_and_can_be_looked_at_alone(trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        await screen.shows("1 MainThread", "2 second", "[ ] hub")
        await screen.until(lambda: {entry.hub.number for entry in screen.table.entries} == {1, 2})
        await screen.press("]", "]")
        await screen.shows("▸ 2 second", "of hub 2")
        assert {entry.hub.number for entry in screen.table.entries} == {2}
        await screen.press("]")
        assert {entry.hub.number for entry in screen.table.entries} == {1, 2}

    with service(TWO_HUBS) as process:
        looking(process.pid, trace_directory, do)


def test_a_hub_that_begins_later_is_shown_too(trace_directory: Path) -> None:
    later = TWO_HUBS.replace("threading.Thread(", "print('ready', flush=True); sys.stdin.readline(); threading.Thread(")
    with subprocess.Popen([sys.executable, "-c", later], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        stdin = process.stdin

        async def do(screen: Screen) -> None:
            assert "2 second" not in screen.text
            stdin.write("go\n")
            stdin.flush()
            await screen.shows("2 second")

        try:
            looking(process.pid, trace_directory, do)
        finally:
            process.kill()


def test_rows_are_sorted_by_every_column_and_the_other_way_round(trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        assert list(SORT_COLUMNS) == sorted(SORTS, key=list(SORT_COLUMNS).index)
        for sort, column in [*SORT_COLUMNS.items()][1:]:
            await screen.press("s")
            await screen.until(lambda sort=sort: screen.table.order.sort == sort)
            await screen.shows(f"{column} ▾")
        await screen.press("s", "S", "S", "S", "S", "S", "S")  # past the last, and back to the name
        await screen.until(lambda: screen.table.order.sort == "name")
        names = [entry.row.name for entry in screen.table.entries]
        assert names == sorted(names)
        await screen.press("r")
        await screen.shows("Greenlet ▴")
        assert [entry.row.name for entry in screen.table.entries] == sorted(names, reverse=True)

    with service(WORKS) as process:
        looking(process.pid, trace_directory, do)


def test_typing_filters_by_any_text_of_a_row_and_escape_shows_all_again(trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        await screen.press("/", *"LOCK ta")
        await screen.shows("2 of 6 greenlets")
        assert {entry.row.name.split(" #")[0] for entry in screen.table.entries} == {"takes"}
        await screen.press("enter", "enter")  # back to the table, where it opens a row
        await screen.shows("Where it parked")
        await screen.press("escape", "escape")
        await screen.until(lambda: len(screen.table.entries) == 6)
        await screen.press("/", "q", "?", "s")  # which are no keys here
        await screen.shows("0 of 6 greenlets")
        await screen.press("escape")
        await screen.until(lambda: screen.table.has_focus and len(screen.table.entries) == 6)

    with service(WORKS) as process:
        looking(process.pid, trace_directory, do)


@pytest.mark.parametrize("size", SIZES)
def test_ten_thousand_are_scrolled_through_and_the_cursor_stays_with_its_greenlet(
    size: tuple[int, int], trace_directory: Path
) -> None:
    async def do(screen: Screen) -> None:
        await screen.shows("10001 greenlets")
        await screen.press("s", "s")
        await screen.shows("Greenlet ▾", "main", "waits-00000")
        await screen.press("end")
        await screen.shows("▸ waits-09999")
        await screen.press("pageup")
        here = screen.table.entries[screen.table.cursor].row.name
        assert 9900 < int(here.removeprefix("waits-")) < 9999
        await screen.press("r")  # another order begins at its top
        await screen.shows("▸ waits-09999")
        await screen.press("down", "down")
        first = screen.app.picture
        await screen.until(lambda: screen.app.picture is not first)
        await screen.shows("▸ waits-09997")
        await screen.press("home", "/", *"-0042")
        await screen.shows("10 of 10001", "waits-00420")

    with service(CROWD) as process:
        looking(process.pid, trace_directory, do, size)


def test_a_held_picture_stays_until_it_is_let_go(trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        await screen.press("space")
        await screen.shows("held, was live for")
        picture, process = screen.app.picture, running
        process.kill()
        process.wait()
        assert screen.app.picture is picture
        await screen.press("space")
        await screen.shows("died 20")

    with service(WORKS) as running:
        looking(running.pid, trace_directory, do)


def test_help_names_every_key_that_does_something(trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        await screen.press("?")
        await screen.until(lambda: isinstance(screen.app.screen, Details))
        said = str(screen.app.screen.query_one("#text", Static).render())
        for key in ("Tab", "Enter", "/", "Esc", "s, S", "r ", "[, ]", "Space", "t ", "q, Ctrl+C"):
            assert f"  {key}" in said
        await screen.press("q")
        await screen.until(lambda: not isinstance(screen.app.screen, Details))
        await screen.press("t", "q")
        await screen.until(lambda: screen.app.return_code == 0)

    with service(WORKS) as process:
        app = looking(process.pid, trace_directory, do)
    assert app.theme == "greenscope-light"


@pytest.mark.usefixtures("default_stalls")
def test_without_colours_there_are_none_and_everything_is_said(
    trace_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def do(screen: Screen) -> None:
        await screen.shows("critical", "away from its poll for", "▸ hog", "running")
        for line in screen.app.screen._compositor.render_strips():
            for text, style, _ in line.apply_filter(screen.app._filters[-1], screen.app.screen.background_colors[0]):
                assert style is None or style.color is None or style.color.is_default, text
                assert style is None or style.bgcolor is None or style.bgcolor.is_default, text
        await screen.press("?")
        await screen.shows("Keys")

    with service(BLOCKED_IN_C) as process:
        looking(process.pid, trace_directory, do)


def test_a_name_cannot_write_to_the_terminal_nor_mark_up_the_screen(trace_directory: Path) -> None:
    evil = WORKS.replace('named.name = "sweeper"', r'named.name = "[red]\x1b[31m\u202e[/nope]"')

    async def do(screen: Screen) -> None:
        await screen.press("/", *"nope")
        await screen.shows(r"[red]\x1b[31m\u202e")
        await screen.press("enter", "enter")
        await screen.shows(r"[red]\x1b[31m\u202e[/nope]", "Where it parked")
        assert "\x1b" not in screen.text

    with service(evil) as process:
        looking(process.pid, trace_directory, do, (120, 30))


def test_no_size_is_too_small_and_each_can_be_had_while_it_runs(trace_directory: Path) -> None:
    async def do(screen: Screen) -> None:
        for size in ((40, 10), (20, 5), (1, 1), (300, 3), (200, 60)):
            await screen.pilot.resize_terminal(*size)
            picture = screen.app.picture
            await screen.until(lambda picture=picture: screen.app.picture is not picture)
            assert all(len(line) <= size[0] for line in screen.text.splitlines())
        await screen.shows("MainThread", "Run time", "q quit")

    with service(TWO_HUBS) as process:
        looking(process.pid, trace_directory, do)


def test_a_sparkline_tells_idle_from_busy_from_lost_from_nothing() -> None:
    assert sparkline([None, 0.0, 0.5, None, 1.0]) == " ▁▅·█"


# The command.


def top(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenscope", "top", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@contextmanager
def in_a_terminal(*args: object, term: str = "xterm-256color") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "greenscope", "top", *map(str, args)]
    environment = {**os.environ, "TERM": term}
    with subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment) as process:
        os.close(child)
        try:
            yield process, parent
        finally:
            process.kill()
            os.close(parent)


def read_until(fd: int, text: bytes) -> bytes:
    """What comes; up to a text, or to the end."""
    seen = b""
    while text not in seen:
        assert select.select([fd], [], [], PATIENCE)[0], seen
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    return seen


@pytest.mark.parametrize(
    ("given", "said"),
    [("nobody", "'nobody' is not the number of a process"), ("-1", "No such option"), ("4194305", "has no ring in")],
)
def test_what_is_no_process_is_one_line_and_2(given: str, said: str) -> None:
    done = top(given)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_no_terminal_is_one_line_and_2() -> None:
    with service(WORKS) as process:
        done = top(process.pid)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"top needs a terminal; greenscope ps {process.pid} and" in done.stderr


def test_a_terminal_that_cannot_move_its_cursor_is_one_line_and_2() -> None:
    with service(WORKS) as process, in_a_terminal(process.pid, term="dumb") as (viewer, fd):
        assert b"top needs a terminal" in read_until(fd, b"\n")
        assert viewer.wait(PATIENCE) == 2


@pytest.mark.parametrize("end", ["q", "Ctrl-C", "SIGTERM"])
def test_however_it_ends_the_terminal_is_as_it_was(end: str) -> None:
    with service(WORKS) as process, in_a_terminal(process.pid) as (viewer, fd):
        assert b"MainThread" in read_until(fd, b"MainThread")
        before = termios.tcgetattr(fd)[3]
        assert not before & termios.ECHO
        if end == "SIGTERM":
            viewer.send_signal(signal.SIGTERM)
        else:
            os.write(fd, b"q" if end == "q" else b"\x03")
        assert b"\x1b[?1049l" in read_until(fd, b"\x1b[?1049l")
        read_until(fd, b"\0")
        assert viewer.wait(PATIENCE) == (128 + signal.SIGTERM if end == "SIGTERM" else 0)
        assert process.poll() is None


def test_no_other_command_loads_textual() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "greenscope", "ps", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "greenscope.cli.ps" in done.stderr
    assert "textual" not in done.stderr
