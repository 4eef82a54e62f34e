"""Names and peers, each kept once and known by a number, so that columns can hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Texts"]

_ROOM = 1 << 16  # so many may come before those that nobody uses any more are looked for


class Texts:
    """Texts by number; 0 is the empty one, 1 is "?"."""

    def __init__(self) -> None:
        self._texts = ["", "?"]
        self._numbers = {"": 0, "?": 1}
        self._limit = _ROOM

    def __getitem__(self, number: int) -> str:
        return self._texts[number]

    def __len__(self) -> int:
        return len(self._texts)

    def number(self, text: str) -> int:
        """The number of a text, from now on."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return number

    @property
    def full(self) -> bool:
        """Whether it is time to ask which are still used."""
        return len(self._texts) > self._limit

    def keep(self, columns: Iterable[npt.NDArray[Any]]) -> None:
        """Drop what none of these columns names. They are all there are, and are changed to the new numbers."""
        columns = list(columns)
        used = np.zeros(len(self._texts), bool)
        used[:2] = True
        for column in columns:
            used[column] = True
        numbers = np.cumsum(used, dtype=np.uint32) - np.uint32(1)
        for column in columns:
            column[...] = numbers[column]
        self._texts = [text for text, is_used in zip(self._texts, used.tolist(), strict=True) if is_used]
        self._numbers = {text: number for number, text in enumerate(self._texts)}
        self._limit = 2 * len(self._texts) + _ROOM
