"""The lessons' words in Simplified Chinese; keys and places are those of ``english``, terms those of ``narrate``."""

from __future__ import annotations

from greenscope.learn.chinese.alone import ALONE
from greenscope.learn.chinese.own import OWN
from greenscope.learn.chinese.together import TOGETHER

__all__ = ["CHINESE"]

CHINESE: dict[str, str] = {**ALONE, **TOGETHER, **OWN}
