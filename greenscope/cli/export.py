"""``greenscope export``: a recording in the formats of others."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from greenscope.cli.ring_argument import RingArgument
from greenscope.web.session import Session

__all__ = ["export"]

_ANSWER_SECONDS = 60.0


@click.group()
def export() -> None:
    """Write a recording as others read it."""


@export.command()
@click.argument("file", type=RingArgument())
@click.argument("url")
def otlp(file: Path, url: str) -> None:
    """Send the requests and spans of a recording to an OpenTelemetry collector.

    URL is the collector's, as http://127.0.0.1:4318; `env` is what OTEL_EXPORTER_OTLP_ENDPOINT names. Sent again, they
    have the same ids. The exit code is 1 if some did not reach it.
    """
    from greenscope.web.otlp import Export, endpoint_of

    to = endpoint_of(url)
    with contextlib.closing(Session(file)) as session:
        sending = Export(to, 0, lambda text: click.echo(f"greenscope: {text}", err=True))
        sending.follow(session)
        until = session.reader.head
        while session.follow() and session.reader.position < until:
            sending.room(_ANSWER_SECONDS)
        sending.close(_ANSWER_SECONDS)
    click.echo(f"{sending.sent} spans sent")
    if sending.unsampled:
        click.echo(f"{sending.unsampled} requests and spans are of traces that are not to be kept, and were not sent")
    if sending.lost:
        sys.exit(1)
