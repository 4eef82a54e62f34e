"""What a monitoring system scrapes: the viewer's figures in the text format of Prometheus.

A series is a hub of a process that lives. What ended has none: its last values would stay for ever, and say that
it goes on. All labels are of bounded sets: no name of a greenlet, no line, no route is one.

The viewer makes this, so a scrape costs the traced process nothing. What a counter counts is what the viewer has read
of the ring: events that were overwritten before that are ``greenscope_events_lost_total``, and in nothing else.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from greenscope.trace.analysis.spread import Spread
from greenscope.web import present
from greenscope.web.session import Session

__all__ = ["metrics", "program_of"]

_LABELS = ("pid", "hub", "program")
_BOUNDS = (1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_MOST_PROGRAM = 80
_LOAD_SECONDS = 10


def metrics(sessions: Iterable[Session], accept: str) -> tuple[bytes, str]:
    """The figures of the living processes among some rings.

    Args:
        sessions: the rings.
        accept: which formats the asker takes, as HTTP says it.

    Returns:
        The text, and its content type.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures([session for session in sessions if session.state == "live" and not session.failed]))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


def program_of(argv: Sequence[str]) -> str:
    """What a process runs, in a word: its script's name, or its module's.

    Args:
        argv: its command line, the interpreter first.
    """
    rest = iter(argv[1:])
    for argument in rest:
        if argument == "-m":
            return next(rest, "python")[:_MOST_PROGRAM]
        if argument == "-c":
            return "-c"
        if argument in {"-W", "-X", "--check-hash-based-pycs"}:
            next(rest, None)
        elif not argument.startswith("-"):
            return PurePath(argument).name[:_MOST_PROGRAM]
    return PurePath(argv[0]).name[:_MOST_PROGRAM] if argv else ""


class _Figures(Collector):
    def __init__(self, sessions: Sequence[Session]) -> None:
        # By the labels: containers that share a directory may have processes of one number, of which the newest counts.
        self._of = {
            (str(each.info.pid), str(each.info.hub), program_of(each.info.argv)): each for each in sessions
        }.items()

    def collect(self) -> Iterator[Metric]:
        """All of them; a name comes once, whether or not it has a series."""
        yield from self._hub()
        yield from self._greenlets()
        yield from self._findings()
        yield from self._requests()

    def _hub(self) -> Iterator[Metric]:
        busy = _counter("hub_busy_seconds", "Time that the hub was away from its poll.")
        polled = _counter("hub_polled_seconds", "Time that the hub waited in its poll.")
        load = _gauge("hub_load_ratio", f"Share of the last {_LOAD_SECONDS} s that the hub was away from its poll.")
        events = _counter("events", "Events read from the ring.")
        lost = _counter("events_lost", "Events that were overwritten before they were read.")
        latency = _histogram("scheduling_latency_seconds", "From when a greenlet was ready until it ran.")
        stalls = _counter("stalls", "Runs of a greenlet that were longer than the threshold.")
        for labels, session in self._of:
            timeline, now = session.timeline, session.now()
            series = timeline.load
            going_on = max(now - series.since, 0)
            busy.add_metric(labels, (series.busy + (going_on if series.away else 0)) / 1e9)
            polled.add_metric(labels, (series.polled + (going_on if series.away is False else 0)) / 1e9)
            share = series.share(now, _LOAD_SECONDS)
            if share is not None:
                load.add_metric(labels, share)
            events.add_metric(labels, timeline.events)
            lost.add_metric(labels, timeline.lost)
            _add(latency, labels, session.totals.latency)
            stalls.add_metric(labels, timeline.stalls.count)
        return iter((busy, polled, load, events, lost, latency, stalls))

    def _greenlets(self) -> Iterator[Metric]:
        greenlets = _gauge("greenlets", "Greenlets that live, by what they do or wait for.", "state")
        switches = _counter("switches", "Switches to a greenlet.")
        for labels, session in self._of:
            for state, count in sorted(present.census(session).items()):
                greenlets.add_metric((*labels, state), count)
            switches.add_metric(labels, session.timeline.switches)
        return iter((greenlets, switches))

    def _findings(self) -> Iterator[Metric]:
        found = _gauge("findings", "Causes of trouble that were found since the process began.", "id")
        going_on = _gauge("findings_going_on", "Those of them that go on.", "id")
        for labels, session in self._of:
            session.examine()
            causes = session.seen.values()
            last = session.found_last
            for family, counts in (
                (found, Counter(finding.id for finding in causes)),
                (going_on, Counter(finding.id for finding in causes if finding.cause in last and not finding.until)),
            ):
                for identity, count in sorted(counts.items()):
                    family.add_metric((*labels, identity), count)
        return iter((found, going_on))

    def _requests(self) -> Iterator[Metric]:
        ended = _counter("requests", "Requests that ended, by the status they were answered with.", "status")
        wall = _histogram("request_duration_seconds", "From when a request began to be served until it ended.")
        going_on = _gauge("requests_going_on", "Requests that are being served.")
        for labels, session in self._of:
            for status, count in sorted(_by_status(session.totals.requests).items()):
                ended.add_metric((*labels, status), count)
            _add(wall, labels, session.totals.walls)
            going_on.add_metric(labels, session.requests.going_on)
        return iter((ended, wall, going_on))


def _counter(name: str, what: str, *more: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"greenscope_{name}", what, labels=(*_LABELS, *more))


def _gauge(name: str, what: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"greenscope_{name}", what, labels=(*_LABELS, *more))


def _histogram(name: str, what: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"greenscope_{name}", what, labels=_LABELS)


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], spread: Spread) -> None:
    """A spread's classes, summed up to each bound: both have their edges at 1, 2 and 5."""
    classes = spread.classes()
    below = [
        (f"{bound:g}", sum(each.count for each in classes if each.below and each.below <= round(bound * 1e9)))
        for bound in _BOUNDS
    ]
    family.add_metric(labels, [*below, ("+Inf", spread.count)], spread.total / 1e9)


def _by_status(counts: Counter[int]) -> Counter[str]:
    """By what may be a status; anything else is none."""
    found: Counter[str] = Counter()
    for status, count in counts.items():
        found[str(status) if 100 <= status < 600 else "none"] += count
    return found
