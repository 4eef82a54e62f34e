"""The lessons' words in English; keys begin with the lesson's name, places are what a passage or a question gives."""

from __future__ import annotations

from greenscope.learn.english.alone import ALONE
from greenscope.learn.english.own import OWN
from greenscope.learn.english.together import TOGETHER

__all__ = ["ENGLISH"]

ENGLISH: dict[str, str] = {
    "unknown": "(not recorded)",
    "unknown.line": "a line that was not recorded",
    **ALONE,
    **TOGETHER,
    **OWN,
}
