"""What is replaced in each module of the standard library.

One function a module, with gevent's names and arguments. Which names of a module are green is the green
module's to say (``__implements__`` or ``__all__``); what cannot be replaced by name alone stands here.
"""

from __future__ import annotations

import importlib
import sys
import threading as _threading
from types import ModuleType
from typing import Any

from greenscope.runtime import thread as _green_thread
from greenscope.runtime import threading as _green_threading
from greenscope.runtime.monkey import locks, taken
from greenscope.runtime.monkey.saved import patch_item, patch_module, remove_item

__all__ = [
    "patch_builtins",
    "patch_contextvars",
    "patch_dns",
    "patch_os",
    "patch_queue",
    "patch_select",
    "patch_selectors",
    "patch_signal",
    "patch_socket",
    "patch_ssl",
    "patch_subprocess",
    "patch_sys",
    "patch_thread",
    "patch_time",
]

_DNS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "getfqdn")


def patch_os() -> None:
    """``os.fork`` gives the child a hub that works; ``os.waitpid`` and its kind park."""
    _patch("os")


def patch_time() -> None:
    """``time.sleep`` parks."""
    _patch("time")


def patch_queue() -> None:
    """``queue.SimpleQueue``, which is written in C, becomes a green one; the others are green with ``threading``."""
    green = _green("queue").SimpleQueue
    for name in ("queue", "_queue"):
        patch_item(_module(name), "SimpleQueue", green)
    taken.follow_copies()


def patch_thread(
    threading: bool = True,
    _threading_local: bool = True,
    Event: bool = True,  # noqa: N803  (gevent's name)
    logging: bool = True,
    existing_locks: bool = True,
) -> None:
    """Threads become greenlets, and locks park.

    Args:
        threading: whether ``threading`` is patched, besides ``_thread``.
        _threading_local: whether ``_threading_local.local`` is.
        Event: whether ``threading.Event`` becomes a green one, which is quicker, instead of one that is made
            of green locks.
        logging: whether the locks of logging, and of the handlers it has, become green.
        existing_locks: whether the free locks in the globals of loaded modules do.
    """
    new: dict[str, Any] = {
        "LockType": _green_thread.LockType,
        "RLock": _green_thread.RLock,
        "_count": _green_thread.thread_count,
        "_get_main_thread_ident": _green_thread.main_ident,
        "_make_thread_handle": _green_thread.make_thread_handle,
        "_set_sentinel": _green_thread.set_sentinel,
        "_shutdown": _join_all,
        "_ThreadHandle": _green_thread.ThreadHandle,
        "allocate": _green_thread.allocate_lock,
        "allocate_lock": _green_thread.allocate_lock,
        "get_ident": _green_thread.get_ident,
        "lock": _green_thread.LockType,
        "start_joinable_thread": _green_thread.start_joinable_thread,
        "start_new": _green_thread.start_new_thread,
        "start_new_thread": _green_thread.start_new_thread,
    }
    local = _green("local").local
    local.__module__ = "_thread"  # as the locks': that is where programs find it
    new["_local"] = local
    low = _module("_thread")
    for name, item in new.items():
        if name in vars(low):
            patch_item(low, name, item)
    if threading:
        if _threading.current_thread() is not _threading.main_thread():
            taken.warn(
                "patch_all() was called in a thread that is not the main one: "
                "a greenlet that joins the main thread will stop its hub. Call it in the main thread, first of all"
            )
        _patch_threading(low, Event)
    if _threading_local:
        patch_item(_module("_threading_local"), "local", local)
    if logging:
        locks.replace_locks_of_logging()
    if existing_locks:
        locks.replace_locks_of_modules()
    taken.follow_copies()


