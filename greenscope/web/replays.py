"""The replays that pages step through: few are kept, and each is read and asked in a thread of its own.

To open a ring of a million events takes a moment, and to follow it to its end some seconds: meanwhile the viewer
serves, and so does that replay, for it is followed a piece at a time. One thread a replay does one thing after the
other, so nothing of it needs a lock. Those that were asked the longest time ago are let go of when there are too many,
or too many steps, and all of them when nobody asks for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from greenscope.errors import NoSuchStepError, RingFormatError
from greenscope.trace.replaying import MOST_RECORDS, Replaying
from greenscope.trace.ring_header import RingInfo

__all__ = ["Replays"]

_MOST = 8
_MOST_STEPS = 2 * MOST_RECORDS
_IDLE_SECONDS = 600.0
_AT_ONCE = 50_000  # steps that are followed in some tenths of a second
T = TypeVar("T")


class _Kept:
    """One replay, and its thread; only that touches it."""

    def __init__(self, info: RingInfo) -> None:
        self.steps = 0
        """How many it has, when it was asked last."""
        self.idle: asyncio.TimerHandle | None = None
        self.pending = 0
        """How many wait for an answer."""
        self._info = info
        self._thread = ThreadPoolExecutor(1, "greenscope-replay")
        self._replaying: Replaying | None = None

    async def ask(self, work: Callable[[Replaying], T]) -> T:
        return await asyncio.wrap_future(self._thread.submit(self._do, work))

    def close(self) -> None:
        """Let go of it."""
        if self.idle is not None:
            self.idle.cancel()
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    def _do(self, work: Callable[[Replaying], T]) -> T:
        if self._replaying is None:
            self._replaying = self._opened()
        answer = work(self._replaying)
        self.steps = len(self._replaying.replay)
        return answer

    def _opened(self) -> Replaying:
        replaying = Replaying(self._info.path)
        if _identity(replaying.info) != _identity(self._info):
            replaying.close()
            raise RingFormatError(f"{self._info.path} is another ring by now; GET /api/rings lists those there are")
        return replaying

    def _close(self) -> None:
        if self._replaying is not None:
            self._replaying.close()


def _identity(info: RingInfo) -> tuple[object, ...]:
    return info.boot_id, info.pid, info.hub, info.start_monotonic_ns, info.snapshot_ns


class Replays:
    """All of one viewer. Its own methods are for the event loop's thread alone.

    Args:
        idle_seconds: so long one is kept that nobody asks.
    """

    def __init__(self, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._kept: dict[str, _Kept] = {}  # the least recently asked first

    def __contains__(self, ring: str) -> bool:
        return ring in self._kept

    async def ask(self, ring: str, info: RingInfo, work: Callable[[Replaying], T], past: int = 0) -> T:
        """Have something done with a ring's replay, which is opened if it is not open.

        Args:
            ring: its id.
            info: what it is.
            work: what; called in another thread.
            past: up to before which step it is to be followed first.

        Raises:
            GreenscopeError: the file cannot be read, or is another one by now.
            OSError: it cannot be opened.
            Exception: what ``work`` raises; unless that is a ``NoSuchStepError``, the replay is not asked again.
        """
        kept = self._kept.pop(ring, None) or _Kept(info)
        self._kept[ring] = kept
        if kept.idle is not None:
            kept.idle.cancel()
        kept.idle = asyncio.get_running_loop().call_later(self._idle_seconds, self.forget, ring)
        kept.pending += 1
        try:
            while past and not await kept.ask(lambda replaying: replaying.replay.follow(past, _AT_ONCE)):
                pass
            return await kept.ask(work)
        except NoSuchStepError:
            raise
        except Exception:  # it may have got stuck between two steps
            if self._kept.get(ring) is kept:
                self.forget(ring)
            raise
        finally:
            kept.pending -= 1
            if self._kept.get(ring) is not kept and not kept.pending:
                kept.close()
            self._let_go()

    def forget(self, ring: str) -> None:
        """Let go of one, when it has answered all that it was asked."""
        kept = self._kept.pop(ring, None)
        if kept is not None and not kept.pending:
            kept.close()

    def close(self) -> None:
        """Let go of all."""
        for ring in list(self._kept):
            self.forget(ring)

    def _let_go(self) -> None:
        while len(self._kept) > 1 and (
            len(self._kept) > _MOST or sum(kept.steps for kept in self._kept.values()) > _MOST_STEPS
        ):
            self.forget(next(iter(self._kept)))
