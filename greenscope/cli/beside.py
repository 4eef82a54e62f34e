"""The viewer beside an application: what ``web/beside.py`` starts, once a trace directory, and nobody by hand.

It comes with the lock of its directory in a descriptor, which it keeps until it ends. It ends by itself when nobody has
asked for ten minutes, or when its directory is gone: a traced process costs nothing more for having been looked at
once, and the next one who asks starts another, which reads what the rings still hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from pathlib import Path

from greenscope.cli.viewer import listen, serve_until, stop_signal
from greenscope.trace.recorder import trace_directory
from greenscope.web.access import from_environment
from greenscope.web.app import create_app
from greenscope.web.beside import FACTS, LOCK, LOCK_FD
from greenscope.web.following import Following
from greenscope.web.source import Source

__all__ = ["main"]

_IDLE_SECONDS = 600.0
_LOOK_SECONDS = 1.0


def main() -> None:
    """Serve a trace directory, the command line's one argument, until it is idle."""
    directory = Path(sys.argv[1])
    os.closerange(LOCK_FD + 1, os.sysconf("SC_OPEN_MAX"))  # what the program let its children inherit: its listeners
    with contextlib.suppress(OSError):
        os.setsid()
    os.umask(0o077)
    os.chdir(directory)
    key = secrets.token_urlsafe(24)
    app = create_app(Source([directory]), access=from_environment(trace_directory), key=key, rest_after=None)
    listener = listen(0)
    facts = {"port": listener.getsockname()[1], "key": key, "pid": os.getpid()}
    fresh = directory / f"{FACTS}.{os.getpid()}"
    fresh.write_text(json.dumps(facts))
    fresh.rename(directory / FACTS)
    asyncio.run(serve_until(app, listener, _over(directory, app.state.following)))


async def _over(directory: Path, following: Following) -> None:
    stop = asyncio.create_task(stop_signal())
    while not stop.done() and _is_ours(directory) and following.idle_seconds < _IDLE_SECONDS:
        await asyncio.wait({stop}, timeout=_LOOK_SECONDS)
    stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)


def _is_ours(directory: Path) -> bool:
    """Whether the directory is there still, and its lock the one that this process has."""
    try:
        there, held = (directory / LOCK).stat(), os.fstat(LOCK_FD)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
