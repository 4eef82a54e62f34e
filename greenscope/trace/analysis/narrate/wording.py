"""Parts of sentences as text, in a language: what is put together here, the tables have the pieces of."""

from __future__ import annotations

from functools import lru_cache
from string import Formatter

from greenscope.trace.analysis.narrate.chinese import CHINESE
from greenscope.trace.analysis.narrate.english import ENGLISH
from greenscope.trace.analysis.narrate.phrases import Part, Say

__all__ = ["LANGUAGES", "sentence", "words"]

LANGUAGES: dict[str, dict[str, str]] = {"en": ENGLISH, "zh": CHINESE}
"""Of each language: the words of every key."""

_COMMON = frozenset({"hub", "somebody", "greenlet", "exception", "function.unknown", "fd.unknown"})
"""Parts that begin a sentence with a capital, in a language with spaces and capitals; a name stays as it is."""


def sentence(say: Say, table: dict[str, str]) -> str:
    """A whole sentence."""
    text, pattern = words(say, table), table[say.key]
    first = say.places.get(pattern[1 : pattern.index("}")]) if pattern.startswith("{") else None
    if not table["between"] or not isinstance(first, Say) or first.key not in _COMMON:
        return text
    return text[:1].upper() + text[1:]


def words(part: Part, table: dict[str, str]) -> str:
    """A part of one, or a label."""
    if isinstance(part, str):
        return part
    spaced = table.get("between")  # sentences have spaces between them, and so words have, too: in their table
    text = ""
    for literal, name in _pieces(table[part.key]):
        text = text + literal if spaced else _joined(text, literal)
        if name is not None:
            said = words(part.places[name], table)
            text = text + said if spaced else _joined(text, said)
    return text


@lru_cache(maxsize=1 << 10)  # of all languages there are some hundreds
def _pieces(pattern: str) -> list[tuple[str, str | None]]:
    return [(literal, name) for literal, name, _, _ in Formatter().parse(pattern)]


def _joined(left: str, right: str) -> str:
    """Two pieces of a sentence. Chinese has a space beside a Latin word, and none between its own characters."""
    ends, begins = left.rstrip(" ")[-1:], right.lstrip(" ")[:1]
    if _is_wide(ends) and _is_wide(begins):
        return left.rstrip(" ") + right.lstrip(" ")
    if (_is_han(ends) and _is_latin(begins)) or (_is_latin(ends) and _is_han(begins)):
        return f"{left.rstrip(' ')} {right.lstrip(' ')}"
    return left + right


def _is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def _is_wide(character: str) -> bool:
    """A Chinese character or mark: these need no space between them."""
    return _is_han(character) or "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uff60"


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
