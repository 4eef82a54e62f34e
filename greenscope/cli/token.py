"""``greenscope token``: what lets a browser on another machine see the dashboard inside an application."""

from __future__ import annotations

import click

from greenscope.trace.recorder import trace_directory
from greenscope.web.access import named_token, token_of

__all__ = ["token"]


@click.command()
def token() -> None:
    """Print the token of the dashboards under this trace directory.

    They are the debug middleware's, and those that create_app() mounts. Open one's address once with ?token=TOKEN
    behind it. GREENSCOPE_TOKEN, where the program has it, is the token instead.
    """
    click.echo(named_token() or token_of(trace_directory()))
