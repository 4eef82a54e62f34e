"""``greenscope demo``: a traced service under load, and the dashboard over it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import click

from greenscope.cli.program import traced_environment
from greenscope.cli.thresholds import thresholds_of
from greenscope.cli.viewer import PORT_OPTION, STALL_OPTION, listen, serve_until, stop_signal, url_of
from greenscope.errors import GreenscopeError
from greenscope.web.source import Source

__all__ = ["demo"]

_CUSTOMER_PROCESSES = 2
_CONNECTIONS = 5
_START_SECONDS = 20


@click.command()
@PORT_OPTION
@STALL_OPTION
def demo(port: int, stall_ms: int | None) -> None:
    """Show a small shop service under load: healthy greenlets, one that hogs the hub, one that waits in vain.

    The service, its backend and its customers are processes of their own, on loopback. Ctrl-C ends
    them all. If the service dies (kill -9 its pid), the dashboard stays and says so.
    """
    thresholds = thresholds_of((), stall_ms)
    listener = listen(port)
    with tempfile.TemporaryDirectory(prefix="greenscope-demo-") as name:
        directory = Path(name)
        source = Source([directory], thresholds=thresholds)
        asyncio.run(serve_until(source, listener, _shop(directory, url_of(listener))))


async def _shop(directory: Path, url: str) -> None:
    """Run the shop until the user asks to stop."""
    stop = asyncio.create_task(stop_signal())
    async with contextlib.AsyncExitStack() as processes:

        async def start(module: str, *args: str, environment: Mapping[str, str] = os.environ) -> Process:
            return await processes.enter_async_context(_process(module, *args, environment=environment))

        backend = await start("backend")
        ports = await _first_line(backend, "backend")
        service = await start("service", json.dumps(ports), environment=traced_environment(directory))
        facts = await _first_line(service, "service")
        for _ in range(_CUSTOMER_PROCESSES):
            await start("customers", str(facts["port"]), str(_CONNECTIONS))
        click.echo(f"greenscope: {url}  (the service is process {facts['pid']}; Ctrl-C ends everything)")
        ended = asyncio.create_task(service.wait())
        await asyncio.wait({stop, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            click.echo(f"greenscope: the service ended with {ended.result()}; Ctrl-C ends the dashboard")
            await stop
        ended.cancel()


@contextlib.asynccontextmanager
async def _process(module: str, *args: str, environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """A demo process, that is gone when the block is left."""
    command = (sys.executable, "-m", f"greenscope.demo.{module}", *args)
    # A group of its own: Ctrl-C is for the parent, which ends the rest in order.
    child = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env=environment, start_new_session=True
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _first_line(child: Process, name: str) -> dict[str, Any]:
    """What a demo process says when it is ready.

    Raises:
        GreenscopeError: it ended, or said nothing for too long.
    """
    assert child.stdout is not None
    try:
        line = await asyncio.wait_for(child.stdout.readline(), _START_SECONDS)
    except TimeoutError:
        line = b""
    if not line:
        raise GreenscopeError(f"the demo's {name} did not start; what it printed stands above")
    facts: dict[str, Any] = json.loads(line)
    return facts
