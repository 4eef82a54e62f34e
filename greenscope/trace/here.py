"""The recorder of the thread that runs: how a program's own notes find the ring without knowing the runtime.

``open_recorder`` puts it here, in the thread that makes the hub; it is None where there is no hub (yet), or
where nothing is recorded. Nobody who looks here makes a hub.
"""

from __future__ import annotations

from _thread import _local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenscope.trace.recorder import Recorder

__all__ = ["here"]


class _Here(_local):
    recorder: Recorder | None = None


here = _Here()
