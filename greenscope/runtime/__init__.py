"""The green runtime: greenlets that wait without blocking each other, and are seen doing it.

The names, signatures and semantics are gevent's wherever it has the thing, the standard library's
where the module mirrors one of its. Read ``hub`` first; then ``waiter``, ``loop`` (libuv, and what one
has to know of it), ``greenlet``, ``timeout``; ``socket`` and ``server`` are built of these.
"""

from sys import getswitchinterval, setswitchinterval

from greenlet import GreenletExit, getcurrent

from greenscope.runtime import event, greenlet, hub, local, lock, loop, pool, queue, server, socket, threadpool, timeout
from greenscope.runtime.event import AsyncResult, Event
from greenscope.runtime.greenlet import Greenlet, joinall, killall, spawn, spawn_later, spawn_raw
from greenscope.runtime.hub import Hub, LoopExit, get_hub, idle, reinit, sleep
from greenscope.runtime.lock import BoundedSemaphore, Lock, Semaphore
from greenscope.runtime.os import fork
from greenscope.runtime.queue import Queue
from greenscope.runtime.recorded_callbacks import record_callbacks as _record_callbacks
from greenscope.runtime.recorded_resources import record_resources as _record_resources
from greenscope.runtime.signal import signal_handler
from greenscope.runtime.timeout import Timeout, with_timeout
from greenscope.runtime.waiting import iwait, kill, wait

__all__ = [
    "AsyncResult",
    "BoundedSemaphore",
    "Event",
    "Greenlet",
    "GreenletExit",
    "Hub",
    "Lock",
    "LoopExit",
    "Queue",
    "Semaphore",
    "Timeout",
    "event",
    "fork",
    "get_hub",
    "getcurrent",
    "getswitchinterval",
    "greenlet",
    "hub",
    "idle",
    "iwait",
    "joinall",
    "kill",
    "killall",
    "local",
    "lock",
    "loop",
    "pool",
    "queue",
    "reinit",
    "server",
    "setswitchinterval",
    "signal_handler",
    "sleep",
    "socket",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "threadpool",
    "timeout",
    "wait",
    "with_timeout",
]

_record_callbacks()
_record_resources()
