"""gevent's own tests, with greenscope following and without: what passes without has to pass with it.

    python -m tools.gevent_tests                      all of them, two at a time; ten minutes or more
    python -m tools.gevent_tests test__event test__queue

They are in gevent's wheel (the package ``gevent.tests``), a module of unittest each, and run here in the place where
they are installed, as gevent runs them: a process a module. A busy machine fails some of them by their own clocks, so
that what fails is tried again, twice, and then without greenscope; only what fails each time with it and not without
is told, and ends this with 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

__all__ = ["BROKEN", "SELECTED", "failures", "modules", "newly_failing"]

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 240
_TRIES = 3

SELECTED = (
    *("test__event", "test__queue", "test__semaphore", "test__lock", "test__greenlet", "test__greenletset"),
    *("test__api_timeout", "test__socket_timeout", "test__socket_close", "test__socketpair", "test__select"),
    *("test__server", "test__server_pywsgi", "test__local", "test__iwait", "test__joinall", "test__sleep0"),
    *("test__hub_join", "test__destroy", "test__destroy_default_loop", "test__core_watcher", "test__core_fork"),
)
"""Events, queues, locks, greenlets, timeouts, sockets, servers, hubs: those that take seconds."""

BROKEN = {
    ("test__hub", "test_kill_removes_trace"): "gevent's monitor puts back the tracer that was there: which is ours",
}
"""What fails by the nature of things, and why."""


def modules() -> list[str]:
    """The names of all of gevent's modules of tests."""
    return sorted(path.stem for path in _place().glob("test_*.py"))


def _place() -> Path:
    spec = find_spec("gevent.tests")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("gevent_tests: gevent is not installed, or without its tests")
    return Path(next(iter(spec.submodule_search_locations)))


def failures(module: str, followed: bool) -> set[str]:
    """The tests of a module that fail; the whole of it ("") if it cannot say which."""
    way = ["-m", "greenscope.integrations.gevent"] if followed else []
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GREENSCOPE")},
            "GREENSCOPE_DIR": directory,
            "GREENSCOPE_RING_MB": "1",
            "PYTHONPATH": str(ROOT),
        }
        try:
            done = subprocess.run(
                [sys.executable, *way, "-m", f"gevent.tests.{module}", "-v"],
                cwd=_place(),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {""}
    failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+)", done.stdout, re.MULTILINE))
    return failed or ({""} if done.returncode else set())


def newly_failing(module: str) -> set[str]:
    """What of a module fails with greenscope, three times, and not without it."""
    failed = failures(module, followed=True)
    for _ in range(_TRIES - 1):
        if failed:
            failed &= failures(module, followed=True)
    if failed:
        failed -= failures(module, followed=False)
    return {name for name in failed if (module, name) not in BROKEN}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.gevent_tests", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="all, unless told")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    options = parser.parse_args()
    names = options.modules or modules()
    bad = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, failed in zip(names, pool.map(newly_failing, names), strict=True):
            bad += bool(failed)
            print(f"{name}: {', '.join(sorted(failed)) or 'ok'}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
