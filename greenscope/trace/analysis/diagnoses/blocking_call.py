"""A call that blocks the thread, and so all its greenlets, though only one had to wait.

That a thread waits in the kernel and does not compute, the watchdog has seen there. Which call that was is the
innermost frame's affair: a function of the standard library that is written in Python has one, and what it waits
in the kernel for is then its own business (a look-up of a name polls); what is written in C has none, and is told
by what the kernel said. Who waits for the interpreter's lock computes, or would if it was let.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.long_runs import LongRun, Seen, finding_of, runs_by_line, worst_of
from greenscope.trace.analysis.finding import Finding, Severity
from greenscope.trace.analysis.model import Model, is_of_program
from greenscope.trace.events import Blocked
from greenscope.trace.records import Site

__all__ = ["BlockingCall", "is_of_a_call"]


class _Call(NamedTuple):
    what: str
    """It, after "in"."""
    advice: str


def _green(name: str) -> str:
    """What to use instead, on either runtime: their names are the same."""
    return f"greenscope.runtime.{name} (on gevent, gevent.{name})"


_PATCH = "have monkey.patch_all(), greenscope.runtime's or gevent's, run before anything else is imported"
_SOCKETS = f"Use {_green('socket')}, or {_PATCH}: this socket is one of the standard library's own."
_IN_A_THREAD = "have the thread pool do it: get_hub().threadpool.apply(function, arguments)."
_OF_ASYNCIO = (
    "Await what does the same asynchronously (asyncio.sleep, a library made for asyncio), or have a thread do it:"
    " await asyncio.to_thread(function, arguments); a FastAPI or Starlette view without async runs in one by itself."
)
_SLEEP = _Call(
    "a sleep that is not green (time.sleep)",
    f"Call {_green('sleep')}, or {_PATCH}: this is the sleep that was there before.",
)
_LOOK_UP = _Call(
    "a look-up of a name (DNS) that is not green",
    f"Call {_green('socket.getaddrinfo')}, or {_PATCH}; a library that looks names up in C needs a thread:"
    f" {_IN_A_THREAD}",
)
_CHILD = _Call(
    "a wait for a child process that is not green",
    f"Use {_green('subprocess')}, or {_PATCH}.",
)
_LOCK = _Call(
    "a wait for a lock of the system's",
    f"Use a green lock, or {_PATCH}: this one was made before. If it is a library's own, in C, {_IN_A_THREAD}",
)
_TLS = _Call("a TLS connection that is not green", f"Use {_green('ssl')}, or {_PATCH}.")
_SELECT = _Call(
    "a wait for descriptors that is not green (select, poll, or a socket with a timeout)",
    f"Use the green socket, select and selectors, or {_PATCH}. If it is a library in C that polls, {_IN_A_THREAD}",
)

_BY_KERNEL = {
    Blocked.SLEEP: _SLEEP,
    Blocked.RECEIVE: _Call("a receive from a socket that is not green", _SOCKETS),
    Blocked.SEND: _Call("a send to a socket that is not green", _SOCKETS),
    Blocked.CONNECT: _Call("a connect of a socket that is not green", _SOCKETS),
    Blocked.ACCEPT: _Call("an accept of a socket that is not green", _SOCKETS),
    Blocked.POLL: _SELECT,
    Blocked.LOCK: _LOCK,
    Blocked.CHILD: _CHILD,
    Blocked.PIPE: _Call(
        "the reading or writing of a pipe",
        f"If the other end is a child process, use {_green('subprocess')};"
        f" else the green os.nb_read and nb_write, or {_IN_A_THREAD}",
    ),
    Blocked.FILE: _Call(
        "the reading, writing or opening of a file, which nothing makes green",
        f"Use {_green('fileobject.FileObjectThread')}, or {_IN_A_THREAD}",
    ),
    Blocked.OTHER: _Call("a system call", f"If there is no green way to do it, {_IN_A_THREAD}"),
}

# Functions of the standard library by their modules, or whole modules of it.
_BY_FRAME = {
    "socket.getaddrinfo": _LOOK_UP,
    "socket.getfqdn": _LOOK_UP,
    "subprocess": _CHILD,
    "ssl": _TLS,
    "threading": _LOCK,
    "queue": _LOCK,
    "selectors": _SELECT,
}
_THROUGH = 16  # frames of libraries that are looked at


class BlockingCall(Diagnosis):
    """``blocking-call``: runs at one line that were waits in the kernel."""

    id = "blocking-call"
    severity = Severity.CRITICAL
    advice = f"Use the green way to do it, or {_PATCH}; or {_IN_A_THREAD}"

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line that such runs were in."""
        now = model.now
        for runs in runs_by_line(model):
            if not is_of_a_call(runs, now):
                continue
            call = _call_of(worst_of([run for run in runs if _call_of(run.seen)], now).seen)
            if call is not None:
                worst = worst_of(runs, now).seen
                how = f" in {call.what}{_through(worst.frames)}"
                advice = _OF_ASYNCIO if model.of_asyncio else call.advice
                yield finding_of(self, model, runs, "blocked", how, advice, "waited, and did not switch")


def is_of_a_call(runs: Sequence[LongRun], now: int) -> bool:
    """Whether the runs of one line waited in the kernel, longer than they are known to have computed."""
    waited = sum(run.lasted(now) for run in runs if _call_of(run.seen) is not None)
    computed = sum(run.lasted(now) for run in runs if run.seen.blocked in (Blocked.RUNNING, Blocked.GIL))
    return waited > computed


def _call_of(seen: Seen) -> _Call | None:
    """What blocked a run; None if nothing is known to have."""
    if seen.blocked in (Blocked.RUNNING, Blocked.GIL):
        return None
    for site in seen.frames[:_THROUGH]:
        if is_of_program(site):
            break
        module = _module(site)
        call = (_BY_FRAME.get(f"{module}.{site.function}") or _BY_FRAME.get(module)) if _is_standard(site) else None
        if call is not None:
            return call
    return _BY_KERNEL.get(Blocked(seen.blocked)) if seen.blocked in _BY_KERNEL else None


def _through(frames: Sequence[Site]) -> str:
    """What of a library the program had called: " (through requests.api.get)"; nothing if it called C itself."""
    if frames and is_of_program(frames[0]):
        return ""
    for called, caller in pairwise(frames):
        if is_of_program(caller):
            return f" (through {_module(called)}.{called.function})"
    return ""


def _is_standard(site: Site) -> bool:
    return PurePosixPath(site.file).parent.name.startswith("python3")


def _module(site: Site) -> str:
    """A library's module, with the package it is in: "subprocess", "requests.api"."""
    path = PurePosixPath(site.file)
    if _is_standard(site):
        return path.stem
    return path.parent.name if path.stem == "__init__" else f"{path.parent.name}.{path.stem}"
