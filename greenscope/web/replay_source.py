"""The source of a program, for its replay: read where the viewer runs, and only if it is what ran.

A recording is anybody's: it may name any file. Only regular files that are called ``.py`` are opened, and so much of
them is read as is shown. One that was changed, or put in the place of another, since the recording began is not shown,
nor one of another machine's recording: a line that is not the one that ran is worse than none.
"""

from __future__ import annotations

import io
import os
import socket
import stat
import tokenize
from pathlib import Path

from greenscope.trace.analysis.narrate import LANGUAGES

__all__ = ["source_of"]

_LARGEST = 1 << 20


class _NotShown(Exception):
    """Why a file is not shown: a key of the tables of words."""


def source_of(file: str, began_wall_ns: int, host: str, room: int, language: str) -> tuple[str | None, str | None]:
    """A file's text, or why there is none.

    Args:
        file: its name, as the recording has it.
        began_wall_ns: when the recording began, by the wall clock.
        host: on which machine, by the beginning of its name.
        room: for how many characters more there is room.
        language: of the reason.
    """
    try:
        if not socket.gethostname().startswith(host):
            raise _NotShown("file.elsewhere")
        text = _decoded(_read(file, began_wall_ns))
        if len(text) > room:
            raise _NotShown("file.room")
    except _NotShown as reason:
        return None, LANGUAGES[language][str(reason)]
    return text, None


def _read(file: str, began_wall_ns: int) -> bytes:
    if not file.endswith(".py"):
        raise _NotShown("file.other")
    if not Path(file).is_absolute():
        raise _NotShown("file.relative")
    try:
        found = Path(file).stat()
        if not stat.S_ISREG(found.st_mode):
            raise _NotShown("file.irregular")
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise _NotShown("file.gone") from None
    except (OSError, ValueError):
        raise _NotShown("file.unreadable") from None
    with open(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):  # another one took its place
            raise _NotShown("file.irregular")
        if max(found.st_mtime_ns, found.st_ctime_ns) > began_wall_ns:  # an older one may have been put in its place
            raise _NotShown("file.changed")
        try:
            data = opened.read(_LARGEST + 1)
        except OSError:
            raise _NotShown("file.unreadable") from None
    if len(data) > _LARGEST:
        raise _NotShown("file.large")
    return data


def _decoded(data: bytes) -> str:
    """As the interpreter reads it: by its byte order mark or its coding line."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return io.TextIOWrapper(io.BytesIO(data), encoding, newline=None).read()
    except (SyntaxError, UnicodeError, LookupError):
        raise _NotShown("file.coding") from None
