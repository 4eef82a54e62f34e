"""Where rings come from: a directory that is watched, or files.

Living rings are followed from the moment they appear, so that the viewer keeps more than the ring
does; those of processes long gone are only listed until somebody looks at one. A viewer may be left
on for weeks: a ring that ended is let go of when nobody looks at it and others ended since, or its
file is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.diagnoses import Thresholds
from greenscope.web.session import Listing, Session, monotonic_ns

__all__ = ["Source"]

_SCAN_SECONDS = 0.25
_FOLLOW_SECONDS = 0.05
_KEEP_OPEN = 8  # rings that ended, and that nobody looks at
_log = logging.getLogger("greenscope")


class Source:
    """The rings one viewer shows.

    Args:
        paths: directories and ring files.
        thresholds: from when on something is called wrong.
        clock: the monotonic clock, in ns; a test's own.
        take_up: is shown each ring when it is found, and says whether it is to be read to its end, come what may.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        thresholds: Thresholds | None = None,
        clock: Callable[[], int] = monotonic_ns,
        take_up: Callable[[Session], bool] | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._take_up = take_up
        self._thresholds = thresholds
        self._clock = clock
        # A path and its inode, since another file may take the path: the ring's id, None if it is no ring.
        self._files: dict[tuple[Path, int], str | None] = {}
        self._listed: dict[str, Listing] = {}
        self._sessions: dict[str, Session] = {}  # what is open; the least recently wanted first
        self._gone: set[str] = set()

    def rings(self) -> list[Listing]:
        """All rings, the newest first."""
        for identity, session in self._sessions.items():
            self._listed[identity].state = session.state
        return sorted(self._listed.values(), key=lambda listed: listed.info.start_wall_ns, reverse=True)

    def open_rings(self) -> list[Session]:
        """Those that are followed, and so all that live, the oldest first."""
        return sorted(self._sessions.values(), key=lambda session: session.info.start_wall_ns)

    def session(self, identity: str) -> Session | None:
        """One ring, open from now on; None if there is none of that name, or not any more."""
        listed = self._listed.get(identity)
        if listed is None:
            return None
        session = self._sessions.pop(identity, None) or self._open(listed.info.path)
        if session is not None:
            session.id = identity
            self._sessions[identity] = session
        return session

    def scan(self) -> None:
        """Find the rings that are new, and let go of what nobody needs."""
        found = self._find()
        for path, inode in found - self._files.keys():
            self._files[path, inode] = self._list(path)
        for file in self._files.keys() - found:
            identity = self._files.pop(file)
            if identity is not None:
                self._gone.add(identity)
        self._let_go()

    def follow(self, session: Session) -> int:
        """Read a piece of one ring.

        Returns:
            The records of it that are still to be read.
        """
        was = session.state
        try:
            behind = session.follow()
        except Exception:  # noqa: BLE001 - a file is untrusted, and the other rings must go on
            _log.exception("%s cannot be read any further", session.info.path)
            session.failed, behind = True, 0
        if session.state != was and session.id in self._sessions:
            self._sessions[session.id] = self._sessions.pop(session.id)  # it ended just now
        return behind

    @property
    def is_watched(self) -> bool:
        """Whether a page looks at one of them."""
        return any(session.pages for session in self._sessions.values())

    async def run(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Scan and follow until cancelled, or not wanted; rings are read in pieces between which others get their turn.

        Args:
            wanted: whether to go on.
        """
        loop = asyncio.get_running_loop()
        next_scan = loop.time()
        while wanted():
            if loop.time() >= next_scan:
                self.scan()
                next_scan = loop.time() + _SCAN_SECONDS
            behind = 0
            for session in [session for session in self._sessions.values() if session.unfinished]:
                behind += self.follow(session)
                await asyncio.sleep(0)
            if not behind:
                await asyncio.sleep(_FOLLOW_SECONDS)

    def close(self) -> None:
        """Let go of every ring."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        self._listed.clear()
        self._files.clear()
        self._gone.clear()

    def _find(self) -> set[tuple[Path, int]]:
        found: set[tuple[Path, int]] = set()
        for path in self._paths:
            with contextlib.suppress(OSError):  # it is gone, or not ours any more
                if path.is_dir():
                    with os.scandir(path) as entries:
                        found.update((path / e.name, e.inode()) for e in entries if e.name.endswith(".gsr"))
                else:
                    found.add((path, path.stat().st_ino))
        return found

    def _list(self, path: Path) -> str | None:
        session = self._open(path)
        if session is None:
            return None
        while session.id in self._listed:
            session.id += "+"
        self._listed[session.id] = Listing(session.id, session.info, session.state)
        is_wanted = self._take_up is not None and self._take_up(session)
        if session.state == "live" or self._paths == (path,) or is_wanted:
            self._sessions[session.id] = session
        else:
            session.close()
        return session.id

    def _open(self, path: Path) -> Session | None:
        try:
            return Session(path, self._thresholds, self._clock)
        except (OSError, GreenscopeError) as error:
            _log.warning("%s", error)
            return None

    def _let_go(self) -> None:
        idle = [session for session in self._sessions.values() if not session.pages and not session.unfinished]
        for number, session in enumerate(idle):
            if session.id in self._gone or number < len(idle) - _KEEP_OPEN:
                self._listed[session.id].state = session.state
                del self._sessions[session.id]
                session.close()
        for identity in self._gone - self._sessions.keys():
            del self._listed[identity]
            self._gone.discard(identity)
