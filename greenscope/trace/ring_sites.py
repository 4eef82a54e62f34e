"""Strings and call sites, in Python: the twin of ``_sites.c``.

Both sections only grow. A text is interned once; a call site, a place in a code object, is worked out once and
found again by the code's address. With its callers a site is a whole stack, and each stack's sites are its own.
A base of ``ring_python.Ring``, whose buffer it writes.
"""

from __future__ import annotations

import struct
import sys
from types import CodeType, FrameType
from typing import TYPE_CHECKING

from greenscope.trace.ring_layout import SITE, STACK_FRAMES, padded4, write_field

if TYPE_CHECKING:
    from greenscope.trace.ring_space import Section

__all__ = ["Sites"]


class Sites:
    """What an event's numbers stand for.

    Args:
        buffer: the file, whose sections of strings and sites are empty.
        internal, plumbing: as for ``Ring``.
    """

    if TYPE_CHECKING:
        _buffer: memoryview
        _detached: bool
        _strings_at: Section
        _sites_at: Section

        def _has_room(self, section: Section, end: int) -> bool: ...
        def _count_lost(self, counter: str) -> None: ...

    def __init__(self, buffer: memoryview, internal: tuple[str, ...], plumbing: tuple[str, ...]) -> None:
        self._internal = internal
        self._plumbing = plumbing
        self._string_used = 4  # string 0 is empty
        self._site_count = 1  # site 0 is unknown
        self._strings: dict[str, int] = {"": 0}
        # The code too: its address is not reused. The caller is None for a site without its callers.
        self._sites: dict[tuple[int, int, int | None], tuple[int, CodeType]] = {}
        write_field(buffer, "string_used", self._string_used)
        write_field(buffer, "site_count", self._site_count)

    def string(self, text: str) -> int:
        """The id of a text, 0 when there is no room for it."""
        if text.__class__ is not str:
            text = str.__str__(text)  # a class of strings may have a hash of its own, which may do anything
        found = self._strings.get(text)
        if found is not None:
            return found
        data = text.encode("utf-8", "replace")
        used = self._string_used
        if self._detached or not self._has_room(self._strings_at, used + 4 + padded4(len(data))):
            self._count_lost("strings_lost")
            return 0
        at = self._strings_at.offset + used
        struct.pack_into("<I", self._buffer, at, len(data))
        self._buffer[at + 4 : at + 4 + len(data)] = data
        self._string_used = used + 4 + padded4(len(data))
        write_field(self._buffer, "string_used", self._string_used)
        self._strings[text] = used
        return used

    def site(self, code: CodeType, lasti: int) -> int:
        """The site of a place in a code object, wherever its frame is; see ``park_there``.

        Returns:
            0 if the code is our own or there is no room; negative if one had rather have another (plumbing).
        """
        if self._detached or code.co_filename.startswith(self._internal):
            return 0
        site = self._site_at(code, lasti, None, None)
        return -site if code.co_filename.startswith(self._plumbing) else site

    def _site(self) -> int:
        """The first frame that is neither our own nor plumbing; if there is none, the first that is not our own."""
        second_best = 0
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if not frame.f_code.co_filename.startswith(self._internal):
                site = self._site_of(frame, None)
                if not frame.f_code.co_filename.startswith(self._plumbing):
                    return site
                second_best = second_best or site
            frame = frame.f_back
        return second_best

    def _stack(self) -> int:
        """The same site with all that called it; of a deeper stack the outermost frames are left out."""
        frames: list[FrameType] = []
        first: int | None = None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and len(frames) < STACK_FRAMES:
            if not frame.f_code.co_filename.startswith(self._internal):
                if first is None and not frame.f_code.co_filename.startswith(self._plumbing):
                    first = len(frames)
                frames.append(frame)
            frame = frame.f_back
        site = 0
        for one in reversed(frames[first or 0 :]):
            site = self._site_of(one, site)
        return site

    def _site_of(self, frame: FrameType, caller: int | None) -> int:
        return self._site_at(frame.f_code, frame.f_lasti, caller, frame.f_lineno)

    def _site_at(self, code: CodeType, lasti: int, caller: int | None, line: int | None) -> int:
        key = id(code), lasti, caller  # equal code may be of another file
        known = self._sites.get(key)
        if known is not None:
            return known[0]
        if self._detached or not self._has_room(self._sites_at, (self._site_count + 1) * SITE.size):
            self._count_lost("sites_lost")
            return 0
        file, function = self.string(code.co_filename), self.string(code.co_qualname)
        if line is None:
            line = next((number for start, end, number in code.co_lines() if start <= lasti < end), None)
        site = self._site_count
        at = self._sites_at.offset + site * SITE.size
        SITE.pack_into(self._buffer, at, file, function, line or 0, caller or 0)
        self._site_count += 1
        write_field(self._buffer, "site_count", self._site_count)
        self._sites[key] = site, code
        return site
