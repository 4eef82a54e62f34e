"""Every lesson's program, run once; and programs that a test writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from greenscope.learn import LESSONS, Run
from tests.learn.recorded import record


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """The run of each lesson's program, by the lesson's name."""
    directory = tmp_path_factory.mktemp("lessons")
    with ExitStack() as opened:
        yield {lesson.name: record(lesson.program, directory / lesson.name, opened) for lesson in LESSONS}


@pytest.fixture
def run_of(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Runs a program that is given as its text; names and values that are added are for its environment."""
    with ExitStack() as opened:

        def run(text: str, **environment: str) -> Run:
            program = tmp_path / "program.py"
            program.write_text(text)
            return record(program, tmp_path / "rings", opened, **environment)

        yield run
