"""The stream for where no WebSocket goes: through a WSGI server, or a proxy that passes none on.

A page asks again and again. Each request brings what the page has to say, and takes the tick that is due: it is the
stream that a WebSocket has, and nothing is queued for a page that does not ask. What a page was last sent is kept
between its requests, under a number that nobody guesses; a page that does not ask for a while, or is one too many, is
forgotten, and begins anew.

A request waits for the next tick where it costs nobody anything. Where another application passes it on, it may hold
a worker meanwhile, maybe the only one: there it is answered at once, and the page does the waiting.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import struct
from collections.abc import Sequence

from greenscope.web.session import Session
from greenscope.web.stream import TICK_SECONDS, Stream

__all__ = ["PolledPages"]

_MOST_PAGES = 64
_FORGET_SECONDS = 30.0
_PAUSE_MS = 200  # of a page that is not to be waited for
_PART = struct.Struct("<II")
_TEXT, _BYTES = 1, 2


class _Parts:
    """What a stream sends, as one body."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    async def send_text(self, data: str) -> None:
        encoded = data.encode()
        self._parts += (_PART.pack(len(encoded), _TEXT), encoded)

    async def send_bytes(self, data: bytes) -> None:
        self._parts += (_PART.pack(len(data), _BYTES), data)

    def take(self) -> bytes:
        body = b"".join(self._parts)
        self._parts.clear()
        return body


class _Page:
    def __init__(self, session: Session, now: float) -> None:
        self.parts = _Parts()
        self.stream = Stream(session, self.parts)
        self.ticked = now - TICK_SECONDS
        self.turn = asyncio.Lock()
        self.forgotten: asyncio.TimerHandle | None = None


class PolledPages:
    """The pages that poll, of one viewer."""

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}  # who asked last is the last

    async def poll(self, session: Session, number: str | None, said: Sequence[str], hold: bool) -> bytes | None:
        """One request of a page.

        Args:
            session: the ring it looks at.
            number: the page's; None: it begins.
            said: its messages.
            hold: whether to wait for what is due soon, at most ``TICK_SECONDS``.

        Returns:
            What it is sent, each message after its length and whether it is text (1) or a frame (2), two u32; None:
            there is no such page any more.
        """
        loop = asyncio.get_running_loop()
        if number is None:
            number, page = secrets.token_urlsafe(18), _Page(session, loop.time())
            pause = 0 if hold else _PAUSE_MS
            await page.parts.send_text(json.dumps({"type": "page", "page": number, "pause": pause}))
        else:
            found = self._pages.pop(number, None)
            if found is None or found.stream.session is not session:
                if found is not None:
                    self._forget(found)
                return None
            page = found
        self._pages[number] = page
        if page.forgotten is not None:
            page.forgotten.cancel()
        page.forgotten = loop.call_later(_FORGET_SECONDS, self._forget_number, number)
        while len(self._pages) > _MOST_PAGES:
            self._forget_number(next(iter(self._pages)))
        async with page.turn:
            heard = [await page.stream.hear(text) for text in said]
            passed = int((loop.time() - page.ticked) / TICK_SECONDS)
            if not passed and not any(heard) and hold:
                await asyncio.sleep(page.ticked + TICK_SECONDS - loop.time())
                passed = 1
            page.ticked += passed * TICK_SECONDS
            if passed or any(heard):
                await page.stream.tick(passed)
            return page.parts.take()

    def close(self) -> None:
        """Forget them all."""
        for number in list(self._pages):
            self._forget_number(number)

    def _forget_number(self, number: str) -> None:
        page = self._pages.pop(number, None)
        if page is not None:
            self._forget(page)

    def _forget(self, page: _Page) -> None:
        if page.forgotten is not None:
            page.forgotten.cancel()
        page.stream.close()
