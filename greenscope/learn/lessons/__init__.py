"""The lessons that come with greenscope, a module each, in the order in which they are taken."""

from __future__ import annotations

from greenscope.learn.lesson import Lesson
from greenscope.learn.lessons.close import CLOSE
from greenscope.learn.lessons.deadlock import DEADLOCK
from greenscope.learn.lessons.fairness import FAIRNESS
from greenscope.learn.lessons.hog import HOG
from greenscope.learn.lessons.recv import RECV
from greenscope.learn.lessons.send import SEND
from greenscope.learn.lessons.sleep import SLEEP
from greenscope.learn.lessons.threadpool import THREADPOOL
from greenscope.learn.lessons.timeout import TIMEOUT
from greenscope.learn.lessons.turns import TURNS

__all__ = ["LESSONS"]

LESSONS: tuple[Lesson, ...] = (SLEEP, RECV, TURNS, SEND, TIMEOUT, CLOSE, HOG, DEADLOCK, FAIRNESS, THREADPOOL)
"""Lesson n is at n - 1."""
