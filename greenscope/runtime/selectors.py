"""The standard library's ``selectors`` module, green: selectors whose ``select`` lets others run.

They are the standard library's own classes over the green ``select``, ``poll`` and ``epoll``, so their
interface and errors are its. ``DefaultSelector`` is over ``epoll`` where there is one: registering costs one
call of the kernel's, and a wait one watcher, whatever their number. ``GeventSelector`` is gevent's name
for it.
"""

from __future__ import annotations

import selectors as stdlib
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import Any

from greenscope.runtime import select as green

__all__ = [
    "EVENT_READ",
    "EVENT_WRITE",
    "BaseSelector",
    "DefaultSelector",
    "GeventSelector",
    "PollSelector",
    "SelectSelector",
    "SelectorKey",
]
__implements__ = ["DefaultSelector", "PollSelector", "SelectSelector"]

# The two places where the standard library's classes name what they ask the kernel with.


class SelectSelector(stdlib.SelectSelector):
    """A selector over ``select``."""

    _select = staticmethod(green.select)


class PollSelector(stdlib.PollSelector):
    """A selector over ``poll``."""

    _selector_cls = green.poll


DefaultSelector: Any = PollSelector

if "epoll" in green.__implements__:
    __all__ += ["EpollSelector"]
    __implements__ += ["EpollSelector"]

    class EpollSelector(stdlib.EpollSelector):
        """A selector over ``epoll``."""

        _selector_cls = green.epoll

    DefaultSelector = EpollSelector

GeventSelector = DefaultSelector
