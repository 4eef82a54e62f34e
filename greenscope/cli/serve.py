"""``greenscope serve``: the dashboard over rings that are there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from greenscope.cli.thresholds import THRESHOLD_OPTION, thresholds_of
from greenscope.cli.viewer import PORT_OPTION, STALL_OPTION, listen, serve_until, stop_signal, url_of
from greenscope.errors import GreenscopeError
from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import trace_directory
from greenscope.web.source import Source

__all__ = ["serve"]


@click.command()
@click.argument("paths", nargs=-1, metavar="[DIR | FILE...]", type=click.Path(path_type=Path, readable=False))
@PORT_OPTION
@STALL_OPTION
@THRESHOLD_OPTION
def serve(paths: tuple[Path, ...], port: int, stall_ms: int | None, given: tuple[str, ...]) -> None:
    """Show live rings, or recorded ones, in the browser.

    Without an argument: the rings in the trace directory, which every program that uses
    greenscope.runtime leaves there as it runs. Ctrl-C ends the dashboard; the programs do not notice.
    """
    thresholds = thresholds_of(given, stall_ms)
    if not paths:
        paths = (trace_directory(),)
    for path in paths:
        if not path.exists():
            raise GreenscopeError(f"there is no file or directory {str(path)!r}")
        if not path.is_dir():
            RingReader(path).close()  # says what is wrong with it before a page is opened in vain
    listener = listen(port)
    click.echo(f"greenscope: {url_of(listener)}  shows {', '.join(map(str, paths))}  (Ctrl-C ends it)", err=True)
    source = Source(paths, thresholds=thresholds)
    asyncio.run(serve_until(source, listener, stop_signal()))
