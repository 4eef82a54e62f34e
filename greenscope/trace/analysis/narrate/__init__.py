"""A step in one or two plain sentences, with the reason: "worker-2 called recv() at client.py:14. …"

Pure: the sentences of an event are a function of what was known before it (``Steps``) and of the event. ``turns``,
``things``, ``calls`` and ``notes`` decide what is told; ``english`` and ``chinese`` are tables of how, and have the
same keys with the same places. With less detail recorded, or with events lost, less is said, and nothing guessed.
"""

from __future__ import annotations

from collections.abc import Callable

from greenscope.trace.analysis.narrate import calls, notes, things, turns
from greenscope.trace.analysis.narrate.phrases import Say, counted
from greenscope.trace.analysis.narrate.wording import LANGUAGES, sentence
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind
from greenscope.trace.records import Event

__all__ = ["LANGUAGES", "TOLD", "narrate", "narrate_loss", "sentences"]

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
    return [sentence(one, LANGUAGES[language]) for one in told]


def narrate(steps: Steps, event: Event, language: str = "en") -> str:
    """An event in words, as one text; arguments as of ``sentences``."""
    return LANGUAGES[language]["between"].join(sentences(steps, event, language))


def narrate_loss(records: int, language: str = "en") -> str:
    """That so many records were lost here."""
    return sentence(counted("lost", records), LANGUAGES[language])
