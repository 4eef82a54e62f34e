"""docs/learn.md lists the lessons there are, in their order, and the command takes what it shows."""

from __future__ import annotations

import re
from pathlib import Path

from greenscope.learn import LESSONS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "learn.md").read_text(encoding="utf-8")


def test_every_lesson_has_its_picture():
    for lesson in LESSONS:
        assert PAGE.count(f"](learn/{lesson.name}.png)") == 1, lesson.name
        assert (DOCS / "learn" / f"{lesson.name}.png").read_bytes().startswith(b"\x89PNG"), lesson.name


def test_every_lesson_is_listed_and_no_other():
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \| \S", PAGE, re.MULTILINE)
    assert listed == [(str(number), lesson.name) for number, lesson in enumerate(LESSONS, 1)]
