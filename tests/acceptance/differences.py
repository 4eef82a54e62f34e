"""Where a patched program differs from an unpatched one in the interpreter's own tests, and why it has to.

A line a case: the file, the case (``Class.test``; a ``*`` stands for anything), the Python versions, the reason.
A case that is not here must end as it does unpatched; one that is here must not, or its line is out of date.
``LEFT_OUT`` are cases that are not run at all, neither way.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["DIFFERENCES", "LEFT_OUT", "Difference", "known"]


@dataclass(frozen=True)
class Difference:
    """A case that differs, and why."""

    file: str
    case: str
    versions: str
    """First and last version, ``"3.11-3.13"``; or one, ``"3.13"``."""
    reason: str
    hangs: bool = False
    """Whether it hangs: then it is given a few seconds only."""
    sometimes: bool = False
    """Whether it may also end as it does unpatched. Needs a very good reason."""

    def applies(self, file: str, case: str, version: tuple[int, int] = sys.version_info[:2]) -> bool:
        """Whether it is about this case, on this version."""
        first, _, last = self.versions.partition("-")
        low, high = (tuple(map(int, one.split("."))) for one in (first, last or first))
        return file == self.file and low <= version <= high and fnmatchcase(case, f"test.{file}.{self.case}")


_ALL = "3.11-3.13"
_PREEMPTION = "needs a thread that is preempted while it does not wait: greenlets take turns when they wait"
_FRESH = "imports the C module _queue afresh, which brings back the blocking SimpleQueue"
_ONE_THREAD = "counts the kernel's threads: greenlets of a native thread have its number"
_NONBLOCKING = "looks at the descriptor's own mode: a green socket's never blocks, whatever its timeout"

DIFFERENCES = (
    Difference("test_queue", "CSimpleQueueTest.test_many_threads", _ALL, _FRESH, hangs=True),
    Difference("test_queue", "CSimpleQueueTest.test_many_threads_timeout", _ALL, _FRESH, hangs=True),
    Difference("test_queue", "CSimpleQueueTest.test_order", _ALL, _FRESH, hangs=True),
    Difference("test_queue", "*Test.test_shutdown_all_methods_in_many_threads", "3.13", _PREEMPTION, hangs=True),
    Difference(
        "test_queue", "*Test.test_shutdown_immediate_all_methods_in_many_threads", "3.13", _PREEMPTION, hangs=True
    ),
    Difference(
        "test_select",
        "SelectTestCase.test_disallow_instantiation",
        _ALL,
        "select.poll is a class of its own, as gevent's: what a class body takes it for binds no self",
    ),
    Difference("test_signal", "StressTest.test_stress_modifying_handlers", _ALL, _PREEMPTION, hangs=True),
    Difference(
        "test_socket",
        "GeneralModuleTests.test_SocketType_is_socketobject",
        _ALL,
        "socket.SocketType is the green class, so that isinstance() goes on saying what a socket is",
    ),
    Difference("test_socket", "NonBlockingTCPTests.testSetBlocking", _ALL, _NONBLOCKING),
    Difference("test_socket", "NonBlockingTCPTests.testSetBlocking_overflow", "3.11", _NONBLOCKING),
    Difference("test_socket", "NonblockConstantTest.test_SOCK_NONBLOCK", _ALL, _NONBLOCKING),
    Difference("test_threading", "CRLockTests.test_signature", "3.13", "RLock's arguments, deprecated and ignored"),
    Difference("test_threading", "EventTests.test_at_fork_reinit", _ALL, "looks at the condition inside of an Event"),
    Difference("test_threading", "InterruptMainTests.test_can_interrupt_tight_loops", _ALL, _PREEMPTION),
    Difference("test_threading", "ThreadTests.test_PyThreadState_SetAsyncExc", _ALL, "C's table of native threads"),
    Difference(
        "test_threading", "ThreadTests.test_disallow_instantiation", "3.11-3.12", "our locks have a constructor"
    ),
    Difference("test_threading", "ThreadTests.test_various_ops*", _ALL, _ONE_THREAD),
)

LEFT_OUT = {
    "test_socket": ("ThreadedVSOCKSocketStreamTest.testStream",),  # hangs where the hypervisor does not answer
}


def known(file: str, case: str) -> Difference | None:
    """The line about a case, if there is one."""
    return next((one for one in DIFFERENCES if one.applies(file, case)), None)


def hanging(file: str) -> list[str]:
    """Patterns of the cases of a file that are known to hang."""
    return [f"test.{file}.{one.case}" for one in DIFFERENCES if one.file == file and one.hangs]
