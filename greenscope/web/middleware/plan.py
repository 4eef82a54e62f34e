"""What may be done to a response: whether a page may get a bar, and how its headers change when it does.

A response is left as it is unless it is certain that it is a whole page of HTML for a person: 200 or an error, its
own method GET or POST and not HEAD, not a part (206), not empty (204, 304), in a charset that has ASCII's bytes, not
compressed in a way that we cannot undo, and without a digest of its bytes. A Content-Security-Policy is honoured: the
bar has no script, and needs one inline style, for which it uses the policy's nonce, if there is one.

A page with a bar is another one each time, so its ETag becomes a weak one: conditional requests go on working, and a
page that is taken from the browser's cache has the bar of the request that made it, which says when that was.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Insert", "Plan", "plan_of", "with_bar"]

MOST = 4 << 20
"""Bytes of a page with a Content-Length, or compressed, that gets a bar: it is kept whole until its end is seen."""

Header = tuple[str, str]

_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_UNTOUCHED = frozenset({"content-range", "content-md5", "digest", "content-digest", "repr-digest"})
_FRAMES = frozenset({"iframe", "frame", "embed", "object"})
_NOT_ASCII = re.compile(r"utf.?(7|16|32)|iso.?2022|hz|ucs|ebcdic|cp(037|1026|500|1140)", re.IGNORECASE)
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'")


class Insert(Enum):
    """How a bar gets into a page."""

    NOT = "not at all"
    WHOLE = "its length is said: kept until all of it is there"
    STREAM = "as it goes by"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to a response."""

    insert: Insert
    length: int = 0
    """Its Content-Length, if it is kept whole."""
    encoding: str = ""
    """gzip or deflate; empty if it is not compressed."""
    nonce: str = ""
    """What the style needs to be allowed."""
    drop_length: bool = False
    """It has no body; and the Content-Length would be that of a page without a bar."""


_LEFT = Plan(Insert.NOT)


def plan_of(method: str, status: int, headers: Iterable[Header], destination: str = "") -> Plan:
    """What may be done to a response.

    Args:
        method: the request's.
        status: the response's.
        headers: the response's.
        destination: ``Sec-Fetch-Dest`` of the request: a page within a page gets no bar.
    """
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    if status < 200 or status in {204, 205, 206, 304} or destination in _FRAMES or not _UNTOUCHED.isdisjoint(found):
        return _LEFT
    encoding = ",".join(found.get("content-encoding", [])).strip().lower()
    lengths = found.get("content-length", [])
    if not _is_page(found) or encoding not in _ENCODINGS or len(lengths) > 1:
        return _LEFT
    nonce = _style_nonce(found.get("content-security-policy", []))
    if nonce is None:
        return _LEFT
    if method == "HEAD":
        return Plan(Insert.NOT, drop_length=True)
    encoding = {"identity": "", "x-gzip": "gzip"}.get(encoding, encoding)
    if not lengths:  # what is compressed and streamed would have to be kept to its end
        return Plan(Insert.STREAM, nonce=nonce) if not encoding else _LEFT
    length = lengths[0].strip()
    if not (length.isascii() and length.isdecimal()) or not 0 < int(length[:12]) <= MOST:
        return _LEFT
    return Plan(Insert.WHOLE, int(length), encoding, nonce)


def with_bar(headers: Iterable[Header], length: int | None) -> list[Header]:
    """The headers of a page that has a bar.

    Args:
        headers: without it.
        length: in bytes, with it; None if that is not known.
    """
    changed: list[Header] = []
    for name, value in headers:
        key = name.lower()
        if key == "content-length":
            if length is not None:
                changed.append((name, str(length)))
        elif key == "etag":
            changed.append((name, value if value.startswith("W/") else f"W/{value}"))
        elif key != "accept-ranges":  # parts would be of the page without it
            changed.append((name, value))
    return changed


def _is_page(found: dict[str, list[str]]) -> bool:
    types = found.get("content-type", [])
    kind, *parameters = types[0].split(";") if len(types) == 1 else ("",)
    if kind.strip().lower() != "text/html":
        return False
    disposition = found.get("content-disposition", ["inline"])[0]
    if disposition.partition(";")[0].strip().lower() == "attachment":
        return False
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and not _has_ascii(value.strip().strip("\"'")):
            return False
    return True


def _has_ascii(charset: str) -> bool:
    """Whether ASCII's characters are the same bytes in it, wherever they are."""
    try:
        return _NOT_ASCII.match(codecs.lookup(charset).name) is None
    except (LookupError, ValueError):
        return False


def _style_nonce(policies: list[str]) -> str | None:
    """What a ``style`` element needs so that every policy allows it: a nonce, or nothing ("").

    Returns:
        None, if one of them allows none.
    """
    nonces: set[str] = set()
    for policy in (one for value in policies for one in value.split(",")):
        directives: dict[str, str] = {}
        for directive in policy.split(";"):
            name, _, sources = directive.strip().partition(" ")
            directives.setdefault(name.lower(), sources)
        governing = next((n for n in ("style-src-elem", "style-src", "default-src") if n in directives), None)
        if governing is None:
            continue
        sources = directives[governing]
        nonce = _NONCE.search(sources)
        if nonce is not None:
            nonces.add(nonce[1])
        elif "'unsafe-inline'" not in sources.lower() or "'sha" in sources.lower():  # a hash takes the word's effect
            return None
    if len(nonces) > 1:
        return None
    return nonces.pop() if nonces else ""
