"""``greenscope run``: a program, traced, and the dashboard beside it."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import click

from greenscope.cli.diagnose import findings_as_text
from greenscope.cli.program import (
    DETAIL_OPTION,
    GEVENT_OPTION,
    RING_OPTION,
    STACKS_OPTION,
    ProgramCommand,
    command_of,
    end_signals,
    exit_code,
    traced_environment,
)
from greenscope.cli.thresholds import THRESHOLD_OPTION, thresholds_of
from greenscope.cli.viewer import PORT_OPTION, STALL_OPTION, listen, serve_until, stop_signal, url_of
from greenscope.trace.analysis.diagnoses import worst_first
from greenscope.web.session import Session
from greenscope.web.source import Source

__all__ = ["run"]

_LOOK_SECONDS = 0.1


@click.command(cls=ProgramCommand, options_metavar="[OPTIONS] [-m MODULE | SCRIPT] [ARGS]...")
@click.argument("program", nargs=-1, metavar="", type=click.UNPROCESSED)
@PORT_OPTION
@STALL_OPTION
@RING_OPTION
@GEVENT_OPTION
@DETAIL_OPTION
@STACKS_OPTION
@THRESHOLD_OPTION
@click.option("--diagnose", "diagnosed", is_flag=True, help="When the program has ended, say what was wrong with it.")
@click.option("--keep", is_flag=True, help="Keep the dashboard when the program has ended, until Ctrl-C.")
def run(
    program: tuple[str, ...],
    port: int,
    stall_ms: int | None,
    ring_mb: int | None,
    gevent: bool,
    detail: str | None,
    stacks: bool,
    given: tuple[str, ...],
    diagnosed: bool,
    keep: bool,
) -> None:
    """Run a program that uses greenscope.runtime, or gevent, and show its greenlets live in the browser.

    The exit code is the program's (128 and the signal's number if a signal killed it). Options of
    greenscope come before the script or -m; what follows is the program's.
    """
    command = command_of(program, gevent)
    thresholds = thresholds_of(given, stall_ms)
    listener = listen(port)
    with tempfile.TemporaryDirectory(prefix="greenscope-run-") as name:
        directory = Path(name)
        source = Source([directory], thresholds=thresholds)
        click.echo(f"greenscope: {url_of(listener)}", err=True)
        over = _run_to_end(command, traced_environment(directory, ring_mb, detail, stacks), keep)
        code = asyncio.run(serve_until(source, listener, _diagnosed(source, over) if diagnosed else over))
    sys.exit(code)


async def _run_to_end(command: list[str], environment: Mapping[str, str], keep: bool) -> int:
    """Run the program; the terminal's Ctrl-C reaches it directly, what else asks for the end is passed on."""
    child = await asyncio.create_subprocess_exec(*command, env=environment)
    loop = asyncio.get_running_loop()

    def pass_on(number: int) -> None:
        if child.returncode is None:
            child.send_signal(number)

    loop.add_signal_handler(signal.SIGINT, lambda: None)
    numbers = end_signals()
    for number in numbers:
        loop.add_signal_handler(number, pass_on, number)
    try:
        code = exit_code(await child.wait())
    finally:
        for number in (signal.SIGINT, *numbers):
            loop.remove_signal_handler(number)
        pass_on(signal.SIGTERM)  # it is still there only if the dashboard failed
    if keep:
        click.echo(f"greenscope: the program ended with {code}; Ctrl-C ends the dashboard", err=True)
        await stop_signal()
    return code


async def _diagnosed(source: Source, over: Coroutine[Any, Any, int]) -> int:
    """Look for what is wrong while the program runs, and say all of it when that is over."""
    looks: dict[str, Session] = {}
    ended: set[str] = set()

    def look() -> None:
        source.scan()
        for listed in source.rings():  # also those that ended before they were seen
            session = source.session(listed.id) if listed.id not in ended else None
            if session is None:
                continue
            looks[session.id] = session
            session.findings()
            if session.state != "live":  # which it looked at before it read the rest
                ended.add(session.id)

    async def look_on() -> None:
        while True:
            look()
            await asyncio.sleep(_LOOK_SECONDS)

    looking = asyncio.create_task(look_on())
    try:
        code = await over
    finally:
        looking.cancel()
        look()
        for session in looks.values():
            findings = worst_first(session.seen.values(), session.model.now)
            click.echo("\n".join(findings_as_text(session, findings)), err=True)
    return code
