"""Programs that are run once, for real, at level teach, and looked at as lessons."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from greenscope.learn import Lesson, Run, as_json
from greenscope.trace.replaying import Replaying
from greenscope.trace.watchdog import STALL_MS


def record(program: Path, directory: Path, opened: ExitStack, **environment: str) -> Run:
    """Run a program to its end, however that is, and take its hub's recording, which is open as long as that."""
    settings = {"GREENSCOPE_DIR": str(directory), "GREENSCOPE_DETAIL": "teach", "GREENSCOPE_STALL_MS": str(STALL_MS)}
    traced = {**os.environ, **settings, **environment}
    subprocess.run([sys.executable, str(program)], env=traced, capture_output=True, timeout=60)
    (ring,) = directory.glob("*.gsr")
    return Run(opened.enter_context(closing(Replaying(ring))).replay)


def answers(lesson: Lesson, run: Run) -> dict[str, Any]:
    """What is right, by the questions' keys; the choice in words, where it is one."""
    told = dict(zip(asked(lesson, run), as_json(lesson, run, "en")["questions"], strict=True))
    return {
        key: one["choices"][one["answer"]] if one["kind"] == "choice" else one["answer"] for key, one in told.items()
    }


def asked(lesson: Lesson, run: Run) -> list[str]:
    """The keys of the questions that a run answers."""
    return [one.key for one in lesson.questions if one.answer(run) is not None]
