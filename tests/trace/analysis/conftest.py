"""Recordings of real programs, made once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenscope.trace.analysis.replay import Replay
from greenscope.trace.replaying import Replaying
from tests.trace.analysis.replayed import PROGRAMS, record


@pytest.fixture(scope="package")
def rings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """That of each of ``PROGRAMS``, at level teach."""
    directory = tmp_path_factory.mktemp("replayed")
    return {program: record(program, directory) for program in PROGRAMS}


@pytest.fixture(params=list(PROGRAMS))
def replaying(rings: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Replaying]:
    """One after the other."""
    with contextlib.closing(Replaying(rings[request.param])) as replaying:
        yield replaying


@pytest.fixture
def replay(replaying: Replaying) -> Replay:
    """Its steps."""
    return replaying.replay
