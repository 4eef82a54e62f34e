"""What ended in a ring, as spans of OpenTelemetry: with their real times, and a request's waits as its children.

A request is a server's span, and a span of the program an internal one. A wait is a child of the request that its
greenlet served: what it waited for, for whom, at which line; and so is having been ready and not run. The longest are
told, and how many there were in all.

Source: https://opentelemetry.io/docs/specs/semconv/ (the names of attributes).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from greenscope import __version__
from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.states import State, label
from greenscope.trace.analysis.traces import Context, Ended, Traces
from greenscope.trace.events import NO_FD, Exit
from greenscope.web.metrics import program_of
from greenscope.web.session import Session

__all__ = ["Spans", "ring_of"]

_SCOPE = InstrumentationScope("greenscope", __version__)
_SHORTEST_NS = 50_000
_MOST_WAITS = 32

Attributes = dict[str, str | int]


def ring_of(session: Session) -> str:
    """What tells a ring from all others, and is the same for a copy of it."""
    info = session.info
    return f"{info.boot_id}/{info.process_start}/{info.pid}/{info.hub}/{info.start_wall_ns}"


class Spans:
    """Makes the spans of one ring.

    Args:
        session: the ring.
        traces: gives ids.
    """

    def __init__(self, session: Session, traces: Traces) -> None:
        info = session.info
        self._session = session
        self._traces = traces
        self._resource = Resource(
            {
                "service.name": program_of(info.argv),
                "service.instance.id": traces.made_id("process", 16),
                "process.pid": info.pid,
                "process.executable.path": info.executable,
                "host.name": info.host,
                "thread.name": info.thread_name,
                "greenscope.hub": info.hub,
            }
        )

    def of(self, ended: Ended, with_waits: bool) -> Iterator[ReadableSpan]:
        """One that ended, and its waits.

        Args:
            ended: it.
            with_waits: whether its waits are wanted, if it is a request.
        """
        attributes = self._site(ended.site)
        waits = self._waits(ended) if ended.said is not None and with_waits else None
        if ended.said is not None:
            attributes |= _request(ended)
        if waits is not None:
            attributes["greenscope.waits"] = len(waits)
        if ended.error:
            attributes["error.type"] = ended.error
        is_wrong = ended.how == Exit.RAISED or ended.status >= 500
        yield self._span(
            ended.name if ended.said is None else ended.said.route or "request",
            ended.context,
            self._parent(ended.context, ended.parent, ended.remote),
            (ended.start, ended.end),
            SpanKind.INTERNAL if ended.said is None else SpanKind.SERVER,
            attributes,
            Status(StatusCode.ERROR, ended.error or None) if is_wrong else Status(StatusCode.UNSET),
        )
        if waits is not None:
            yield from self._of_waits(ended, waits)

    def _of_waits(self, ended: Ended, waits: SpanArray) -> Iterator[ReadableSpan]:
        longest = np.sort(np.argsort(waits["start"] - waits["end"], kind="stable")[:_MOST_WAITS])
        parent = self._parent(ended.context, ended.context.span, False)
        for wait in waits[longest]:
            state, reason, start = int(wait["state"]), int(wait["reason"]), int(wait["start"])
            own = self._traces.made_id(f"request/{ended.number}/{start}/{state}", 8)
            peer = self._session.timeline.lanes.text(int(wait["peer"])) if wait["peer"] else ""
            attributes = self._site(int(wait["site"]))
            if peer:
                attributes["network.peer.address"] = peer
            if int(wait["fd"]) != NO_FD:
                attributes["greenscope.fd"] = int(wait["fd"])
            what = "ready, and not run" if state == State.READY else label(state, reason)
            context = Context(ended.context.trace, own, True)
            times = start, int(wait["end"])
            yield self._span(f"{what} {peer}".rstrip(), context, parent, times, SpanKind.INTERNAL, attributes, Status())

    def _waits(self, ended: Ended) -> SpanArray:
        """What the greenlet of a request did within it but run, cut to its time."""
        spans = self._session.timeline.spans(np.array([ended.greenlet], np.uint64), ended.start, ended.end)
        spans = spans.take(np.flatnonzero((spans["state"] == State.WAITING) | (spans["state"] == State.READY)))
        spans["start"], spans["end"] = np.maximum(spans["start"], ended.start), np.minimum(spans["end"], ended.end)
        return spans.take(np.flatnonzero(spans["end"] - spans["start"] >= _SHORTEST_NS))

    def _span(
        self,
        name: str,
        context: Context,
        parent: SpanContext | None,
        times: tuple[int, int],
        kind: SpanKind,
        attributes: Attributes,
        status: Status,
    ) -> ReadableSpan:
        info = self._session.info
        to_wall = info.start_wall_ns - info.start_monotonic_ns
        return ReadableSpan(
            name=name,
            context=_context(context, context.span, False),
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            kind=kind,
            status=status,
            start_time=times[0] + to_wall,
            end_time=times[1] + to_wall,
            instrumentation_scope=_SCOPE,
        )

    def _parent(self, context: Context, parent: str, remote: bool) -> SpanContext | None:
        return _context(context, parent, remote) if parent else None

    def _site(self, number: int) -> Attributes:
        site = self._session.reader.site(number)
        if site is None:
            return {}
        return {"code.file.path": site.file, "code.line.number": site.line, "code.function.name": site.function}


def _request(ended: Ended) -> Attributes:
    said = ended.said
    assert said is not None
    # Not the query: what is in it may be a secret, and this goes to another machine.
    found: Attributes = {"greenscope.request.id": said.id, "greenscope.request.number": ended.number}
    if said.method:
        found |= {"http.request.method": said.method, "url.path": said.path}
    if ended.status:
        found["http.response.status_code"] = ended.status
    return found


def _context(context: Context, span: str, remote: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(context.trace, 16), int(span, 16), is_remote=remote, trace_flags=flags)
