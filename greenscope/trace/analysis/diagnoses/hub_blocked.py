"""A greenlet that keeps the hub: it ran longer than the threshold, and nobody else of its thread did anything."""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.diagnoses.blocking_call import is_of_a_call
from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.long_runs import finding_of, runs_by_line, worst_of
from greenscope.trace.analysis.finding import Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Blocked

__all__ = ["HubBlocked"]


class HubBlocked(Diagnosis):
    """``hub-blocked``: runs at one line, the longest first, that are not a ``blocking-call``'s."""

    id = "hub-blocked"
    severity = Severity.CRITICAL
    advice = (
        "Let it switch in between, with sleep(0) every few milliseconds; have the thread pool do it"
        " (get_hub().threadpool.apply), or another process."
    )
    _of_asyncio = (
        "Let it switch in between, with await asyncio.sleep(0) every few milliseconds; or have another process do it"
        " (loop.run_in_executor, a ProcessPoolExecutor), or a thread (await asyncio.to_thread(function, arguments))."
    )
    _of_another = (
        "Look at what the program's other threads do: one computes beside the hub, or keeps the lock in C code that"
        " does not let go of it. If that is meant, it belongs into another process."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line that such runs were in."""
        for runs in runs_by_line(model):
            if is_of_a_call(runs, model.now):
                continue
            if worst_of(runs, model.now).seen.blocked == Blocked.GIL:
                how = ", and was seen to wait for the interpreter's lock, which another thread had"
                yield finding_of(self, model, runs, "kept", how, self._of_another, "did not switch")
            else:
                advice = self._of_asyncio if model.of_asyncio else self.advice
                yield finding_of(self, model, runs, "kept", "", advice, "ran, and did not switch")
