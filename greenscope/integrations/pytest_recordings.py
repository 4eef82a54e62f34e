"""The recordings of failed tests: when they are copied, where they are kept, and what the report says of them.

Owns ``Recordings``, which is registered with pytest under ``--greenscope``. A hub lives longer than a test: fixtures
of modules and sessions have their sockets and greenlets in it, so a new hub for each test would break them. A
test's ring is what the process's rings got since the test began, copied when it has failed; after a test that passed
there is nothing to copy. All processes that tests start record beside it, in one directory a run; rings of
those that are over are removed with a test that passes, and copied with one that fails.

What a copy says is found out by another process (``greenscope.cli.told``): this one is traced, and may be
patched, or hang. It is waited for by a system call that blocks, since a wait in the hub would let run what the
report is about.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from posix import posix_spawn, waitpid  # not os's, which are green after patching, and a conftest comes before us
from typing import TYPE_CHECKING, Any

import pytest

from greenscope.integrations.pytest_runs import new_run
from greenscope.integrations.pytest_timeouts import timeouts_told
from greenscope.trace.here import here
from greenscope.trace.levels import levels
from greenscope.trace.notes import mark
from greenscope.trace.ring_layout import HEADER_SIZE, read_field
from greenscope.trace.rings import rings_in
from greenscope.trace.snapshot import snapshot

if TYPE_CHECKING:
    from greenscope.integrations.pytest_leaks import Leaks

__all__ = ["Recordings"]

_MOST = 16  # rings that are copied for a test
_NOT_A_NAME = re.compile(r"[^\w.\[\]-]+")
Sections = list[tuple[str, str]]


class Recordings:
    """What happens around each test.

    Args:
        config: pytest's.
        leaks: whether what a test leaves behind makes it fail.
    """

    def __init__(self, config: pytest.Config, leaks: bool) -> None:
        shared = getattr(config, "workerinput", {}).get("greenscope_run")
        self.worker: str = getattr(config, "workerinput", {}).get("workerid", "")
        self.run = Path(shared) if shared else new_run(config.getoption("--greenscope-dir"))
        self.rings = self.run / f"rings{self.worker and '-'}{self.worker}"
        self.rings.mkdir(mode=0o700)
        self.busy = False
        """Whether a report is being made, which no timeout is to interrupt."""
        self._before = os.environ.get("GREENSCOPE_DIR")
        os.environ["GREENSCOPE_DIR"] = str(self.rings)
        self._nodeid = ""
        self._since: dict[Path, tuple[int, int]] = {}
        self._made: set[Path] = set()
        self._at_timeout: list[Path] | None = None
        self._failed = False
        self._leaks: Leaks | None = None
        if leaks:
            from greenscope.integrations.pytest_leaks import Leaks

            self._leaks = Leaks()
        self._undo_timeouts = timeouts_told(self)

    # pytest's hooks.

    def pytest_report_header(self) -> str:
        """Say where."""
        off = "; GREENSCOPE=0 is set, so there will be none" if os.environ.get("GREENSCOPE") == "0" else ""
        return f"greenscope: recordings of failed tests in {self.run}{off}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Xdist starts a process for tests: the run is one."""
        node.workerinput["greenscope_run"] = str(self.run)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A test, from its setup to its teardown."""
        self._begin(item.nodeid)
        try:
            return (yield)
        finally:
            self._end()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """What a fixture of a module or a session makes is not the test's that happens to be the first."""
        if self._leaks is None or fixturedef.scope == "function":
            return (yield)
        with self._leaks.not_of_the_test():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # the last to see the report: xfail has had its say
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:  # noqa: ARG002
        """One of setup, call and teardown is over."""
        report: Any = yield
        self.busy = True
        try:
            if report.failed:
                self._failed = True
                report.sections.extend(self.told(report.when))
            elif report.when == "teardown" and self._leaks is not None and not self._failed:
                left = self._leaks.left()
                if left:
                    self._failed = True
                    report.outcome = "failed"
                    report.longrepr = "\n".join([f"{item.nodeid} left behind:", *(f"  {one}" for one in left)])
                    report.sections.extend(self.told("leak"))
        finally:
            self.busy = False
            _runs_from_here()
        return report  # type: ignore[no-any-return]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what there is to look at."""
        kept = sorted(path for path in self.run.iterdir() if not path.name.startswith("rings"))
        if kept:
            terminalreporter.write_sep("=", "greenscope recordings")
            for path in kept:
                terminalreporter.write_line(f"greenscope serve {path}")

    def pytest_unconfigure(self) -> None:
        """Leave what was kept, and nothing else."""
        self._undo_timeouts()
        if self._leaks is not None:
            self._leaks.end()
        if self._before is None:
            os.environ.pop("GREENSCOPE_DIR", None)
        else:
            os.environ["GREENSCOPE_DIR"] = self._before
        shutil.rmtree(self.rings, ignore_errors=True)
        if not self.worker:
            for leftover in self.run.glob("rings-*"):  # of a worker that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            with suppress(OSError):
                self.run.rmdir()  # nothing was kept

    # A test.

    def _begin(self, nodeid: str) -> None:
        self._nodeid = nodeid
        self._failed = False
        self._at_timeout = None
        self._made = {ring.path for ring in rings_in(self.rings)}
        self._since = {}
        for path in self._own():
            with suppress(OSError):
                with path.open("rb") as file:
                    header = file.read(HEADER_SIZE)
                self._since[path] = read_field(header, "head"), read_field(header, "watch_head")
        _runs_from_here()
        mark(f"test {nodeid}")
        if self._leaks is not None:
            self._leaks.begin()

    def _end(self) -> None:
        self._nodeid = ""
        own = set(self._own())
        for ring in rings_in(self.rings):
            if ring.state in {"ended", "died"} and ring.path not in own:
                ring.path.unlink(missing_ok=True)

    @staticmethod
    def _own() -> list[Path]:
        return [recorder.path for recorder in levels.recorders() if recorder.path is not None]

    # What is kept.

    def at_timeout(self) -> None:
        """The test's time is over: keep what was recorded, before whoever hangs is told."""
        self._at_timeout = self._keep("timeout")

    def told(self, when: str) -> Sections:
        """Keep the recordings, unless a timeout has, and say what is in them: sections for the report."""
        copies, self._at_timeout = self._at_timeout, None
        if copies is None:
            copies = self._keep(when)
        if not copies:
            return [("greenscope", "nothing was recorded: no hub ran, in this process or in one that the test started")]
        findings, parked = [], []
        for said in self._said_of(copies):
            findings += [said["command"], *said["findings"], ""]
            parked += [said["command"], *(f"  {line}" for line in said["parked"] or ["nobody"]), ""]
        paths = "\n".join(map(str, copies))
        return [
            ("greenscope: what was wrong", "\n".join(findings).rstrip()),
            ("greenscope: greenlets, and what they wait for", "\n".join(parked).rstrip()),
            ("greenscope: recording", f"{paths}\nlook at it with: greenscope serve {copies[0].parent}"),
        ]

    def _keep(self, when: str) -> list[Path]:
        directory = self.run / _NOT_A_NAME.sub("_", self._nodeid)[-150:]
        own = self._own()
        others = [ring.path for ring in rings_in(self.rings) if self._is_of_the_test(ring.path, ring.state, own)]
        copies = []
        for source in (*own, *others)[:_MOST]:
            directory.mkdir(mode=0o700, exist_ok=True)
            target = directory / f"{when}-{source.name}"
            with suppress(OSError):  # somebody has removed it
                snapshot(source, target, since=self._since.get(source, (0, 0)))
                copies.append(target)
        return copies

    def _is_of_the_test(self, path: Path, state: str, own: list[Path]) -> bool:
        return path not in own and (state == "live" or path not in self._made)

    def _said_of(self, copies: list[Path]) -> list[dict[str, Any]]:
        """What another process finds in them."""
        with tempfile.TemporaryFile() as out:
            command = [sys.executable, "-m", "greenscope.cli.told", *map(str, copies)]
            actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
            environment = {**os.environ, "GREENSCOPE": "0"}
            pid = posix_spawn(sys.executable, command, environment, file_actions=actions)
            with suppress(ChildProcessError):  # the program waits for every child there is
                waitpid(pid, 0)
            out.seek(0)
            text = out.read().decode(errors="replace")
        try:
            said: list[dict[str, Any]] = json.loads(text)
        except ValueError:
            command_line = " ".join(command)
            return [{"command": command_line, "findings": [f"  it failed: {text.strip()[-2000:]}"], "parked": []}]
        return said


def _runs_from_here() -> None:
    """Let what pytest did until here, as making a report, be no part of a long run of the test's."""
    levels.on_stall = None  # the report tells of stalls; the log would tell of pytest's own, in the next test
    recorder = here.recorder
    if recorder is not None:
        me = recorder.current
        recorder.give_way(me, -1)
        recorder.switch(me)
