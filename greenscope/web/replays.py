"""The replays that pages step through: few are kept, and each is read and asked in a thread of its own.

To open a ring of a million events takes a moment, and to follow it to its end some seconds: meanwhile the viewer
serves. One thread a replay does one thing after the other, so nothing of it needs a lock. The one that was asked the
longest time ago is let go of when there are too many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from greenscope.errors import GreenscopeError
from greenscope.trace.replaying import Replaying

__all__ = ["Replays"]

_MOST = 4
T = TypeVar("T")


class _Kept:
    """One replay, and its thread; only that touches it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "greenscope-replay")
        self._replaying: Replaying | None = None

    async def ask(self, work: Callable[[Replaying], T]) -> T:
        return await asyncio.wrap_future(self._thread.submit(self._do, work))

    def close(self) -> None:
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    def _do(self, work: Callable[[Replaying], T]) -> T:
        if self._replaying is None:
            self._replaying = Replaying(self._path)
        return work(self._replaying)

    def _close(self) -> None:
        if self._replaying is not None:
            self._replaying.close()


class Replays:
    """All of one viewer. Its own methods are for the event loop's thread alone."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}  # the least recently asked first

    async def ask(self, ring: str, path: Path, work: Callable[[Replaying], T]) -> T:
        """Have something done with a ring's replay, which is opened if it is not open.

        Args:
            ring: its id.
            path: its file.
            work: what; called in another thread.

        Raises:
            GreenscopeError: the file cannot be read.
            OSError: nor opened.
        """
        kept = self._kept.pop(ring, None) or _Kept(path)
        self._kept[ring] = kept
        for other in list(self._kept)[:-_MOST]:
            self.forget(other)
        try:
            return await kept.ask(work)
        except (GreenscopeError, OSError):
            if self._kept.get(ring) is kept:
                self.forget(ring)
            raise

    def forget(self, ring: str) -> None:
        """Let go of one."""
        kept = self._kept.pop(ring, None)
        if kept is not None:
            kept.close()

    def close(self) -> None:
        """Let go of all."""
        for ring in list(self._kept):
            self.forget(ring)
