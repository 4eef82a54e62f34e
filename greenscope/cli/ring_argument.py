"""What a command that looks at rings is given: a file, or the number of a process."""

from __future__ import annotations

from pathlib import Path

import click

from greenscope.errors import GreenscopeError
from greenscope.trace.recorder import trace_directory
from greenscope.trace.rings import rings_of

__all__ = ["RingArgument", "rings_at"]


def rings_at(what: str) -> list[Path]:
    """A file, or the rings of all hubs of a process.

    Raises:
        GreenscopeError: it is neither, or the process has none.
    """
    path = Path(what)
    if path.is_file():
        return [path]
    if not (what.isascii() and what.isdecimal()):
        raise GreenscopeError(f"{what!r} is neither the number of a process nor a file")
    return [ring.path for ring in rings_of(trace_directory(create=False), int(what))]


class RingArgument(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A ring's path. A process's number stands for its ring in the trace directory, if no file is called so."""

    name = "ring"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002
        """The path.

        Raises:
            GreenscopeError: the process has no ring, or one for each of several hubs.
        """
        text = str(value)
        path = Path(text)
        if not (text.isascii() and text.isdigit()) or path.exists():
            return path
        rings = rings_of(trace_directory(create=False), int(text))
        if len(rings) > 1:
            files = ", ".join(str(ring.path) for ring in rings)
            raise GreenscopeError(f"process {text} has {len(rings)} rings, one a hub; give one of {files}")
        return rings[0].path
