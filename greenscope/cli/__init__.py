"""The ``greenscope`` command: one module a subcommand.

What is wrong with what the user gave is one line on stderr and exit code 2; a program that was run
gives its own exit code.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from greenscope import __version__
from greenscope.errors import GreenscopeError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = (
    "run",
    "record",
    "serve",
    "ps",
    "top",
    "stacks",
    "diagnose",
    "profile",
    "requests",
    "detail",
    "snapshot",
    "events",
    "export",
    "info",
    "rings",
    "token",
    "learn",
    "demo",
)
"""As the help lists them. Each is a function in a module of its name."""


class _Commands(click.Group):
    """Imports a command when it is asked for: the dashboard's libraries take a second, which ``ps`` need not wait."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the names are click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="greenscope")
def cli() -> None:
    """See what every greenlet of a green service waits for, live and after the fact."""


def main() -> None:
    """Run the command line; the entry point of the ``greenscope`` script."""
    try:
        sys.exit(cli(prog_name="greenscope", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "greenscope"
        click.echo(f"{where}: {error.format_message().rstrip('.')}; {where} --help says more", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(1)
    except GreenscopeError as error:
        click.echo(f"greenscope: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:  # not about a file that the user gave: a mistake of ours
            raise
        click.echo(f"greenscope: {error.filename}: {error.strerror}", err=True)
        sys.exit(2)
