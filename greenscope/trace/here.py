"""The recorder of the thread that runs: how a program's own notes find the ring without knowing the runtime.

``open_recorder`` puts it here, in the thread that makes the hub; it is None where there is no hub (yet), or
where nothing is recorded. Nobody who looks here makes a hub.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _thread import _local as thread_local

    from greenscope.trace.recorder import Recorder
elif "gevent.monkey" in sys.modules:  # what it has put there is of a greenlet
    thread_local = sys.modules["gevent.monkey"].get_original("_thread", "_local")
else:
    from _thread import _local as thread_local

__all__ = ["here", "thread_local"]


class _Here(thread_local):
    recorder: Recorder | None = None


here = _Here()
