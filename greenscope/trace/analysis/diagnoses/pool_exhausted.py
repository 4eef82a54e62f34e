"""A pool whose threads are all taken, while calls of others wait for one.

A greenlet that fills a pool with its own calls, as ``map`` does, waits for them by intent. It is trouble when a call
waits behind those of others. Who has the threads is the cause; if those are look-ups of names, ``slow-dns`` tells it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.slow_dns import SlowDns
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.jobs import OTHER_POOLS, Job
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.words import duration, many, place

__all__ = ["PoolExhausted"]

_NAMED = 3


class PoolExhausted(Diagnosis):
    """``pool-exhausted``: one finding a pool, at the line that has most of its threads."""

    id = "pool-exhausted"
    severity = Severity.WARNING
    advice = (
        "Give the calls that take long a pool of their own (ThreadPool(size)), and a timeout; a larger pool"
        " (get_hub().threadpool.maxsize) only helps if they are few."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each pool."""
        least = model.thresholds.pool_ms * 1_000_000
        now = model.jobs.pools()
        slow_names = None
        for pool in dict.fromkeys([*now, *(job.pool for job in model.jobs.late)]):
            running, waiting = now.get(pool, ([], []))
            stuck = [job for job in waiting if model.now - job.put >= least]
            going_on = bool(stuck)
            if not going_on:
                late = [job for job in model.jobs.late if job.pool == pool != OTHER_POOLS]
                stuck = [*late, *(job for job in running if job.waited >= least)]
                running = _had_it(model, stuck)
            if not stuck or _behind_itself(running, stuck):
                continue
            if running and sum(job.is_look_up for job in running) * 2 > len(running):
                if slow_names is None:
                    slow_names = list(SlowDns().check(model))
                if slow_names:
                    continue
            yield self._finding(model, running, stuck, going_on)

    def _finding(self, model: Model, running: Sequence[Job], stuck: Sequence[Job], going_on: bool) -> Finding:
        holders = running or stuck
        (site_number, _), *_ = Counter(job.site for job in holders).most_common(1)
        at_line = [job for job in holders if job.site == site_number]
        worst = max(at_line, key=lambda job: (job.end or model.now) - job.began)
        who, site = model.who(worst.greenlet), model.site(worst.site)
        waited = max(stuck, key=lambda job: model.now - job.put if going_on else job.waited)
        waited_ns = model.now - waited.put if going_on else waited.waited
        whose = "the runtime's own pool" if worst.pool == 0 else f"pool {worst.pool}"
        more = len({job.greenlet for job in at_line}) - 1
        together = f" and {many(more, 'other')}" if more else ""
        has = "had" if not going_on or model.state != "live" else "have" if more else "has"
        took = duration((worst.end or model.now) - worst.began)
        sentence = (
            f"{who.name}{together} {has} {len(at_line)} of the"
            f" {many(worst.threads, 'thread')} of {whose} for {worst.name or 'a function'}, up to {took},"
            f" at {place(site)}; {many(len(stuck), 'call')} waited for one, up to {duration(waited_ns)}"
        )
        others = {job.greenlet: model.who(job.greenlet) for job in (*at_line, *stuck) if job.greenlet != worst.greenlet}
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=f"{sentence}.",
            advice=self.advice,
            since=waited.put,
            until=0 if going_on else waited.began,
            greenlet=who,
            site=site,
            resource=whose,
            others=tuple(others.values()),
            count=len(stuck),
            evidence=(
                *(_held(model, job) for job in sorted(at_line, key=lambda job: job.began)[:_NAMED]),
                *(_waits(model, job) for job in stuck[:_NAMED]),
            ),
            stack=tuple(model.numbers.stack(worst.site)),
        )


def _behind_itself(running: Sequence[Job], stuck: Sequence[Job]) -> bool:
    """Whether all that wait were put by who put most of what runs; or, that not being known, by one greenlet."""
    whose = Counter(job.greenlet for job in running or stuck)
    (most, times), *_ = whose.most_common(1)
    return (times * 2 >= len(running) or not running) and {job.greenlet for job in stuck} <= {most}


def _had_it(model: Model, stuck: Sequence[Job]) -> list[Job]:
    """Of the calls that took long, those that ran while these waited."""
    if not stuck:
        return []
    first, last = min(job.put for job in stuck), max(job.began for job in stuck)
    pool = stuck[0].pool
    open_ones = (model.jobs.pools().get(pool) or ([],))[0]
    return [
        job
        for job in (*model.jobs.long, *open_ones)
        if job.pool == pool and job.began < last and (job.end or model.now) > first
    ]


def _held(model: Model, job: Job) -> Evidence:
    text = f"took a thread for {job.name or 'a function'}"
    return Evidence(text, job.began, model.who(job.greenlet), model.site(job.site))


def _waits(model: Model, job: Job) -> Evidence:
    text = f"waited {duration(job.waited)} for a thread" if job.waited else "waits for a thread"
    return Evidence(f"{text}, for {job.name or 'a function'}", job.put, model.who(job.greenlet), model.site(job.site))
