"""Nothing was left to wake anyone: ``LoopExit`` was raised in the main greenlet, and mostly ended the program.

Whose wait that came down to was recorded then; who else waited, the lanes say. Where those wait for one another in
a circle, or for somebody who is gone, that is the cause, and told as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from greenscope.trace.analysis.diagnoses.deadlock import Deadlock
from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.orphan_wait import OrphanWait
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.loop_exits import LoopExitSeen
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.states import LABELS, State
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import Wait

__all__ = ["LoopExit"]

_NAMED = 5
_WHAT = {
    Wait.OTHER: "to be woken",
    Wait.LOCK: "for a lock",
    Wait.QUEUE: "for a queue",
    Wait.EVENT: "for an event",
    Wait.JOIN: "for an end",
}


class LoopExit(Diagnosis):
    """``loop-exit``: those that came down to a wait at one line."""

    id = "loop-exit"
    severity = Severity.CRITICAL
    advice = (
        "Whoever is to wake it ended, or was never started, or waits itself: start it, and let it set, put or release"
        " also when it fails; or give the wait a timeout, which is something that can wake it."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        at_line: dict[int, list[LoopExitSeen]] = {}
        for seen in model.loop_exits.kept:
            at_line.setdefault(seen.site or -seen.greenlet, []).append(seen)
        if not at_line:
            return
        causes = chain(Deadlock().check(model), OrphanWait().check(model))
        explained = {who.id for cause in causes for who in (cause.greenlet, *cause.others) if who is not None}
        for same in at_line.values():
            if not {seen.greenlet for seen in same} & explained:
                yield self._finding(model, same)

    def _finding(self, model: Model, same: list[LoopExitSeen]) -> Finding:
        last = same[-1]
        who, site = model.who(last.greenlet), model.site(last.site)
        what = _WHAT.get(Wait(last.reason), f"for {LABELS[last.reason]}") if last.reason in LABELS else "to be woken"
        times = f"; it happened {len(same)} times" if len(same) > 1 else ""
        others = _others(model, last)
        waited = f" {many(last.waiting - 1, 'other greenlet')} waited, too." if last.waiting > 1 else ""
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=(
                f"{who.name} waited {what} at {place(site)}, and nothing was left that could wake it or anybody:"
                f" LoopExit was raised after {duration(last.at - last.since)}{times}.{waited}"
            ),
            advice=self.advice,
            since=last.since,
            until=last.at,
            greenlet=who,
            site=site,
            resource=f"{LABELS[last.reason]} {last.resource}" if last.resource and last.reason in LABELS else "",
            others=tuple(one.greenlet for one in others if one.greenlet is not None),
            count=len(same),
            evidence=(
                Evidence("LoopExit was raised, for nothing was left to wait for", last.at),
                Evidence(f"waited {what}", last.since, who, site),
                *others[:_NAMED],
            ),
            stack=tuple(model.numbers.stack(last.site)),
        )


def _others(model: Model, seen: LoopExitSeen) -> list[Evidence]:
    """Who else waited then, longest first; less than there were, if records were lost."""
    lanes = model.timeline.lanes
    ended = model.timeline.spans(lanes.ids, seen.at, seen.at + 1)
    spans = np.concatenate((ended, lanes.open.take(np.flatnonzero(lanes.rows["goes_on"]))))
    waits = (spans["state"] == State.WAITING) & (spans["start"] <= seen.at)
    waits &= (spans["greenlet"] != model.hub) & (spans["greenlet"] != seen.greenlet)
    spans = spans[waits]
    return [
        Evidence(
            f"waited {_WHAT.get(span['reason'].item(), 'for ' + LABELS.get(span['reason'].item(), 'something'))}",
            int(span["start"]),
            model.who(int(span["greenlet"])),
            model.site(int(span["site"])),
        )
        for span in spans[np.argsort(spans["start"], kind="stable")]
    ]
