"""The program a command is to run, given as Python takes it: ``SCRIPT ARGS…`` or ``-m MODULE ARGS…``.

Everything from the script, or from ``-m``, on is the program's own, options included; so the
command's options come before it, and are split off here before click looks at them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from greenscope.errors import GreenscopeError
from greenscope.integrations.gevent import require as require_gevent
from greenscope.trace.levels import NAMES

__all__ = [
    "DETAIL_OPTION",
    "GEVENT_OPTION",
    "RING_OPTION",
    "STACKS_OPTION",
    "ProgramCommand",
    "command_of",
    "end_signals",
    "exit_code",
    "run_to_end",
    "traced_environment",
]

DETAIL_OPTION = click.option(
    "--detail",
    type=click.Choice(NAMES),
    help="How much is recorded: switches alone, the calls of sockets and locks too, or every step.",
)
STACKS_OPTION = click.option(
    "--stacks", is_flag=True, help="Record the whole stack where a greenlet parks, and not its line alone."
)
RING_OPTION = click.option(
    "--ring-mb",
    type=click.IntRange(1, 1 << 16),
    metavar="N",
    help="Mebibytes of events that each ring keeps, the newest; GREENSCOPE_RING_MB, or 32, unless told.",
)

GEVENT_OPTION = click.option(
    "--gevent", is_flag=True, help="The program runs on gevent, and not on greenscope.runtime."
)


class ProgramCommand(click.Command):
    """A command whose last argument, ``program``, is a program and all that is meant for it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split the command's own options from the program."""
        own, program = self.split(ctx, args)
        return super().parse_args(ctx, [*own, "--", *program])

    def split(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str]]:
        """The command's own options, and the program with all that is meant for it."""
        flags = {name for option in self.get_params(ctx) for name in option.opts if not _takes_value(option)}
        own: list[str] = []
        rest = list(args)
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            option = rest.pop(0)
            own.append(option)
            if option == "--":
                own.pop()
                break
            whole = "=" in option or (not option.startswith("--") and len(option) > 2)
            if option not in flags and not whole and rest:
                own.append(rest.pop(0))
        return own, rest


def _takes_value(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and not (param.is_flag or param.count)


def command_of(program: Sequence[str], gevent: bool = False) -> list[str]:
    """The command line that runs a program with this interpreter.

    Args:
        program: the script or ``-m`` and the module, and what is meant for it.
        gevent: whether it runs on gevent, and so has to be followed.

    Raises:
        GreenscopeError: there is nothing to run; or no gevent.
    """
    if not program:
        raise GreenscopeError("nothing to run: give a script, or -m and a module")
    if program[0] == "-m":
        if len(program) == 1:
            raise GreenscopeError("-m needs the name of a module")
    elif not Path(program[0]).exists():
        raise GreenscopeError(f"there is no script {program[0]!r}; a module is given with -m")
    elif Path(program[0]).is_dir() and not Path(program[0], "__main__.py").exists():
        raise GreenscopeError(f"{program[0]!r} is a directory without a __main__.py; give a script, or -m and a module")
    if not gevent:
        return [sys.executable, *program]
    require_gevent()
    return [sys.executable, "-m", "greenscope.integrations.gevent", *program]


def traced_environment(
    directory: Path,
    ring_mb: int | None = None,
    detail: str | None = None,
    stacks: bool = False,
    keep_all: bool = False,
) -> Mapping[str, str]:
    """The environment of a program that is to leave its rings in a directory.

    Args:
        directory: where.
        ring_mb: how large, as of ``--ring-mb``; None leaves that to the environment.
        detail: how much is to be recorded; None leaves that to the environment.
        stacks: whether whole stacks are; False leaves that to the environment.
        keep_all: also the rings of the program's children that ended long ago, however many.
    """
    environment = dict(os.environ, GREENSCOPE_DIR=str(directory))
    environment.pop("GREENSCOPE", None)
    if ring_mb is not None:
        environment["GREENSCOPE_RING_MB"] = str(ring_mb)
    if detail is not None:
        environment["GREENSCOPE_DETAIL"] = detail
    if stacks:
        environment["GREENSCOPE_STACKS"] = "1"
    if keep_all:
        environment.update(GREENSCOPE_KEEP_HOURS="1000000", GREENSCOPE_KEEP_RINGS="1000000")
    return environment


def exit_code(returncode: int) -> int:
    """A child's exit code as a shell gives it: 128 and the signal for one that was killed."""
    return returncode if returncode >= 0 else 128 - returncode


def end_signals() -> list[signal.Signals]:
    """What asks for the end, beside Ctrl-C: SIGTERM, and the terminal's SIGHUP unless nohup has it ignored."""
    return [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]


def run_to_end(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in the foreground.

    It gets the terminal's Ctrl-C itself; what else asks for the end is passed on to it.

    Returns:
        Its exit code.
    """
    with subprocess.Popen(command, env=environment) as child:
        previous = {
            signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
            **{number: signal.signal(number, lambda number, _: child.send_signal(number)) for number in end_signals()},
        }
        try:
            return exit_code(child.wait())
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
