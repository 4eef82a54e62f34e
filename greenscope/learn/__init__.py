"""Lessons: what a hub does, taught on real runs of small programs, and of the reader's own.

Owns the programs (``programs``), what is told of their recordings, in words of several languages, and the questions.
It reads a replay and gives values; it starts no program and serves no page: that is the command's.
"""

from __future__ import annotations

from greenscope.learn.lesson import LANGUAGES, Lesson, as_json
from greenscope.learn.lessons import LESSONS
from greenscope.learn.own import own_lesson
from greenscope.learn.run import Run

__all__ = ["LANGUAGES", "LESSONS", "Lesson", "Run", "as_json", "own_lesson"]
