"""The calls of sockets, and what has them wait: what the kernel said to the attempt that comes before every wait."""

from __future__ import annotations

import errno

from greenscope.trace.analysis.narrate.phrases import Part, Say, at, counted, descriptor, of_watcher, who
from greenscope.trace.analysis.step_parts import Call
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.analysis.words import duration
from greenscope.trace.events import NO_ERRNO, NO_FD, Op, Wait, unpack
from greenscope.trace.records import Event

__all__ = ["KNOWN_TO_BLOCK", "begins", "blocked", "ends", "name_of"]

KNOWN_TO_BLOCK = frozenset({Wait.READ, Wait.WRITE})
"""Waits of a call that come after an attempt which would have blocked."""

_NAMES = {Op.OTHER: "call", Op.HANDSHAKE: "do_handshake"}
_RECEIVES = frozenset({Op.RECV, Op.RECV_INTO, Op.RECVFROM, Op.RECVFROM_INTO, Op.RECVMSG, Op.RECVMSG_INTO})
_STREAMS = frozenset({Op.RECV, Op.RECV_INTO})
_SENDS = frozenset({Op.SEND, Op.SENDALL, Op.SENDTO, Op.SENDMSG, Op.SENDFILE})
_DONE: dict[int, str] = {Op.CONNECT: "op.connected", Op.HANDSHAKE: "op.agreed", Op.UNWRAP: "op.unwrapped"}
_AGAIN = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})


def name_of(op: int) -> str:
    """A call's name: "recv"."""
    try:
        return _NAMES.get(Op(op)) or Op(op).name.lower()
    except ValueError:
        return "call"


def blocked(call: Call, wait: int) -> str:
    """Why a call has to wait to read or to write, as the last part of a sentence's key."""
    reads = wait == Wait.READ
    if call.tls or call.op in (Op.HANDSHAKE, Op.UNWRAP):
        return "tls_read" if reads else "tls_write"
    if reads and call.op in _RECEIVES:
        return "no_data"
    if reads and call.op == Op.ACCEPT:
        return "nobody_came"
    if not reads and call.op in _SENDS:
        return "full"
    if not reads and call.op == Op.CONNECT:
        return "connecting"
    return "would_read" if reads else "would_write"


def begins(steps: Steps, event: Event) -> list[Say]:
    """It calls its socket."""
    watcher, fd = unpack(event.arg)
    places: dict[str, Part] = {
        "who": who(steps, event.greenlet),
        "call": name_of(event.reason),
        "fd": of_watcher(steps, watcher, fd if fd != NO_FD else None),
        "at": at(steps, event.site),
    }
    return [Say("op.begin.tls" if event.aux else "op.begin", places), Say("op.tries")]


def ends(steps: Steps, event: Event) -> list[Say]:
    """The call is over: what it got, or what went wrong; and whether it waited."""
    places: dict[str, Part] = {"who": who(steps, event.greenlet), "call": name_of(event.reason)}
    told = [_result(event, places)]
    call = steps.call(event.greenlet)
    if call is not None and call.op == event.reason:
        took = duration(max(0, event.time_ns - call.since_ns))
        told.append(counted("op.waited", call.waits, {"time": took}))
    return told


def _result(event: Event, places: dict[str, Part]) -> Say:
    if event.aux in _AGAIN:
        return Say("op.would_block", places)
    if event.aux == NO_ERRNO:
        return Say("op.raised", {**places, "error": event.text}) if event.text else Say("op.failed", places)
    if event.aux:
        return Say("op.errno", {**places, "errno": errno.errorcode.get(event.aux, str(event.aux))})
    if event.reason in _RECEIVES:
        if not event.arg:
            return Say("op.end_of_stream" if event.reason in _STREAMS else "op.got_nothing", places)
        return counted("op.got", event.arg, places)
    if event.reason in _SENDS:
        return counted("op.sent", event.arg, places)
    if event.reason == Op.ACCEPT:
        return Say("op.accepted", {**places, "fd": descriptor(event.arg)})
    return Say(_DONE.get(event.reason, "op.over"), places)
