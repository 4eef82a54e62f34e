"""Sends requests and spans to a collector, by OTLP over HTTP: from the viewer, never from the traced process.

What ended is put into a queue of bounded length, from which one thread sends batches. A collector that is slow or dead
makes the queue full, and then what comes is dropped and counted: it costs the viewer no more, and the traced
process nothing. The first time that something is lost is said, and all of it in the end.

Each is sent once. A ring is followed once, from what ended after the export began: what is older was there for another
viewer to send. So a viewer that is started anew sends nothing twice, and what ended in between not at all.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from greenscope.errors import GreenscopeError, MissingDependencyError
from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.analysis.traces import Ended, Traces
from greenscope.web.session import Session, monotonic_ns

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult

    from greenscope.web.otlp_spans import Spans, ring_of
except ImportError as error:
    raise MissingDependencyError(
        f"OTLP needs OpenTelemetry's SDK and exporter ({error}): pip install 'greenscope[otlp]'"
    ) from None

__all__ = ["Export", "endpoint_of"]

_ENVIRONMENT = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_MOST_QUEUED = 8192
_BATCH = 512
_BATCH_SECONDS = 0.5
_ANSWER_SECONDS = 5.0
_WAITS_A_BATCH = 200  # requests whose waits are told, of those that end in one piece of a ring


def endpoint_of(to: str) -> str | None:
    """The address that spans are posted to; None: OpenTelemetry takes it from the environment.

    Args:
        to: a collector's address, as OTEL_EXPORTER_OTLP_ENDPOINT has it; ``/v1/traces`` is added unless it is there.
            ``env``: what the environment says.

    Raises:
        GreenscopeError: it is no HTTP address; the environment names none.
    """
    if to == "env":
        if not any(os.environ.get(name) for name in _ENVIRONMENT):
            raise GreenscopeError(f"neither {' nor '.join(_ENVIRONMENT)} is set, which `env` stands for")
        return None
    try:
        parts = urlsplit(to)
        is_http = parts.scheme in {"http", "https"} and parts.hostname is not None and parts.port != 0
    except ValueError:
        is_http = False
    if not is_http:
        raise GreenscopeError(f"{to!r} is no collector's address: give one as http://127.0.0.1:4318")
    return to if to.rstrip("/").endswith("/v1/traces") else f"{to.rstrip('/')}/v1/traces"


class Export:
    """One collector.

    Args:
        url: where spans are posted to, whole; None: as OpenTelemetry's environment variables say.
        since: only what ended from then on is sent (CLOCK_MONOTONIC ns).
        say: takes a sentence for the user.
        most_queued: spans that wait to be sent at most.
    """

    def __init__(
        self, url: str | None, since: int, say: Callable[[str], None], most_queued: int = _MOST_QUEUED
    ) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # each failed batch, and every retry
        self.sent = 0
        self.lost = 0
        self.unsampled = 0
        """Of traces that whoever sent the request did not want to be kept."""
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=_ANSWER_SECONDS)
        self._where = url or "the environment's collector"
        self._since = since
        self._say = say
        self._most = most_queued
        self._known: set[str] = set()
        self._queue: deque[ReadableSpan] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="greenscope-otlp", daemon=True)
        self._thread.start()

    def follow(self, session: Session) -> bool:
        """Send what ends in a ring from here on, as it is read: whether there may be something.

        Args:
            session: of which nothing was read yet.
        """
        ring = ring_of(session)
        if ring in self._known or (self._since and (session.info.snapshot_ns or self._is_older(session))):
            return False
        self._known.add(ring)
        traces = Traces(ring, session.reader.string)
        spans = Spans(session, traces)

        def take(folded: Folded | None, lost: int) -> None:
            self._put(spans, traces.add(folded, lost))

        session.model.followers.append(take)
        return True

    def room(self, seconds: float) -> bool:
        """Wait until half of the queue is free, for whoever can: whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._queue) <= self._most // 2, seconds)

    def close(self, seconds: float = _ANSWER_SECONDS) -> None:
        """Send what is left, for so long at most, and say what became of all."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            self.lost += len(self._queue)
            self._queue.clear()
        if self._thread.is_alive():  # it waits for an answer, or to try once more
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
            self._thread.join(_ANSWER_SECONDS)
        if self.lost:
            self._say(f"{self.lost} spans did not reach {self._where}; {self.sent} did")

    def _is_older(self, session: Session) -> bool:
        return session.state != "live" and (session.reader.end_ns() or monotonic_ns()) < self._since

    def _put(self, spans: Spans, ended: list[Ended]) -> None:
        made: list[ReadableSpan] = []
        room = self._most - len(self._queue)
        dropped = 0
        for number, each in enumerate(ended):
            if each.end < self._since:
                continue
            if not each.context.sampled:
                self.unsampled += 1
            elif len(made) < room:
                made += spans.of(each, with_waits=number < _WAITS_A_BATCH)
            else:
                dropped += 1
        if not made and not dropped:
            return
        with self._changed:
            self._queue.extend(made)
            self._changed.notify_all()
        if dropped:
            self._lose(dropped, f"takes spans too slowly: {self._most} wait to be sent")

    def _lose(self, count: int, why: str) -> None:
        with self._changed:
            is_first = not self.lost
            self.lost += count
        if is_first:
            self._say(f"{self._where} {why}; those are lost, and counted. The traced processes do not notice")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                until = time.monotonic() + _BATCH_SECONDS
                while len(self._queue) < _BATCH and not self._closing and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
                self._changed.notify_all()
            if not batch:
                continue
            if self._exporter.export(batch) is SpanExportResult.SUCCESS:
                with self._changed:
                    self.sent += len(batch)
            else:
                self._lose(len(batch), "does not take spans")
