"""What one page is sent: what its view shows, and what of that is new.

Nothing is queued for a client. Each tick makes what is new since the tick before out of the
timeline, and waits until the socket took it; a client that reads slowly makes its own ticks rarer,
each then covers more, and costs neither the viewer nor another client anything. So it does not matter
to a stream what takes its ticks: a WebSocket, as here, or a page that polls (``polling.py``).
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any, Literal, Protocol

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from greenscope.web import present
from greenscope.web.findings import findings
from greenscope.web.session import Session

__all__ = ["TICK_SECONDS", "Out", "Stream", "View", "serve_socket"]

TICK_SECONDS = 0.1
_STATUS_TICKS, _TABLE_TICKS, _LATENCY_TICKS, _FINDINGS_TICKS = 2, 5, 10, 5
_SEGMENTS_HEADER = struct.Struct("<IIIIdd")
_SEGMENTS, _SNAPSHOT = 1, 1
_MARGIN = 4  # buckets resent before the last tick's end: what went on there may have become a summary


class View(BaseModel):
    """What the page shows; see ``docs/protocol.md``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    type: Literal["view"]
    serial: int = Field(ge=0, lt=1 << 32)
    begin: float = Field(alias="from", ge=-1e18, le=1e18)
    end: float = Field(alias="to", ge=-1e18, le=1e18)
    follow: bool
    pixels: int = Field(ge=50, le=4000)
    first: int = Field(default=0, ge=0, le=1 << 31)
    count: int = Field(default=50, ge=1, le=200)
    search: str = Field(default="", max_length=200)
    exited: bool = False
    sort: Literal["name", "state", "on", "site", "since", "deadline", "switches", "run_time"] = "since"
    descending: bool = False


class Out(Protocol):
    """Takes what a page is sent, and returns when there is room for more."""

    async def send_text(self, data: str) -> None:
        """A message, in JSON."""

    async def send_bytes(self, data: bytes) -> None:
        """A frame."""


class Stream:
    """Serves one page from one session, of which it is a page until it is closed.

    Args:
        session: the ring it looks at.
        out: where the page's messages go.
    """

    def __init__(self, session: Session, out: Out) -> None:
        self.session = session
        self._out = out
        self._view: View | None = None
        self._tick = -1
        self._heard = False
        self._answered = -1  # serial of the view that has its snapshot
        self._sent_until = 0
        self._lanes_shown: list[int] | None = None
        self._lanes_told: tuple[int, list[dict[str, Any]]] = (0, [])
        session.pages += 1

    def close(self) -> None:
        """The page is gone."""
        self.session.pages -= 1

    async def hear(self, text: str) -> bool:
        """Take what the page said, or say what is wrong with it: whether it was a view."""
        try:
            self._view = View.model_validate_json(text)
            self._heard = True
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            await self._json({"type": "error", "message": f"view: {where}: {first['msg']}"})
            return False
        return True

    async def tick(self, passed: int) -> None:
        """Send what is new, of that whose time has come.

        Args:
            passed: how many times ``TICK_SECONDS`` are over since the last tick.
        """
        session, view, before = self.session, self._view, self._tick
        if before < 0:
            await self._json({"type": "hello", "ring": present.ring(session)})
        self._tick += passed
        if self._heard:  # a new view is answered with all that it shows
            self._heard = False
            self._tick += _STATUS_TICKS - self._tick % _STATUS_TICKS
        after = self._tick
        due: list[tuple[int, Callable[[], dict[str, Any]]]] = [
            (_STATUS_TICKS, lambda: present.status(session)),
            (_TABLE_TICKS, lambda: self._table(view)),
            (_LATENCY_TICKS, lambda: present.latency(session)),
            (_FINDINGS_TICKS, lambda: findings(session)),
        ]
        for ticks, make in due:
            if after // ticks > before // ticks:
                await self._json(make())
                await asyncio.sleep(0)  # a send that has room does not let others have their turn
        if view is not None:
            await self._segments(view, after // _STATUS_TICKS > before // _STATUS_TICKS)

    def _table(self, view: View | None) -> dict[str, Any]:
        if view is None:
            return present.greenlets(self.session)
        return present.greenlets(self.session, view.search, view.exited, view.sort, view.descending)

    def _window(self, view: View, now: int) -> tuple[int, int]:
        """The view's window in the ring's own time."""
        start = self.session.info.start_monotonic_ns
        if view.follow:
            return now - max(int(view.end - view.begin), 1), now + 1
        return start + int(view.begin), start + max(int(view.end), int(view.begin) + 1)

    async def _segments(self, view: View, lanes_due: bool) -> None:
        session = self.session
        now = session.now()
        begin, end = self._window(view, now)
        bucket = max(int(view.end - view.begin) // view.pixels, 1)
        fresh = view.serial != self._answered
        lanes_changed = False
        if fresh or lanes_due or self._lanes_shown is None:
            lanes_changed = await self._list_lanes(view, begin, end)
        # Some more on either side than is seen, to pan into and to follow into.
        begin, end = begin - (end - begin) // 2, end + (end - begin) // 2
        if fresh or lanes_changed:
            since, flags = begin, _SNAPSHOT
        elif self._sent_until < end and now > self._sent_until:
            since, flags = max(self._sent_until - _MARGIN * bucket, begin), 0
        else:
            return
        since -= since % bucket
        columns = present.segments(session, self._lanes_shown or [], since, end, bucket, now)
        count = len(columns) // present.SEGMENT_BYTES
        header = _SEGMENTS_HEADER.pack(
            _SEGMENTS, view.serial, count, flags, session.relative(since), session.relative(end)
        )
        # What came after the last event that was folded may turn out to have been something else.
        self._answered, self._sent_until = view.serial, session.timeline.last
        await self._out.send_bytes(header + columns)

    async def _list_lanes(self, view: View, begin: int, end: int) -> bool:
        """Say which lanes are on screen if that changed: whether it did."""
        total, shown = present.lanes_in(self.session, begin, end, view.search, view.first, view.count)
        facts = [{"id": lane.greenlet, "name": lane.label, "alive": lane.alive} for lane in shown]
        numbers = [lane.greenlet for lane in shown]
        changed = numbers != self._lanes_shown
        if changed or (total, facts) != self._lanes_told:
            self._lanes_shown, self._lanes_told = numbers, (total, facts)
            await self._json({"type": "lanes", "total": total, "first": view.first, "lanes": facts})
        return changed

    async def _json(self, message: dict[str, Any]) -> None:
        await self._out.send_text(json.dumps(message, separators=(",", ":")))


async def serve_socket(session: Session, socket: WebSocket) -> None:
    """Serve a page over a WebSocket, which was accepted, until it goes away."""
    stream = Stream(session, socket)
    heard = asyncio.Event()

    async def receive() -> None:
        while True:
            if await stream.hear(await socket.receive_text()):
                heard.set()

    async def send() -> None:
        passed = 1
        while True:
            heard.clear()
            await stream.tick(passed)
            try:
                await asyncio.wait_for(heard.wait(), TICK_SECONDS)
            except TimeoutError:
                passed = 1
            else:
                passed = 0

    tasks = {asyncio.create_task(receive()), asyncio.create_task(send())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except WebSocketDisconnect:
        pass
    finally:
        stream.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
