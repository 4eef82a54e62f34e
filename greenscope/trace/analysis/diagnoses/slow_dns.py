"""A look-up of a name that takes long: its thread waits for a name server, and so does whoever asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity, Who
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import Wait
from greenscope.trace.records import Site

__all__ = ["SlowDns"]

_NAMED = 3
_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class _LookUp:
    greenlet: int
    site: int
    since: int
    end: int
    what: str


class SlowDns(Diagnosis):
    """``slow-dns``: all such look-ups are one finding, for they share the resolver."""

    id = "slow-dns"
    severity = Severity.WARNING
    advice = (
        "Look at /etc/resolv.conf: a name server that does not answer is asked for seconds before the next one is."
        " Keep connections, so that names are looked up less often; or have a resolver that caches on the machine."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for the resolver."""
        found = list(_slow(model))
        if not found:
            return
        worst = max(found, key=lambda one: (one.end or model.now) - one.since)
        who, site = model.who(worst.greenlet), model.site(worst.site)
        behind = _behind(model)
        goes_on = not worst.end and model.state == "live"
        sentence = (
            f"{who.name} {'has waited' if goes_on else 'waited'} {duration((worst.end or model.now) - worst.since)}"
            f" for the look-up of {worst.what or 'a name'}, at {place(site)}"
        )
        if len(found) > 1:
            sentence += f", the longest of {len(found)} that took so long"
        if behind:
            sentence += f"; {many(len(behind), 'other greenlet')} waited for a thread meanwhile"
        suffer = {one.greenlet: model.who(one.greenlet) for one in found if one.greenlet != worst.greenlet}
        yield Finding(
            id=self.id,
            severity=self.severity,
            sentence=f"{sentence}.",
            advice=self.advice,
            since=worst.since,
            until=worst.end,
            greenlet=who,
            site=site,
            resource=worst.what,
            others=(*suffer.values(), *behind),
            count=len(found),
            evidence=tuple(
                _evidence(model, one) for one in [worst, *(one for one in found if one is not worst)][:_NAMED]
            ),
            stack=_stack(model, worst),
        )


def _slow(model: Model) -> Iterator[_LookUp]:
    """Those that took longer than the threshold, without their waits for a thread."""
    least = model.thresholds.dns_ms * _MS
    for job in model.jobs.long:
        if job.is_look_up and job.end - job.began >= least:
            yield _LookUp(job.greenlet, job.site, job.began, job.end, job.about)
    known = set()
    exhausted = False
    for running, waiting in model.jobs.pools().values():
        exhausted |= bool(waiting)
        known |= {job.greenlet for job in (*running, *waiting)}
        for job in running:
            if job.is_look_up and model.now - job.began >= least:
                yield _LookUp(job.greenlet, job.site, job.began, 0, job.about)
    if exhausted:
        return
    for slot in model.waiting():  # whose beginning was overwritten
        if slot.reason == Wait.LOOKUP and slot.greenlet not in known and model.now - slot.since_ns >= least:
            yield _LookUp(slot.greenlet, slot.site, slot.since_ns, 0, "")


def _behind(model: Model) -> list[Who]:
    """Who waits for a thread that a look-up has."""
    found: dict[int, Who] = {}
    for running, waiting in model.jobs.pools().values():
        if any(job.is_look_up for job in running):
            found |= {job.greenlet: model.who(job.greenlet) for job in waiting}
    return list(found.values())


def _evidence(model: Model, one: _LookUp) -> Evidence:
    text = f"looked up {one.what or 'a name'}" + (f" for {duration(one.end - one.since)}" if one.end else "")
    return Evidence(text, one.since, model.who(one.greenlet), model.site(one.site))


def _stack(model: Model, one: _LookUp) -> tuple[Site, ...]:
    return tuple(model.numbers.stack(one.site))
