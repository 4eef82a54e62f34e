"""The lessons' words in Simplified Chinese; keys and places are those of ``english``, terms those of ``narrate``."""

from __future__ import annotations

from greenscope.learn.chinese.alone import ALONE
from greenscope.learn.chinese.own import OWN
from greenscope.learn.chinese.together import TOGETHER

__all__ = ["CHINESE"]

CHINESE: dict[str, str] = {
    "unknown": "（没有记录）",
    "unknown.line": "某一行（没有记录）",
    **ALONE,
    **TOGETHER,
    **OWN,
}
