"""Runs a gevent program under ``greenscope record --gevent``, and reads what it left."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from greenscope.trace.events import Exit, Kind, Ready, Wait, Watch
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

SECONDS = 60


@dataclass
class Recording:
    """The events of one hub, and the words in them."""

    events: list[Event]
    names: dict[int, str] = field(default_factory=dict)
    """Of each greenlet, what it is called in the end."""
    ever: set[str] = field(default_factory=set)
    """Every name that one had."""
    lines: dict[int, str] = field(default_factory=dict)
    """Of each event's place in the list: the source line it names, as FILE:LINE."""

    def of(self, name: str) -> list[str]:
        """What the greenlet of that name did, in words: kind, reason, and the line where it has one."""
        number = next(number for number, called in self.names.items() if called == name)
        return [in_words(event) for event in self.events if event.greenlet == number]

    def find(self, kind: Kind, name: str) -> list[Event]:
        """The events of that kind, of the greenlet of that name."""
        return [event for event in self.events if event.kind == kind and self.names.get(event.greenlet) == name]


def in_words(event: Event) -> str:
    kind = Kind(event.kind)
    reason = {
        Kind.GREENLET_PARK: Wait,
        Kind.GREENLET_READY: Ready,
        Kind.GREENLET_EXIT: Exit,
        Kind.WATCHER_OPEN: Watch,
        Kind.WATCHER_START: Watch,
        Kind.WATCHER_FIRE: Watch,
        Kind.WATCHER_STOP: Watch,
        Kind.WATCHER_CLOSE: Watch,
    }.get(kind)
    words = kind.name.lower().removeprefix("greenlet_")
    return f"{words} {reason(event.reason).name.lower()}" if reason is not None else words


def run_gevent(
    program: Path, *arguments: str, options: tuple[str, ...] = (), **environment: str
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Record a gevent program to its end; where the recording is."""
    output = program.with_suffix(".gsr")
    done = subprocess.run(
        [sys.executable, "-m", "greenscope", "record", "--gevent", *options, "-o", output, program, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=dict(os.environ, **environment),
    )
    return done, output


@contextlib.contextmanager
def reading(path: Path) -> Iterator[RingReader]:
    reader = RingReader(path)
    try:
        yield reader
    finally:
        reader.close()


def read(path: Path) -> Recording:
    """All of a recording, which has no gap."""
    with reading(path) as reader:
        events = list(reader.read())
        assert all(isinstance(event, Event) for event in events), "the ring was too small for the program"
        found = Recording([event for event in events if isinstance(event, Event)])
        for place, event in enumerate(found.events):
            if event.kind == Kind.GREENLET_NAME:
                found.names[event.greenlet] = reader.string(event.arg)
                found.ever.add(found.names[event.greenlet])
            if event.site and event.kind != Kind.TEXT:
                site = reader.site(event.site)
                found.lines[place] = f"{Path(site.file).name}:{site.line}"
    return found
