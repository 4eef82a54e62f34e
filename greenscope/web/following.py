"""Follows a source for as long as somebody asks.

A viewer that is a process follows from its beginning to its end. One that is mounted in another application is not
told when that begins or ends, since Starlette runs no lifespan of what is mounted: it begins with the first
request. It also rests when nobody has asked for a while, because to read and fold what a busy service records costs
the process it runs in; what was overwritten meanwhile is then missing, and said to be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from greenscope.web.source import Source

__all__ = ["FollowOnUse", "Following"]


class Following:
    """The one task that reads a source's rings.

    Args:
        source: it.
        rest_after: seconds without a request after which it ends, until the next one; None: never.
        clock: seconds; a test's own.
    """

    def __init__(
        self, source: Source, rest_after: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.source = source
        self.asked = clock()
        """When somebody asked last, by the clock."""
        self._rest_after = rest_after
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def idle_seconds(self) -> float:
        """Since when nobody asks; 0 while a page is open."""
        return 0.0 if self.source.is_watched else self._clock() - self.asked

    def start(self) -> None:
        """Somebody asks: follow, in the running loop, if that does not happen already."""
        self.asked = self._clock()
        loop = asyncio.get_running_loop()
        if self._task is not None and self._loop is loop and not self._task.done():
            return
        if self._task is not None and self._loop is not loop:
            self.source.close()  # its loop is over, and may not have had the time to
        self.source.scan()
        self._loop, self._task = loop, asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Follow no more, and let go of all rings."""
        if self._task is not None and self._loop is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _follow(self) -> None:
        try:
            await self.source.run(self._is_wanted)
        finally:  # also where the application ends, and cancels what is left
            self.source.close()

    def _is_wanted(self) -> bool:
        return self._rest_after is None or self.idle_seconds < self._rest_after


class FollowOnUse:
    """Wraps an ASGI application: a request that it may answer begins the following."""

    def __init__(self, app: ASGIApp, following: Following) -> None:
        self._app = app
        self._following = following

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin, and pass on."""
        if scope["type"] in ("http", "websocket"):
            self._following.start()
        await self._app(scope, receive, send)
