"""One request that an application serves, in the recording: what the WSGI and the ASGI middleware have in common.

It begins and ends in the ring of the thread that it is served in, if there is one; no hub is made for it. Where the
server has recorded it already (ours does), that record is the request, and no second one begins.

Nothing here raises into the application: what goes wrong in our own code is logged once, with its traceback, and
the response goes out as the application made it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from greenscope.trace.here import here
from greenscope.trace.notes import request
from greenscope.trace.traceparent import TraceParent
from greenscope.web.middleware.figures import Figures, Moment, server_timing

if TYPE_CHECKING:
    from greenscope.trace.recorder import Recorder

__all__ = ["REL", "Served", "asked_for", "guarded", "quoted"]

REL = "describedby"
"""The link's relation, of those that are registered: it leads to what describes this answer."""

_ID = 100  # characters of a request's id
_T = TypeVar("_T")
_log = logging.getLogger("greenscope")
_said: set[str] = set()


def guarded(function: Callable[[], _T], otherwise: _T) -> _T:
    """What ``function`` gives; ``otherwise`` if it raises, which is said once."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - our own fault, which is not to be the application's
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{type(error).__name__} {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
        if where not in _said:
            _said.add(where)
            _log.exception("the debug middleware failed; the response goes out without what it would have said")
        return otherwise


class Served:
    """A request that is served: from now until ``end``.

    Args:
        what: method and path, as in ``asked_for``.
        identity: what came in X-Request-ID, if anything did.
        trace: its place in its trace.
        number: of the request, if the server has recorded it already.
        base: the dashboard's path, for the link.
        recorded: whether it is to be in this thread's ring, if there is one.
        unit: what serves it.
    """

    __slots__ = ("_base", "_moment", "_recorder", "_request", "number", "status", "what")

    def __init__(
        self,
        what: str,
        identity: str | None,
        trace: TraceParent,
        number: int | None,
        base: str,
        recorded: bool = True,
        unit: str = "greenlet",
    ) -> None:
        self.what = what
        self.status = 0
        self._base = base
        self._recorder: Recorder | None = here.recorder if recorded else None
        self._request: request | None = None
        if number is None and recorded:
            self._request = request(identity[:_ID] if identity else None, what, trace.line).begin()
            number = self._request.number
        self.number = number or 0
        self._moment = Moment(self._recorder, unit)

    @property
    def link(self) -> str:
        """Where the request's timeline is; empty if it is recorded nowhere that a viewer can read."""
        recorder = self._recorder
        if not self.number or recorder is None or recorder.path is None:
            return ""
        return f"{self._base}/#ring={quote(recorder.path.stem)}&request={self.number}"

    def figures(self) -> Figures:
        """What became of its time until now."""
        return self._moment.figures()

    def headers(self, figures: Figures) -> list[tuple[str, str]]:
        """What the response says of it."""
        said = [("Server-Timing", server_timing(figures))]
        link = self.link
        if link:
            said.append(("Link", f'<{link}>; rel="{REL}"; title="greenscope: the timeline of this request"'))
        return said

    def end(self, error: BaseException | None = None) -> None:
        """It was served; a second end is not heard."""
        ended, self._request = self._request, None
        if ended is not None:
            ended.end(self.status, error)

    @property
    def ends_elsewhere(self) -> bool:
        """Whether somebody else records its end."""
        return self._request is None


def asked_for(method: str, path: bytes) -> str:
    """What a request asks for; not its query, which may be nobody else's business."""
    return f"{method[:32]} {quoted(path)}"


def quoted(path: bytes) -> str:
    """A path as an address has it."""
    return quote(path, safe=_SAFE)


_SAFE = "/:@!$&'()*+,;=-._~"  # what a path may have in it as it is (RFC 3986, 3.3)
