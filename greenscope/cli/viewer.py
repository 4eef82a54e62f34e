"""Serves the dashboard until something else is over: shared by ``serve``, ``run`` and ``demo``."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import select
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

import click
import uvicorn

from greenscope.cli.program import end_signals
from greenscope.errors import GreenscopeError
from greenscope.web.app import create_app
from greenscope.web.source import Source

__all__ = ["HOST", "PORT_OPTION", "STALL_OPTION", "listen", "serve_until", "stop_signal", "url_of"]

HOST = "127.0.0.1"
_TERMINAL_SECONDS = 0.5
_T = TypeVar("_T")

PORT_OPTION = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port of the dashboard on 127.0.0.1; 0 takes a free one.",
)
STALL_OPTION = click.option(
    "--stall-ms",
    type=click.IntRange(1, 3_600_000),
    help="A greenlet that runs this long without switching is a stall: the threshold stall_ms, 100 unless told.",
)


class _Server(uvicorn.Server):
    """uvicorn, but signals are the command's business: a program may have to end first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(port: int, host: str = HOST) -> socket.socket:
    """A listening socket for the dashboard.

    Args:
        port: which; 0 takes a free one.
        host: an address or a name of this machine.

    Raises:
        GreenscopeError: the port is taken, or not ours to use; the host is none of this machine.
    """
    listener = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # asyncio switches Nagle's algorithm off only where the protocol is told: an answer's head and body are sent
        # one after the other, and the body would wait 40 ms for the head to be acknowledged.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        if listener is None or error.errno == errno.EADDRNOTAVAIL:
            raise GreenscopeError(
                f"--host {host!r} is no address of this machine ({error.strerror}); 0.0.0.0 stands for all it has"
            ) from None
        listener.close()
        raise GreenscopeError(
            f"port {port} on {host} cannot be used ({error.strerror}); choose another with --port, 0 takes a free one"
        ) from None
    return listener


def url_of(listener: socket.socket, token: str | None = None) -> str:
    """The address to open in a browser.

    Args:
        listener: where the dashboard listens.
        token: what whoever opens it needs; None: nothing.
    """
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound to
        host = socket.gethostname()
    where = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return where if token is None else f"{where}/?token={quote(token, safe='')}"


async def stop_signal() -> None:
    """Return when the user asks to stop, by Ctrl-C, SIGTERM, or closing the terminal."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, *end_signals())
    for number in numbers:  # and for good: a second Ctrl-C must not tear what the first one ends in order
        loop.add_signal_handler(number, stopped.set)
    hang_up = asyncio.create_task(_terminal_closed())
    hang_up.add_done_callback(lambda _: stopped.set())
    try:
        await stopped.wait()
    finally:
        hang_up.cancel()


async def _terminal_closed() -> None:
    """Return when the terminal is gone; never, where there is none.

    SIGHUP does not tell: a `make` that leads the session gets it, and waits for its child.
    """
    poll = select.poll()
    if sys.stdin is not None and sys.stdin.isatty():
        poll.register(sys.stdin, 0)  # no input, which is somebody else's; POLLHUP comes unasked
    while not poll.poll(0):  # noqa: ASYNC110 - no loop reports a hang-up without reading
        await asyncio.sleep(_TERMINAL_SECONDS)


async def serve_until(source: Source | Callable[..., Any], listener: socket.socket, over: Awaitable[_T]) -> _T:
    """Serve the dashboard until ``over`` is done.

    Args:
        source: the rings, or the dashboard over them.
        listener: where.
        over: what is waited for.

    Returns:
        What ``over`` gave.
    """
    # What a timeline keeps is hundreds of thousands of objects and no cycles: to look through all of them
    # for some, now and then, stops the viewer for 0.1 to 0.4 s. Young objects are looked through as ever.
    gc.set_threshold(*gc.get_threshold()[:2], 1_000_000)
    app = create_app(source, rest_after=None) if isinstance(source, Source) else source
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is who the socket says
        timeout_graceful_shutdown=1,
        ws_max_size=1 << 16,
        ws_per_message_deflate=False,  # loopback: packing costs more than it saves
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    waiting = asyncio.ensure_future(over)
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise GreenscopeError("the dashboard's server ended by itself")
        return waiting.result()
    finally:
        server.should_exit = True
        await serving
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
