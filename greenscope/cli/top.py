"""``greenscope top``: a process's hubs, greenlets and troubles, live, on the whole terminal."""

from __future__ import annotations

import os
import sys
from contextlib import closing

import click

from greenscope.cli.thresholds import THRESHOLD_OPTION, thresholds_of
from greenscope.cli.top_look import Watched
from greenscope.errors import GreenscopeError
from greenscope.trace.recorder import trace_directory

__all__ = ["top"]


@click.command()
@click.argument("what", metavar="PID")
@THRESHOLD_OPTION
def top(what: str, given: tuple[str, ...]) -> None:
    """Show a process live: what each hub does, what is wrong, and every greenlet.

    The process does not notice; it may be blocked or stopped, and when it dies its last picture stays.
    Keys do everything; ? lists them, q ends it.
    """
    if not (what.isascii() and what.isdecimal()):
        raise GreenscopeError(f"{what!r} is not the number of a process; greenscope ps lists them")
    thresholds = thresholds_of(given)
    with closing(Watched(trace_directory(create=False), int(what), thresholds)) as watched:
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
            raise GreenscopeError(
                f"top needs a terminal; greenscope ps {what} and greenscope diagnose {what} print the same"
            )
        from greenscope.cli.top_app import TopApp  # late: Textual is large, and no other command needs it

        app = TopApp(watched)
        app.run()
    sys.exit(app.return_code or 0)
