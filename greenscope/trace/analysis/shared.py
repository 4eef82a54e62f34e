"""A mapping by number that is cheap to copy: copies share what neither of them has changed since.

A replay keeps hundreds of copies of what is known, each of which knows the names of tens of thousands of greenlets,
and differs from the one before in a few. Numbers are serial: those that come together are in one page, and only pages
that were written to since the last copy are there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Self, TypeVar, overload

__all__ = ["Shared"]

_BITS = 7  # numbers of a page
V = TypeVar("V")
T = TypeVar("T")


class Shared(MutableMapping[int, V]):
    """As a ``dict``, in the order of its pages."""

    __slots__ = ("_count", "_own", "_pages")

    def __init__(self) -> None:
        self._pages: dict[int, dict[int, V]] = {}
        self._own: set[int] = set()  # the pages that no copy has
        self._count = 0

    def copy(self) -> Self:
        """The same, to be changed by itself."""
        other = object.__new__(type(self))
        other._pages, other._count = self._pages.copy(), self._count
        other._own, self._own = set(), set()
        return other

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for page in self._pages.values():
            yield from page

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number in self._pages.get(number >> _BITS, ())

    def __getitem__(self, number: int) -> V:
        return self._pages[number >> _BITS][number]

    @overload
    def get(self, number: int, /) -> V | None: ...
    @overload
    def get(self, number: int, default: V | T, /) -> V | T: ...
    def get(self, number: int, default: V | T | None = None, /) -> V | T | None:
        """As of a ``dict``."""
        page = self._pages.get(number >> _BITS)
        return page.get(number, default) if page is not None else default

    def __setitem__(self, number: int, value: V) -> None:
        page = self._page(number >> _BITS)
        self._count += number not in page
        page[number] = value

    def __delitem__(self, number: int) -> None:
        if number not in self:
            raise KeyError(number)
        key = number >> _BITS
        page = self._page(key)
        del page[number]
        self._count -= 1
        if not page:
            del self._pages[key]

    def _page(self, key: int) -> dict[int, V]:
        """A page to write to."""
        page = self._pages.get(key)
        if page is None or key not in self._own:
            page = self._pages[key] = dict(page or ())
            self._own.add(key)
        return page

    @property
    def entries(self) -> int:
        """How many entries a copy has of its own, at most, by the time of the next one."""
        return len(self._pages) + min(len(self._own) << _BITS, self._count)
