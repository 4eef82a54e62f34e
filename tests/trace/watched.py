"""What the tests of the watchdog ask of a program that runs, and of what it has left."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from greenscope.trace.events import Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

# What each program begins with.
BEGIN = """
import ctypes, os, re, signal, sys, threading, time
import greenscope.runtime as g
from greenscope.runtime import Event

def spin(seconds=0.4):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
"""


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def stalls(directory: Path) -> list[tuple[Event, Event | None]]:
    """Each stall's begin and end, of all rings of a directory."""
    found: list[tuple[Event, Event | None]] = []
    for path in sorted(directory.glob("*.gsr")):
        with closing(RingReader(path)) as reader:
            for event in reader.read(1 << 20):
                if isinstance(event, Event) and event.kind == Kind.STALL_BEGIN:
                    found.append((event, None))
                if isinstance(event, Event) and event.kind == Kind.STALL_END:
                    assert found[-1][1] is None
                    found[-1] = (found[-1][0], event)
    return found


def functions(event: Event) -> list[str]:
    return [text.split("\t")[2] for text in event.text.splitlines()]


def wait_for(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found
