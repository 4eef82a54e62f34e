"""docs/learn.md lists the lessons there are, in their order, and the command takes what it shows."""

from __future__ import annotations

import re
from pathlib import Path

from greenscope.learn import LESSONS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "learn.md").read_text(encoding="utf-8")


def test_every_lesson_is_listed_and_no_other():
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \| \S", PAGE, re.MULTILINE)
    assert listed == [(str(number), lesson.name) for number, lesson in enumerate(LESSONS, 1)]
