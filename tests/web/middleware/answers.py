"""What the tests of the middleware share: answers, taken apart, and what a ring says of requests."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenscope.trace.events import Exit, Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

BAR = b"<greenscope-bar>"
_METRIC = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:;desc=\"[^\"\\]*\")?(?:;dur=(\d+\.\d+))?")
_LINK = re.compile(r'<([^<>\s]*/__greenscope__/#ring=[\w-]+&request=(\d+))>; rel="describedby"; title="[^"]+"')


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def metrics(self) -> dict[str, float]:
        """Milliseconds of each metric of Server-Timing, which has to be valid."""
        (header,) = [one for one in self.headers.get_all("Server-Timing", []) if one.startswith("total")]
        return metrics(header)

    @property
    def link(self) -> str:
        """Where the request's timeline is."""
        (found,) = filter(None, map(_LINK.fullmatch, self.headers.get_all("Link", [])))
        return found[1]

    @property
    def number(self) -> int:
        """The request's."""
        return int(self.link.rpartition("=")[2])

    @property
    def page(self) -> bytes:
        """The body without its bar, which has to be there."""
        before, bar, rest = self.body.partition(BAR)
        assert bar, self.body[-300:]
        inside, end, after = rest.partition(b"</greenscope-bar>")
        assert (end and b"Open its timeline" in inside) or b"Nothing is recorded here" in inside
        assert BAR not in after
        return before + after


def metrics(header: str) -> dict[str, float]:
    """Milliseconds of each metric of a Server-Timing header, which has to be valid."""
    found = {}
    for metric in re.split(r", (?=[a-z-]+;)", header):
        match = _METRIC.fullmatch(metric)
        assert match is not None, metric
        found[match[1]] = float(match[2] or "nan")
    return found


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


def parsed(data: bytes, method: str = "GET") -> Answer:
    """The one answer that these bytes are, and nothing else."""
    response = http.client.HTTPResponse(_Socket(data), method=method)  # type: ignore[arg-type]
    response.begin()
    body = response.read()
    assert response.isclosed()
    length = response.headers["Content-Length"]
    assert method == "HEAD" or response.status in {204, 304} or length in {None, str(len(body))}
    return Answer(response.status, response.headers, body)


def requests_in(path: Path) -> dict[int, tuple[str, str, int, str]]:
    """By number: the text, how it ended, the status and the exception's class; "OPEN" where it did not."""
    with contextlib.closing(RingReader(path)) as reader:
        events = [event for event in reader.read() if isinstance(event, Event)]
        ended = {event.arg & 0xFFFFFFFF: event for event in events if event.kind == Kind.REQUEST_END}
        found = {}
        for event in events:
            if event.kind == Kind.REQUEST_BEGIN:
                end = ended.get(event.arg)
                how = (Exit(end.reason).name, end.aux, reader.string(end.arg >> 32)) if end else ("OPEN", 0, "")
                found[event.arg] = (event.text, *how)
        return found
