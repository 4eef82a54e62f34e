"""The table of ``greenscope top``: which rows, in which order, in which columns, how wide.

Nothing here draws. There may be ten thousand rows a second: what is made for every row is a few microseconds'
work, and texts are made only for those on the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from greenscope.cli.ps_text import COLUMNS, cells_of
from greenscope.cli.top_look import Hub
from greenscope.cli.words import line_of
from greenscope.trace.analysis.table import SORTS, Row, waiting_on

__all__ = ["SORT_COLUMNS", "Entry", "Order", "Widths", "arranged", "texts"]

SORT_COLUMNS = {
    "state": "State",
    "since": "For",
    "name": "Greenlet",
    "on": "Waiting on",
    "line": "Line",
    "deadline": "Until",
    "switches": "Switches",
    "run-time": "Run time",
}
"""The column that a sort of ``SORTS`` goes by, in the order in which a key goes round them."""

_ELASTIC = ("Greenlet", "Waiting on", "Line")  # what is cut where there is no room
_EXTRA = ("Switches", "Run time")  # what is left out where there is little
_EXTRA_FROM = 116
_NARROWEST = 9


class Entry(NamedTuple):
    """A row, and whose it is."""

    hub: Hub
    row: Row

    @property
    def key(self) -> tuple[int, int]:
        """Which greenlet of the process it is."""
        return self.hub.number, self.row.greenlet


class Order(NamedTuple):
    """Which rows are shown, and how.

    Args:
        sort: a key of ``SORTS``.
        backwards: from the other end.
        words: what they are to have, all of these, in any case; empty for all rows.
    """

    sort: str = "state"
    backwards: bool = False
    words: str = ""


def arranged(hubs: Iterable[Hub], order: Order) -> list[Entry]:
    """The rows of some hubs that are to be shown, in order."""
    words = order.words.lower().split()
    entries = [Entry(hub, row) for hub in hubs for row in hub.view.rows]
    if words:
        entries = [entry for entry in entries if _has(entry.row, words)]
    key = SORTS[order.sort]
    return sorted(entries, key=lambda entry: key(entry.row), reverse=order.backwards)


def _has(row: Row, words: Sequence[str]) -> bool:
    text = f"{row.name}\n{row.state}\n{waiting_on(row)}\n{line_of(row.site)}".lower()
    return all(word in text for word in words)


def texts(entry: Entry, several: bool, short: bool) -> dict[str, str]:
    """A row's texts by column; ``several``: with the hub's number, as there is more than one."""
    found = dict(zip(COLUMNS, cells_of(entry.hub.view, entry.row, short), strict=True))
    found["Hub"] = str(entry.hub.number) if several else ""
    return found


class Widths:
    """How wide each column is: as wide as what was shown so far, so that columns do not move about."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def forget(self) -> None:
        """Begin anew: something else is shown."""
        self._seen.clear()

    def fit(self, rows: Sequence[dict[str, str]], order: Order, room: int) -> tuple[dict[str, int], int]:
        """The columns that are shown, with their widths, and how many blanks are between two.

        Args:
            rows: the texts on the screen.
            order: what they are sorted by is always among them.
            room: cells that there are.
        """
        for name in COLUMNS:
            longest = max((cell_len(row[name]) for row in rows), default=0)
            self._seen[name] = max(self._seen.get(name, 0), longest)
        by = SORT_COLUMNS[order.sort]
        widths = {name: max(self._seen[name], len(name) + 2 * (name == by)) for name in COLUMNS}
        for name in ("Hub", "Until"):
            if not self._seen[name] and name != by:
                del widths[name]
        if room < _EXTRA_FROM:
            for name in _EXTRA:
                if name != by:
                    del widths[name]
        gap = 2 if sum(widths.values()) + 2 * (len(widths) - 1) <= room else 1
        while sum(widths.values()) + gap * (len(widths) - 1) > room:
            widest = max(_ELASTIC, key=widths.__getitem__)
            if widths[widest] <= _NARROWEST:
                break
            widths[widest] -= 1
        return widths, gap
