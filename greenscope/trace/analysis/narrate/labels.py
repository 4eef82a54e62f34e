"""Labels rather than sentences: what a greenlet waits for, why one is ready, what kind of a thing an event is about."""

from __future__ import annotations

from typing import Any

from greenscope.trace import events
from greenscope.trace.analysis.narrate.phrases import Part, Say, of_watcher, waits_for, who
from greenscope.trace.analysis.narrate.wording import words
from greenscope.trace.analysis.states import LABELS
from greenscope.trace.analysis.step_parts import Parked
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import EVENT_KINDS, Ready, Wait, Watch

__all__ = ["kind_of", "reason_of", "waits", "why_ready"]

_REASONS: dict[int, Any] = {
    kind: getattr(events, doc.reason) for kind, doc in EVENT_KINDS.items() if doc.reason.isidentifier()
}
_FIRED: dict[int, str] = {
    Watch.READ: "why.read",
    Watch.WRITE: "why.write",
    Watch.TIMER: "why.timer",
    Watch.SIGNAL: "why.signal",
    Watch.CHILD: "why.child",
}
_MADE: dict[int, str] = {
    Ready.GREENLET: "why.woken",
    Ready.SPAWN: "why.started",
    Ready.KILL: "why.killed",
    Ready.CLOSE: "why.closed",
}


def kind_of(kind: int) -> str:
    """A kind of event by its name: "greenlet_park"."""
    doc = EVENT_KINDS.get(kind)  # type: ignore[call-overload]
    return str(doc.name) if doc is not None else f"kind_{kind}"


def reason_of(kind: int, reason: int) -> str | None:
    """The reason of an event in a word: "read"; None for a kind that has none."""
    if kind not in _REASONS:
        return None
    if _REASONS[kind] is Wait:
        return LABELS.get(reason, str(reason))
    try:
        return str(_REASONS[kind](reason).name).lower()
    except ValueError:
        return str(reason)


def waits(steps: Steps, wait: Parked, table: dict[str, str]) -> str:
    """What a greenlet waits for: "to read from fd 7"."""
    return words(waits_for(steps, wait), table)


def why_ready(steps: Steps, number: int, table: dict[str, str]) -> str:
    """Why a greenlet is ready: "fd 7 can be read"; "" of one that is not."""
    awake = steps.greenlet(number).awake
    if awake is None:
        return ""
    by: dict[str, Part] = {"by": who(steps, awake.by)}
    if awake.reason == Ready.WATCHER:
        watched = steps.watchers.get(awake.by)
        key = _FIRED.get(watched.watch, "why.fired") if watched is not None else "why.fired"
        fd: dict[str, Part] = {"fd": of_watcher(steps, awake.by)}
        said = Say(key, fd if key in ("why.read", "why.write") else {})
    elif awake.reason == Ready.TIMEOUT:
        said = Say("why.timeout")
    elif awake.reason == Ready.YIELD:
        said = Say("why.gave_way")
    else:
        said = Say(_MADE[awake.reason], by) if awake.reason in _MADE and awake.by else Say("why.other")
    return words(said, table)
