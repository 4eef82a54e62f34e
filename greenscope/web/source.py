"""Where rings come from: a directory that is watched, or files.

Living rings are followed from the moment they appear, so that the viewer keeps more than the ring
does; those of processes long gone are only listed until somebody looks at one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from greenscope.errors import GreenscopeError
from greenscope.trace.analysis import DEFAULT_STALL_NS
from greenscope.web.session import Session, monotonic_ns

__all__ = ["Source"]

_SCAN_SECONDS = 0.25
_FOLLOW_SECONDS = 0.05
_log = logging.getLogger("greenscope")


class Source:
    """The rings one viewer shows.

    Args:
        paths: directories and ring files.
        stall_ns: a run this long is a stall.
        clock: the monotonic clock, in ns; a test's own.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        stall_ns: int = DEFAULT_STALL_NS,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._paths = tuple(paths)
        self._stall_ns = stall_ns
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._known: dict[Path, Session | None] = {}
        self._active: set[str] = set()

    def sessions(self) -> list[Session]:
        """All rings, the newest first."""
        return sorted(self._sessions.values(), key=lambda s: s.info.start_wall_ns, reverse=True)

    def session(self, identity: str) -> Session | None:
        """One ring, followed from now on; None if there is none of that name."""
        session = self._sessions.get(identity)
        if session is not None:
            self._active.add(identity)
        return session

    def scan(self) -> None:
        """Find the rings that are new."""
        for path in self._files():
            if path not in self._known:
                self._known[path] = self._open(path)

    def follow(self) -> int:
        """Read a piece of every ring that is followed.

        Returns:
            The records that are still to be read, in all.
        """
        behind = 0
        for identity in list(self._active):
            session = self._sessions[identity]
            ended = session.state != "live"
            behind += session.follow()
            if ended and not session.behind:
                self._active.discard(identity)
        return behind

    async def run(self) -> None:
        """Scan and follow until cancelled; long recordings are read in pieces between which others get their turn."""
        loop = asyncio.get_running_loop()
        next_scan = loop.time()
        while True:
            if loop.time() >= next_scan:
                self.scan()
                next_scan = loop.time() + _SCAN_SECONDS
            await asyncio.sleep(0 if self.follow() else _FOLLOW_SECONDS)

    def close(self) -> None:
        """Let go of every ring."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        self._known.clear()
        self._active.clear()

    def _files(self) -> list[Path]:
        files: list[Path] = []
        for path in self._paths:
            files.extend(sorted(path.glob("*.gsr")) if path.is_dir() else [path])
        return files

    def _open(self, path: Path) -> Session | None:
        try:
            session = Session(path, self._stall_ns, self._clock)
        except (OSError, GreenscopeError) as error:
            _log.warning("%s", error)
            return None
        while session.id in self._sessions:
            session.id += "+"
        self._sessions[session.id] = session
        if session.state == "live" or (len(self._paths) == 1 and self._paths[0] == path):
            self._active.add(session.id)
        return session
