"""The ``greenscope`` command: one module a subcommand.

What is wrong with what the user gave is one line on stderr and exit code 2; a program that was run
gives its own exit code.
"""

from __future__ import annotations

import sys

import click

from greenscope import __version__
from greenscope.cli.demo import demo
from greenscope.cli.events import events
from greenscope.cli.info import info
from greenscope.cli.ps import ps
from greenscope.cli.record import record
from greenscope.cli.rings import rings
from greenscope.cli.run import run
from greenscope.cli.serve import serve
from greenscope.cli.snapshot import snapshot
from greenscope.cli.stacks import stacks
from greenscope.errors import GreenscopeError

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="greenscope")
def cli() -> None:
    """See what every greenlet of a green service waits for, live and after the fact."""


for command in (run, record, serve, ps, stacks, snapshot, events, info, rings, demo):
    cli.add_command(command)


def main() -> None:
    """Run the command line; the entry point of the ``greenscope`` script."""
    try:
        cli(prog_name="greenscope")
    except GreenscopeError as error:
        click.echo(f"greenscope: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:  # not about a file that the user gave: a mistake of ours
            raise
        click.echo(f"greenscope: {error.filename}: {error.strerror}", err=True)
        sys.exit(2)
