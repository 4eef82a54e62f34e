"""What a program says itself into the recording: spans, marks, names, requests.

All of it is about the greenlet that runs, and goes into the ring of its thread's hub. Where there is none,
because nothing has waited in this thread yet or nothing is recorded (``GREENSCOPE=0``), nothing happens, and
fast: no hub is made for it, and what was said before there was one is not said later. A span or a request
that began when there was no ring has no end in it either.

Nothing here raises but TypeError for what is no text, with or without a recording. A span must end in the
thread in which it began; one that does not is left open.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import count
from os import getpid
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from greenscope.trace.events import Exit
from greenscope.trace.here import here
from greenscope.trace.ring_layout import MAX_BURST, TEXT_BYTES

if TYPE_CHECKING:
    from greenscope.trace.recorder import Recorder

__all__ = ["mark", "request", "set_name", "span"]

Function = TypeVar("Function", bound=Callable[..., Any])

_RETURNED, _RAISED, _KILLED = (int(how) for how in (Exit.RETURNED, Exit.RAISED, Exit.KILLED))
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # flags of code: inspect is slow to import
_KILLS = frozenset(("GreenletExit", "CancelledError"))
_RECORD = (MAX_BURST - 1) * TEXT_BYTES
_numbers = count(1)


class span:  # noqa: N801  (as contextlib's: it is used like a function)
    """Something that the program does and has a name for: ``with span("load"): ...``, or ``@span("load")``.

    An exception that leaves it is said. A decorated generator is one span from its first step to its end,
    whatever its consumer does in between.

    Args:
        name: what it is, and not which: each different name is kept for as long as the recording. An id
            belongs into ``mark`` or ``request``.

    Raises:
        TypeError: the name is no str; what is decorated is a coroutine function, which no hub runs.
    """

    __slots__ = ("_number", "_recorder", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        if name.__class__ is not str:
            _text(name)

    def __enter__(self) -> Self:
        self._recorder: Recorder | None
        self._recorder = recorder = here.recorder
        if recorder is not None:
            self._number = recorder.span_begin(self.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        recorder = self._recorder
        if recorder is None or recorder is not here.recorder:
            return
        if kind is None:
            recorder.span_end(self._number, _RETURNED, "")
        else:
            recorder.span_end(self._number, *_ending(kind))

    def __call__(self, function: Function) -> Function:
        """Make every call of ``function`` a span."""
        name = self.name
        code = getattr(function, "__code__", None)
        flags = code.co_flags if isinstance(code, CodeType) else 0
        if flags & (_COROUTINE | _ASYNC_GENERATOR):
            raise TypeError(f"span({name!r}) cannot decorate {function!r}: greenscope's hub does not run coroutines")

        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            if here.recorder is None:
                return function(*arguments, **keywords)
            with span(name):
                return function(*arguments, **keywords)

        @wraps(function)
        def generate(*arguments: Any, **keywords: Any) -> Any:
            with span(name):
                return (yield from function(*arguments, **keywords))

        return generate if flags & _GENERATOR else call  # type: ignore[return-value]


class request:  # noqa: N801  (as above)
    """A request that the program serves: ``with request(id, "GET /orders") as served: served.status = 200``.

    For a place where ``with`` does not fit: ``served = request(id).begin()``, and later ``served.end(200)``.

    Args:
        id: what tells it from every other one, such as a header's X-Request-ID; made up if there is none.
        what: what it asks for. Both together are cut at 195 bytes.
        traceparent: its own of W3C, with its span's id; and, after a space, the caller's span's id, if there is one.
            Where there is no room for all, ``what`` is cut.

    Raises:
        TypeError: one of them is no str.
    """

    __slots__ = ("_number", "_recorder", "id", "status", "traceparent", "what")

    def __init__(self, id: str | None = None, what: str = "", traceparent: str = "") -> None:  # noqa: A002
        self.id = f"{getpid():x}-{next(_numbers):x}" if id is None else _text(id)
        self.what = _text(what)
        self.traceparent = _text(traceparent)
        self.status = 0
        """The response's status, for the record of its end; 0 is none."""
        self._recorder: Recorder | None = None
        self._number = 0

    @property
    def number(self) -> int:
        """What tells it from every other one of its recording; 0 before it began, and where nothing is recorded."""
        return self._number

    def begin(self) -> Self:
        """It begins to be served."""
        self._recorder = recorder = here.recorder
        if recorder is not None:
            text = " ".join(self.id.split("\n"))
            if self.traceparent:
                text = _with_trace(text, self.what, self.traceparent)
            elif self.what:
                text += "\n" + self.what
            self._number = recorder.request_begin(text.encode("utf-8", "replace"))
        return self

    def end(self, status: int | None = None, error: BaseException | None = None) -> None:
        """It was served; a second end is not heard.

        Args:
            status: the response's status; None is what ``status`` says.
            error: what was raised instead of an answer.
        """
        self._end(status, None if error is None else type(error))

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(None, kind)

    def _end(self, status: int | None, kind: type[BaseException] | None) -> None:
        if status is not None:
            self.status = status
        recorder, self._recorder = self._recorder, None
        if recorder is not None and recorder is here.recorder:
            how, error = _ending(kind)
            number: object = self.status  # if it is none, an error here would hide the program's own
            recorder.request_end(self._number, number if isinstance(number, int) else 0, how, error)


def mark(text: str) -> None:
    """Leave a mark: something happened now, in this greenlet.

    Args:
        text: what; cut at 196 bytes. It is not kept beyond its record, and so may be different each time.

    Raises:
        TypeError: it is no str.
    """
    recorder = here.recorder
    if recorder is not None:
        recorder.mark(_text(text).encode("utf-8", "replace"))
    else:
        _text(text)


def set_name(name: str) -> None:
    """Call the greenlet that runs by this name from here on, in the recording.

    Args:
        name: kept for as long as the recording; where it has no more room for one, the old name stays.

    Raises:
        TypeError: it is no str.
    """
    name = _text(name)
    recorder = here.recorder
    if recorder is not None:
        string = recorder.string(name)
        if string or not name:
            recorder.rename(recorder.current, string, 0)


def _with_trace(identity: str, what: str, traceparent: str) -> str:
    """Three lines, the second cut so that the third fits into the record."""
    ending = "\n" + " ".join(traceparent.split("\n"))
    room = _RECORD - len(identity.encode("utf-8", "replace")) - len(ending.encode("utf-8", "replace")) - 1
    kept = " ".join(what.split("\n")).encode("utf-8", "replace")[: max(room, 0)].decode("utf-8", "ignore")
    return f"{identity}\n{kept}{ending}"


def _text(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a note's text is a str, not {text!r}")
    return text


def _ending(kind: type[BaseException] | None) -> tuple[int, str]:
    """How something ended, and the class of the exception that ended it."""
    if kind is None:
        return _RETURNED, ""
    # By name, because the trace does not know greenlets, or tasks.
    return _KILLED if kind.__name__ in _KILLS else _RAISED, kind.__name__