def _patch_threading(low: ModuleType, event: bool) -> None:
    # It keeps what it takes of _thread under the same names, with or without an underscore.
    again = bool(vars(_threading).get("_greenscope"))
    for name in (
        "_allocate_lock",
        "_get_main_thread_ident",
        "_make_thread_handle",
        "_set_sentinel",
        "_start_joinable_thread",
        "_start_new_thread",
        "_ThreadHandle",
        "get_ident",
    ):
        if name in vars(_threading):
            source = name if name in vars(low) else name.removeprefix("_")
            patch_item(_threading, name, getattr(low, source))
    for name, new in (
        ("Lock", _green_thread.LockType),
        ("_CRLock", _green_thread.RLock),
        ("_DummyThread", _green_threading.DummyThread),
        ("_LockType", _green_thread.LockType),
        ("_thread_shutdown", _join_all),
    ):
        if name in vars(_threading):
            patch_item(_threading, name, new)
    local = vars(low)["_local"]
    patch_item(_threading, "local", local)
    if "_thread_local_info" in vars(_threading) and not again:
        patch_item(_threading, "_thread_local_info", local())
    if event:
        patch_item(_threading, "Event", _green_threading.Event)
    if not again:
        _threading._greenscope = True  # type: ignore[attr-defined]
        _green_threading.adopt_native_threads()


def _join_all() -> None:
    """What ends the program waits for: the green threads first, then the native ones."""
    _green_thread.join_all()
    if _native_shutdown is not None:
        _native_shutdown()


_native_shutdown: Any = vars(importlib.import_module("_thread")).get("_shutdown")


def patch_socket(dns: bool = True, aggressive: bool = True) -> None:
    """Sockets park.

    Args:
        dns: whether look-ups do, too.
        aggressive: for gevent's sake; there is nothing left that would block.
    """
    del aggressive
    source, target = _green("socket"), _module("socket")
    listed = getattr(source, "__implements__", None) or source.__all__
    patch_module(target, source, [name for name in listed if name not in _DNS and name in vars(target)])
    if dns:
        patch_module(target, source, _DNS)
    taken.follow_copies()


def patch_dns() -> None:
    """Look-ups park."""
    _patch("socket", _DNS)


def patch_ssl() -> None:
    """TLS sockets park; those of contexts that were made before, too."""
    _patch("ssl")
    _green("ssl").adopt_contexts()


def patch_select(aggressive: bool = True) -> None:
    """``select.select`` and ``select.poll`` park.

    Args:
        aggressive: whether what has no green twin (``epoll``, ``kqueue``) is removed, because it would block.
    """
    source = _green("select")
    _patch("select")
    if aggressive:
        target = _module("select")
        for name in ("epoll", "kqueue", "kevent", "devpoll"):
            if name in vars(target) and name not in vars(source):
                remove_item(target, name)
    patch_selectors(aggressive)


def patch_selectors(aggressive: bool = True) -> None:
    """Selectors park; their default is one that does.

    Args:
        aggressive: whether those that have no green twin are removed.
    """
    source = _green("selectors")
    _patch("selectors")
    if aggressive:
        target = _module("selectors")
        for name in ("EpollSelector", "KqueueSelector", "DevpollSelector"):
            if name in vars(target) and name not in vars(source):
                remove_item(target, name)


def patch_subprocess() -> None:
    """Pipes to processes, and waiting for them to end, park."""
    _patch("subprocess")


def patch_signal() -> None:
    """Ctrl-C's handler and the wake-up descriptor, both of which the hub has taken, look free."""
    _patch("signal")


def patch_sys(stdin: bool = True, stdout: bool = True, stderr: bool = True) -> None:
    """Standard input and output park. Not part of ``patch_all`` unless asked for."""
    source = _green("fileobject")
    for wanted, name, mode in ((stdin, "stdin", "r"), (stdout, "stdout", "w"), (stderr, "stderr", "w")):
        stream = getattr(sys, name)
        if wanted and stream is not None and type(stream).__module__ != source.__name__:
            options: dict[str, Any] = {"encoding": stream.encoding, "errors": stream.errors, "closefd": False}
            patch_item(sys, name, source.FileObject(stream.fileno(), mode, **options))


def patch_builtins() -> None:
    """Nothing: Python 3's imports need no help. For gevent's sake."""


def patch_contextvars() -> None:
    """Nothing: every greenlet has a context of its own. For gevent's sake."""


def _green(name: str) -> Any:
    """The green twin of a module."""
    return importlib.import_module(f"greenscope.runtime.{name}")


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _patch(name: str, items: list[str] | tuple[str, ...] | None = None) -> None:
    patch_module(_module(name), _green(name), items)
    taken.follow_copies()
