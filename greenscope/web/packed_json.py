"""JSON in which what is the same is there once: for a page that holds a whole recording, step by step.

A frame is like the one before it but for a line or two, and in the other language but for its words. So a value is
written as its parts, each once, in an order in which parts come before what they are parts of. ``frontend/src/model/
packed.ts`` is the way back.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["in_script", "packed"]

_ARRAY = -1


def packed(value: Any) -> dict[str, Any]:
    """A value that JSON can hold, as ``shapes`` (the keys of objects) and ``parts``, of which the last is the value.

    A part is a plain value, or a list: the shape's number, or -1 for an array, and the places of its own parts.
    """
    packing = _Packing()
    packing.place(value)
    return {"shapes": [list(shape) for shape in packing.shapes], "parts": packing.parts}


class _Packing:
    def __init__(self) -> None:
        self.shapes: dict[tuple[str, ...], int] = {}
        self.parts: list[Any] = []
        self._places: dict[Any, int] = {}

    def place(self, value: Any) -> int:
        """Where a value is among the parts."""
        if isinstance(value, dict):
            shape = self.shapes.setdefault(tuple(value), len(self.shapes))
            part: Any = (shape, *map(self.place, value.values()))
        elif isinstance(value, list | tuple):
            part = (_ARRAY, *map(self.place, value))
        else:
            part = value
        key = (type(part), part)  # True == 1 == 1.0
        if key not in self._places:
            self._places[key] = len(self.parts)
            self.parts.append(list(part) if isinstance(part, tuple) else part)
        return self._places[key]


_ESCAPED = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def in_script(value: Any) -> str:
    """JSON that may stand in a ``<script>`` of a page: nothing in it begins or ends anything there."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED).encode("utf-8", "replace").decode("utf-8")
