"""A real viewer over a real directory of rings, in a thread of its own, on a free port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenscope.cli.viewer import listen, serve_until, url_of
from greenscope.web.source import Source


@dataclass
class Viewer:
    """Where it listens, and what it shows."""

    url: str
    directory: Path

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")


@pytest.fixture
def viewer(trace_directory: Path) -> Iterator[Viewer]:
    trace_directory.mkdir(mode=0o700)
    listener = listen(0)
    url = url_of(listener)
    ready = threading.Event()
    stop: asyncio.Event
    loop: asyncio.AbstractEventLoop

    async def serve() -> None:
        nonlocal stop, loop
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        ready.set()
        await serve_until(Source([trace_directory]), listener, stop.wait())

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait()
    yield Viewer(url, trace_directory)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
