"""gevent's own tests pass with greenscope following: the quick ones; ``python -m tools.gevent_tests`` runs all."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tools.gevent_tests import SELECTED, modules, newly_failing

# What a release of gevent does not have is not asked for.
NAMES = [name for name in SELECTED if name in modules()]


@pytest.fixture(scope="module")
def running() -> dict[str, Future[set[str]]]:
    """All of them, begun, two at a time: they mostly wait."""
    pool = ThreadPoolExecutor(2)
    return {name: pool.submit(newly_failing, name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_passes_without_passes_with_it(name: str, running: dict[str, Future[set[str]]]) -> None:
    assert running[name].result() == set()


def test_there_is_something_to_run() -> None:
    assert len(NAMES) > 15
