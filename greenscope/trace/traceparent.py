"""W3C's ``traceparent``: which trace a request belongs to, and who called it.

The header of a request that comes in names its caller's span. Ours has a span of its own, and what it calls is
to name that: so what goes on is the same trace with our own number in it. A header that is not as the
specification has it is as if there were none, and a trace begins here.

Source: https://www.w3.org/TR/trace-context/ (version 00, and what it says of later ones).
"""

from __future__ import annotations

import re
from os import urandom
from typing import NamedTuple

from greenscope.trace.ring_layout import MAX_BURST, TEXT_BYTES

__all__ = ["TraceParent", "take_over", "traced"]

_RECORD = (MAX_BURST - 1) * TEXT_BYTES

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED = 1
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class TraceParent(NamedTuple):
    """What a request is in its trace."""

    trace: str
    """The trace's id: 32 hexadecimal digits."""
    span: str
    """Our span's id: 16."""
    flags: int
    parent: str
    """The caller's span's id; empty if the trace begins here."""

    @property
    def header(self) -> str:
        """What those that we call are to get."""
        return f"00-{self.trace}-{self.span}-{self.flags:02x}"

    @property
    def line(self) -> str:
        """What the record of a request says of it."""
        return f"{self.header} {self.parent}" if self.parent else self.header


def take_over(header: str | None) -> TraceParent:
    """Our own place in the trace that a header names; the first one of a new trace, if it names none.

    Args:
        header: ``traceparent`` as it came; None if it did not, or more than once.
    """
    caller = _parse(header) if header else None
    span = urandom(8).hex()
    if caller is None:
        return TraceParent(urandom(16).hex(), span, _SAMPLED, "")
    trace, parent, flags = caller
    return TraceParent(trace, span, flags & _SAMPLED, parent)  # of the others nobody may say what we do not know


def traced(text: bytes, header: str | None) -> tuple[bytes, TraceParent]:
    """What the record of a request says, with its place in its trace.

    Args:
        text: its id and what it asks for, a line each; cut where there is no room for all.
        header: as for ``take_over``.
    """
    trace = take_over(header)
    line = trace.line.encode()
    return b"%b\n%b" % (text[: _RECORD - 1 - len(line)], line), trace


def _parse(header: str) -> tuple[str, str, int] | None:
    match = _HEADER.fullmatch(header.strip(" \t"))
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    # A later version may say more; this one must not, and ff is none.
    if version == "ff" or (version == "00" and more) or trace == _NO_TRACE or span == _NO_SPAN:
        return None
    return trace, span, int(flags, 16)
