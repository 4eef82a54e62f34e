"""Where in a page the bar goes: before its last ``</body>``.

HTML may leave that out, and frameworks' own pages for errors do: what begins as a document (``<!doctype html>``,
``<html>``) has the bar at its end then, which browsers take as if it were in the body. A fragment, such as a
script fetches, is not touched. Of a page that is streamed nothing is kept back but an end that looks like one:
``</body>``, white space, ``</html>``. If something comes after it all the same, it goes out at once, and the bar
comes at the end.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from greenscope.web.middleware.plan import MOST

__all__ = ["Stream", "insert"]

_END = b"</body"
_AFTER = frozenset((b"", b">", b"/", b" ", b"\t", b"\n", b"\r", b"\f"))
_TAIL = re.compile(rb"</body(?:\s[^>]*)?(?:>\s*(?:<(?:/(?:h(?:t(?:m(?:l(?:\s*(?:>\s*)?)?)?)?)?)?)?)?)?", re.IGNORECASE)
# Possessive: comments can be parted in as many ways as there are subsets of them, and one is enough.
_DOCUMENT = re.compile(rb"(?is)(?:\xef\xbb\xbf)?(?:\s|<!--.*?-->)*+(?:<!doctype\s+html|<html[\s>])")
_BEGINNING = 1 << 10  # bytes of a page in which it says what it is
_POLICY = b"content-security-policy"  # in a <meta>: what it forbids is not looked into


def insert(page: bytes, encoding: str, bar: Callable[[], bytes]) -> bytes | None:
    """A whole page with the bar in it; None if it has no place for one.

    Args:
        page: as it is sent.
        encoding: how it is compressed: ``gzip``, ``deflate`` or not at all.
        bar: makes the bar.
    """
    if encoding:
        text = _unpacked(page, encoding)
        changed = None if text is None else insert(text, "", bar)
        return None if changed is None else _packed(changed, encoding)
    small = page.lower()
    at = _last_end(small)
    if at < 0 and _DOCUMENT.match(page[:_BEGINNING]):
        at = len(page)
    if at < 0 or _POLICY in small:
        return None
    return b"%b%b%b" % (page[:at], bar(), page[at:])


class Stream:
    """A page that goes by in pieces.

    Args:
        bar: makes the bar, when its place has come.
    """

    __slots__ = ("_bar", "_begun", "_forbidden", "_held", "_seen")

    def __init__(self, bar: Callable[[], bytes]) -> None:
        self._bar = bar
        self._begun = b""
        self._held = b""
        self._seen = False
        self._forbidden = False

    def feed(self, data: bytes) -> bytes:
        """What of the page may go out, now that this has come."""
        if len(self._begun) < _BEGINNING:
            self._begun = (self._begun + data)[:_BEGINNING]
        data = self._held + data
        small = data.lower()
        if _POLICY in small:
            self._forbidden = True
        at = _last_end(small)
        if at >= 0:
            self._seen = self._seen or len(small) > at + len(_END)  # else what follows may make it another word
            if _TAIL.fullmatch(data, at):
                self._held = data[at:]
                return data[:at]
        kept = _beginning(small)
        self._held = data[len(data) - kept :] if kept else b""
        return data[: len(data) - kept] if kept else data

    def finish(self) -> bytes:
        """The rest, with the bar before it, or after it, if the page ended elsewhere than it should."""
        bar = b"" if self._forbidden or not self._ends() else self._bar()
        held, self._held = self._held, b""
        return bar + held if held.lower().startswith(_END) else held + bar

    def _ends(self) -> bool:
        seen, self._seen = self._seen, False
        return seen or self._held.lower().startswith(_END) or _DOCUMENT.match(self._begun) is not None

    def abandon(self) -> bytes:
        """The rest, without a bar."""
        held, self._held = self._held, b""
        return held


def _last_end(small: bytes) -> int:
    """Where the last ``</body>`` begins, though it may not be whole; -1 if there is none."""
    at = small.rfind(_END)
    while at >= 0 and small[at + len(_END) : at + len(_END) + 1] not in _AFTER:
        at = small.rfind(_END, 0, at)
    return at


def _beginning(small: bytes) -> int:
    """How many bytes of an end of a page ``small`` ends with."""
    for length in range(min(len(_END) - 1, len(small)), 0, -1):
        if _END.startswith(small[-length:]):
            return length
    return 0


def _unpacked(data: bytes, encoding: str) -> bytes | None:
    """None, if it is no such thing, or too much."""
    # A deflate is zlib's format by its name, and bare by some servers' habit: the latter is left alone.
    unpack = zlib.decompressobj(31 if encoding == "gzip" else 15)
    try:
        text = unpack.decompress(data, MOST)
    except zlib.error:
        return None
    return text if unpack.eof and not unpack.unused_data and not unpack.unconsumed_tail else None


def _packed(text: bytes, encoding: str) -> bytes:
    pack = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    return pack.compress(text) + pack.flush()
