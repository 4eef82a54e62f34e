"""What gevent's modules export is here too, under the same names; what is not is said in the docs."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

pytest.importorskip("gevent")

PAGE = (Path(__file__).parent.parent.parent / "docs" / "coming-from-gevent.md").read_text()
LISTED = re.search(r"in modules called as gevent's: (.*?)\. A test", PAGE, re.DOTALL)
MODULES = re.findall(r"`(\w+)`", LISTED[1])
# Names that gevent's modules export for their own use, or that only its loops know.
THEIRS = {
    "hub": {"kill", "signal", "spawn_raw"},  # as in the package itself
    "subprocess": {"_USE_POSIX_SPAWN", "_fork_exec", "_posixsubprocess", "_use_posix_spawn"},
    "ssl": {"wrap_socket"},  # went from the standard library's with 3.12
    "thread": {"allocate", "exit_thread", "get_native_id", "start_new"}
    | {"_ThreadHandle", "_make_thread_handle", "daemon_threads_allowed"},  # 3.13, under our own names
    "monkey": {"main"},
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_the_names_of_gevents(name):
    theirs = importlib.import_module(f"gevent.{name}")
    ours = importlib.import_module(f"greenscope.runtime.{name}")
    missing = {each for each in getattr(theirs, "__all__", ()) if not hasattr(ours, each)} - THEIRS.get(name, set())
    assert {each for each in missing if f"`{each}`" not in PAGE} == set()


def test_the_package_has_the_names_of_gevents():
    gevent, runtime = importlib.import_module("gevent"), importlib.import_module("greenscope.runtime")
    missing = {name for name in gevent.__all__ if not hasattr(runtime, name)}
    assert missing == {"config"} and "`gevent.config`" in PAGE


@pytest.mark.parametrize(
    "name", ["BlockingSwitchOutError", "ConcurrentObjectUseError", "InvalidSwitchError", "LoopExit"]
)
def test_the_errors_have_the_names_of_gevents(name):
    ours = importlib.import_module("greenscope.runtime.exceptions")
    assert hasattr(importlib.import_module("gevent.exceptions"), name)
    assert hasattr(ours, name)
