"""A step in one or two plain sentences, with the reason: "worker-2 called recv() at client.py:14. …"

Pure: the sentences of an event are a function of what was known before it (``Steps``) and of the event. ``turns``,
``things``, ``calls`` and ``notes`` decide what is told; ``english`` and ``chinese`` are tables of how, and have the
same keys with the same places. With less detail recorded, or with events lost, less is said, and nothing guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from string import Formatter

from greenscope.trace.analysis.narrate import calls, notes, things, turns
from greenscope.trace.analysis.narrate.chinese import CHINESE
from greenscope.trace.analysis.narrate.english import ENGLISH
from greenscope.trace.analysis.narrate.phrases import Part, Say, counted
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind
from greenscope.trace.records import Event

__all__ = ["LANGUAGES", "TOLD", "narrate", "narrate_loss", "sentences"]

LANGUAGES: dict[str, dict[str, str]] = {"en": ENGLISH, "zh": CHINESE}
"""Of each language: the words of every key."""

TOLD: dict[int, Callable[[Steps, Event], list[Say]]] = {
    Kind.TEXT: notes.text,
    Kind.GREENLET_SPAWN: turns.spawned,
    Kind.GREENLET_NAME: turns.named,
    Kind.GREENLET_READY: turns.ready,
    Kind.GREENLET_SWITCH: turns.switched,
    Kind.GREENLET_THROW: turns.thrown,
    Kind.GREENLET_PARK: turns.parks,
    Kind.GREENLET_EXIT: turns.exits,
    Kind.WATCHER_OPEN: things.opened,
    Kind.WATCHER_START: things.armed,
    Kind.WATCHER_FIRE: things.fired,
    Kind.WATCHER_STOP: things.stopped,
    Kind.WATCHER_CLOSE: things.closed,
    Kind.WATCHER_REFUSE: things.refused,
    Kind.TIMEOUT_START: things.timeout_started,
    Kind.TIMEOUT_FIRE: things.timeout_fired,
    Kind.TIMEOUT_CANCEL: things.timeout_cancelled,
    Kind.POLL_BEGIN: turns.poll_begins,
    Kind.POLL_END: turns.poll_ends,
    Kind.CALLBACK_BEGIN: things.calls_back,
    Kind.CALLBACK_END: things.called_back,
    Kind.LOOP_EXIT: turns.loop_exits,
    Kind.JOB_PUT: things.job_put,
    Kind.JOB_END: things.job_ended,
    Kind.RESOURCE_ACQUIRE: things.acquired,
    Kind.RESOURCE_RELEASE: things.released,
    Kind.OP_BEGIN: calls.begins,
    Kind.OP_END: calls.ends,
    Kind.SPAN_BEGIN: notes.span_begins,
    Kind.SPAN_END: notes.span_ends,
    Kind.MARK: notes.mark,
    Kind.REQUEST_BEGIN: notes.request_begins,
    Kind.REQUEST_END: notes.request_ends,
    Kind.STALL_BEGIN: notes.stall_begins,
    Kind.STALL_END: notes.stall_ends,
    Kind.DETAIL: notes.detail,
}
"""Of each kind of event: what is told of it."""


def sentences(steps: Steps, event: Event, language: str = "en") -> list[str]:
    """An event in words, a sentence an item.

    Args:
        steps: what was known just before it.
        event: it.
        language: one of ``LANGUAGES``.
    """
    tell = TOLD.get(event.kind)
    told = tell(steps, event) if tell is not None else [Say("unknown", {"kind": str(event.kind)})]
    return [_sentence(one, LANGUAGES[language]) for one in told]


def narrate(steps: Steps, event: Event, language: str = "en") -> str:
    """An event in words, as one text; arguments as of ``sentences``."""
    return LANGUAGES[language]["between"].join(sentences(steps, event, language))


def narrate_loss(records: int, language: str = "en") -> str:
    """That so many records were lost here."""
    return _sentence(counted("lost", records), LANGUAGES[language])


_COMMON = frozenset({"hub", "somebody", "greenlet", "exception", "function.unknown", "fd.unknown"})
"""Parts that begin a sentence with a capital, in a language with spaces and capitals; a name stays as it is."""


def _sentence(say: Say, table: dict[str, str]) -> str:
    text, words = _words(say, table), table[say.key]
    first = say.places.get(words[1 : words.index("}")]) if words.startswith("{") else None
    if not table["between"] or not isinstance(first, Say) or first.key not in _COMMON:
        return text
    return text[:1].upper() + text[1:]


def _words(part: Part, table: dict[str, str]) -> str:
    if isinstance(part, str):
        return part
    text = ""
    for literal, name, _, _ in _FORMAT.parse(table[part.key]):
        text = _joined(text, literal)
        if name is not None:
            text = _joined(text, _words(part.places[name], table))
    return text


_FORMAT = Formatter()


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
