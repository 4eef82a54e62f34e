"""What a suspended coroutine waits for, and at which line: read off its frames.

asyncio says it nowhere: what a task awaits is a future, which is anybody's. But the innermost coroutine that awaits it
is known by its code, and the library's own are few. Kind and line are found from the innermost frame outwards; a
frame that says neither is passed over, and what nobody knows is a wait for something else.
"""

from __future__ import annotations

import sys
from asyncio import Task
from gc import get_referents
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from greenscope.trace.events import Wait

if TYPE_CHECKING:
    from greenscope.trace.recorder import Recorder

__all__ = ["Waits", "plumbing"]

_PLUMBING = (
    "aiohttp",
    "anyio",
    "asyncio",
    "fastapi",
    "httpcore",
    "httpx",
    "hypercorn",
    "redis",
    "starlette",
    "uvicorn",
)
_DEEPEST = 64
_ATTRIBUTES = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
_WRAPPERS = frozenset(("async_generator_asend", "async_generator_athrow"))
_KNOWN_CODES = 4096

# (end of the file's path, function): why who awaits in it waits.
_KINDS: dict[tuple[str, str], Wait] = {
    ("asyncio/tasks.py", "sleep"): Wait.TIMER,
    ("asyncio/tasks.py", "_wait"): Wait.JOIN,
    ("asyncio/tasks.py", "wait"): Wait.JOIN,
    ("asyncio/tasks.py", "gather"): Wait.JOIN,
    ("asyncio/taskgroups.py", "__aexit__"): Wait.JOIN,
    ("asyncio/taskgroups.py", "_aexit"): Wait.JOIN,
    ("asyncio/locks.py", "acquire"): Wait.LOCK,
    ("asyncio/locks.py", "wait"): Wait.EVENT,
    ("asyncio/queues.py", "get"): Wait.QUEUE,
    ("asyncio/queues.py", "put"): Wait.QUEUE,
    ("asyncio/queues.py", "join"): Wait.QUEUE,
    ("asyncio/streams.py", "_wait_for_data"): Wait.READ,
    ("asyncio/streams.py", "_drain_helper"): Wait.WRITE,
    ("asyncio/streams.py", "drain"): Wait.WRITE,
    ("asyncio/threads.py", "to_thread"): Wait.THREAD,
    ("asyncio/base_events.py", "getaddrinfo"): Wait.LOOKUP,
    ("asyncio/base_events.py", "getnameinfo"): Wait.LOOKUP,
    ("asyncio/base_events.py", "create_connection"): Wait.WRITE,
    ("asyncio/selector_events.py", "sock_connect"): Wait.WRITE,
    ("asyncio/selector_events.py", "sock_sendall"): Wait.WRITE,
    ("asyncio/selector_events.py", "sock_recv"): Wait.READ,
    ("asyncio/selector_events.py", "sock_recv_into"): Wait.READ,
    ("asyncio/selector_events.py", "sock_accept"): Wait.READ,
    ("asyncio/subprocess.py", "wait"): Wait.CHILD,
    ("asyncio/base_subprocess.py", "_wait"): Wait.CHILD,
    ("anyio/_backends/_asyncio.py", "run_sync_in_worker_thread"): Wait.THREAD,
    ("anyio/_backends/_asyncio.py", "__aexit__"): Wait.JOIN,
    ("anyio/_backends/_asyncio.py", "receive"): Wait.READ,
    ("anyio/_backends/_asyncio.py", "send"): Wait.WRITE,
    ("anyio/streams/memory.py", "receive"): Wait.QUEUE,
    ("anyio/streams/memory.py", "send"): Wait.QUEUE,
    ("uvicorn/protocols/http/flow_control.py", "drain"): Wait.WRITE,
    ("uvicorn/protocols/http/h11_impl.py", "receive"): Wait.READ,
    ("uvicorn/protocols/http/httptools_impl.py", "receive"): Wait.READ,
}
_FILES = frozenset(file.rpartition("/")[2] for file, _ in _KINDS)
# Who waits in these for an event waits for what the event stands for.
_OUTER = frozenset((Wait.READ, Wait.WRITE, Wait.LOOKUP, Wait.THREAD))


def plumbing() -> tuple[str, ...]:
    """Where the files are of what a program waits through, of what is loaded."""
    found = []
    for name in _PLUMBING:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            found.append(f"{Path(file).parent}/")
    return tuple(found)


class Waits:
    """Reads waits, for one ring.

    Args:
        recorder: the ring's, whose sites the lines become.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        # By the code's address, with the code, so that it stays its own: code hashes by its whole content.
        self._kinds: dict[int, tuple[CodeType, Wait | None]] = {}

    def of(self, coroutine: Any, future: Any) -> tuple[Wait, int]:
        """What a coroutine waits for that has just been suspended, and the line's site.

        Args:
            coroutine: the outermost.
            future: what it gave to its task to wait for; None if it only lets others run.
        """
        frames = _frames(coroutine)
        kind: Wait | None = None
        site = second_best = 0
        named = self._recorder.site
        for frame in reversed(frames):
            code = frame.f_code
            found = self._kind(code)
            if found is not None and (kind is None or (kind is Wait.EVENT and found in _OUTER)):
                kind = found
            if site <= 0:
                site = named(code, frame.f_lasti)
                if site < 0 and not second_best:
                    second_best = -site
        if future is None:
            kind = Wait.YIELD
        elif isinstance(future, Task):
            kind = Wait.JOIN
        elif kind is None:
            kind = Wait.JOIN if type(future).__name__ == "_GatheringFuture" else Wait.OTHER
        return kind, site if site > 0 else second_best

    def _kind(self, code: CodeType) -> Wait | None:
        known = self._kinds.get(id(code))
        if known is not None:
            return known[1]
        file = code.co_filename
        kind = None
        if file.rpartition("/")[2] in _FILES:
            kind = next((w for (end, name), w in _KINDS.items() if name == code.co_name and file.endswith(end)), None)
        if len(self._kinds) < _KNOWN_CODES:
            self._kinds[id(code)] = code, kind
        return kind


def _frames(coroutine: Any) -> list[FrameType]:
    """From the outermost in: of coroutines, generators and asynchronous generators, until what is none of these."""
    frames: list[FrameType] = []
    while len(frames) < _DEEPEST:
        for frame_of, awaited_by in _ATTRIBUTES:
            frame = getattr(coroutine, frame_of, None)
            if frame is not None:
                frames.append(frame)
                coroutine = getattr(coroutine, awaited_by)
                break
        else:
            if type(coroutine).__name__ not in _WRAPPERS:
                break
            # They say nowhere whose they are, but to the garbage collector.
            coroutine = next((one for one in get_referents(coroutine) if hasattr(one, "ag_frame")), None)
    return frames
