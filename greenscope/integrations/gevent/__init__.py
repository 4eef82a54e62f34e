"""Programs that run on gevent, as they are, in the same rings as programs of the runtime.

Three ways in, which come to ``install()`` before the program's first hub: ``greenscope run --gevent app.py``;
``import greenscope.auto`` as the program's first line, which does it if ``GREENSCOPE=1`` is set; and one line in
gunicorn's configuration::

    from greenscope.integrations.gevent import post_fork

What is recorded comes through what gevent offers: its configuration names the class of its loops (``loops``), which
makes the watchers; greenlet's tracer hears of switches, and gevent's own callback of spawns. The hot half is in C.
``docs/gevent.md`` says what cannot be seen this way. Refuses to be undone: what is installed stays.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from greenscope.errors import GreenscopeError

__all__ = ["install", "installed", "post_fork", "require"]

_done: list[int] = []


def require() -> None:
    """See to it that there is something to trace, and something to trace with.

    Raises:
        GreenscopeError: gevent is not there, or greenscope was built without the extension that follows it.
    """
    if find_spec("gevent") is None:
        raise GreenscopeError("gevent is not installed for this Python: pip install gevent, or run without --gevent")
    if find_spec("greenscope.integrations.gevent._gevent") is None or find_spec("greenscope.trace._ring") is None:
        raise GreenscopeError(
            "greenscope was built without its C extensions, which gevent programs need: install a C compiler, and then"
            " greenscope again"
        )


def install() -> bool:
    """Record every hub of this process that begins from now on, and what runs on it.

    Returns:
        False if nothing is to be recorded: ``GREENSCOPE=0`` is set.

    Raises:
        GreenscopeError: gevent or the extension is missing; a hub has begun already; gevent's loop is another one.
    """
    if os.environ.get("GREENSCOPE") == "0":
        return False
    if not _done:
        require()
        from greenscope.integrations.gevent.loops import use_recorded_loop

        use_recorded_loop()
        _done.append(os.getpid())
    return True


def installed() -> bool:
    """Whether hubs are recorded."""
    return bool(_done)


def post_fork(_server: object, _worker: object) -> None:
    """Gunicorn's hook of this name: record this worker, of gevent's class. One that cannot be says so, and works."""
    try:
        install()
    except GreenscopeError as error:
        sys.stderr.write(f"greenscope: not recording: {error}\n")
