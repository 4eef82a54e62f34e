"""Tables as plain text: columns two spaces apart, numbers to the right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

__all__ = ["laid_out", "widths_of"]

Cells = Sequence[str]


def widths_of(table: Sequence[Cells]) -> list[int]:
    """How wide each column is."""
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def laid_out(table: Sequence[Cells], widths: Sequence[int], numeric: Collection[int]) -> Iterator[str]:
    """The lines of a table; a column without a width is left out, a text that is too long is cut.

    Args:
        table: rows of cells.
        widths: of the columns.
        numeric: the columns of numbers.
    """
    columns = [(index, width) for index, width in enumerate(widths) if width]
    for cells in table:
        texts = []
        for index, width in columns:
            text = cells[index] if len(cells[index]) <= width else cells[index][: width - 1] + "…"
            texts.append(text.rjust(width) if index in numeric else text.ljust(width))
        yield "  ".join(texts).rstrip()
