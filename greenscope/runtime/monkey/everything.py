"""``patch_all``: every part, in the order in which they build on each other."""

from __future__ import annotations

from typing import Any

from greenscope.runtime.monkey import parts, taken

__all__ = ["patch_all"]

_before: dict[str, Any] = {}


def patch_all(
    socket: bool = True,
    dns: bool = True,
    time: bool = True,
    select: bool = True,
    thread: bool = True,
    os: bool = True,
    ssl: bool = True,
    subprocess: bool = True,
    sys: bool = False,
    aggressive: bool = True,
    Event: bool = True,  # noqa: N803  (gevent's name)
    builtins: bool = True,
    signal: bool = True,
    queue: bool = True,
    contextvars: bool = True,
    **kwargs: Any,
) -> bool:
    """Make the standard library green. Call it first of all, in the main thread.

    A second call with other arguments adds what the first left out, and warns: nothing is ever undone.

    Args:
        socket, dns, time, select, thread, os, ssl, subprocess, sys, builtins, signal, queue, contextvars:
            whether to call the function ``patch_…`` of that name.
        aggressive: as ``patch_select``'s.
        Event: as ``patch_thread``'s.
        kwargs: taken for gevent's sake, whose plug-ins interpret them; nothing here does.

    Returns:
        True.
    """
    wanted = {name: value for name, value in locals().items() if name != "kwargs"} | kwargs
    if _before and _before != wanted:
        taken.warn(
            "patch_all() was called before, with other arguments: "
            "what either call asks for is patched, and nothing is undone"
        )
    _before.update(wanted)
    if signal and not os:
        taken.warn("patch_all(os=False, signal=True) leaves SIGCHLD to os, which is not patched: leave both out")
    with taken.once():
        for asked, patch, options in (
            (os, parts.patch_os, {}),
            (time, parts.patch_time, {}),
            (thread, parts.patch_thread, {"Event": Event}),
            (sys, parts.patch_sys, {}),
            (socket, parts.patch_socket, {"dns": dns, "aggressive": aggressive}),
            (dns and not socket, parts.patch_dns, {}),
            (select, parts.patch_select, {"aggressive": aggressive}),
            (ssl, parts.patch_ssl, {}),
            (subprocess, parts.patch_subprocess, {}),
            (builtins, parts.patch_builtins, {}),
            (signal, parts.patch_signal, {}),
            (queue, parts.patch_queue, {}),
            (contextvars, parts.patch_contextvars, {}),
        ):
            if asked:
                do: Any = patch
                do(**options)
    return True
