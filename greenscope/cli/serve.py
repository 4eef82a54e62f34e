"""``greenscope serve``: the dashboard over rings that are there."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from greenscope.cli.thresholds import THRESHOLD_OPTION, thresholds_of
from greenscope.cli.viewer import HOST, PORT_OPTION, STALL_OPTION, listen, serve_until, stop_signal, url_of
from greenscope.errors import GreenscopeError
from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import trace_directory
from greenscope.web.access import Access, from_environment, is_loopback, named_token
from greenscope.web.app import create_app
from greenscope.web.session import monotonic_ns
from greenscope.web.source import Source

if TYPE_CHECKING:
    from greenscope.web.otlp import Export

__all__ = ["serve"]


@click.command()
@click.argument("paths", nargs=-1, metavar="[DIR | FILE...]", type=click.Path(path_type=Path, readable=False))
@PORT_OPTION
@click.option(
    "--host",
    metavar="ADDRESS",
    default=HOST,
    show_default=True,
    help="Where to listen. Elsewhere than on loopback, whoever opens the dashboard needs the token that is printed.",
)
@click.option(
    "--otlp",
    metavar="URL",
    help="Send requests and spans, as they end, to this OpenTelemetry collector; `env`: to the one that "
    "OTEL_EXPORTER_OTLP_ENDPOINT names.",
)
@STALL_OPTION
@THRESHOLD_OPTION
def serve(
    paths: tuple[Path, ...], port: int, host: str, otlp: str | None, stall_ms: int | None, given: tuple[str, ...]
) -> None:
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
    export = None if otlp is None else _export(otlp)
    listener = listen(port, host)
    token = named_token()
    if token is None and not is_loopback(listener.getsockname()[0]):
        token = secrets.token_urlsafe(24)
    access = from_environment(trace_directory) if token is None else Access(lambda: token, always=True)
    shown = ", ".join(map(str, paths))
    click.echo(f"greenscope: {url_of(listener, token)}  shows {shown}  (Ctrl-C ends it)", err=True)
    source = Source(paths, thresholds=thresholds, take_up=None if export is None else export.follow)
    app = create_app(source, access=access, rest_after=None)
    try:
        asyncio.run(serve_until(app, listener, stop_signal()))
    finally:
        if export is not None:
            export.close()


def _export(to: str) -> Export:
    from greenscope.web.otlp import Export, endpoint_of

    return Export(endpoint_of(to), monotonic_ns(), lambda text: click.echo(f"greenscope: {text}", err=True))
