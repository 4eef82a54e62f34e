"""What the program says itself, what the watchdog saw, and what is recorded from here on."""

from __future__ import annotations

from greenscope.trace.analysis.narrate.phrases import Part, Say, at, who
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.analysis.words import duration
from greenscope.trace.events import Blocked, Detail, Exit, unpack
from greenscope.trace.records import Event

__all__ = [
    "detail",
    "mark",
    "request_begins",
    "request_ends",
    "span_begins",
    "span_ends",
    "stall_begins",
    "stall_ends",
    "text",
]


def span_begins(steps: Steps, event: Event) -> list[Say]:
    """Something with a name began."""
    name = steps.numbers.string(unpack(event.arg)[1])
    return [Say("span.begin", {"who": who(steps, event.greenlet), "name": name, "at": at(steps, event.site)})]


def span_ends(steps: Steps, event: Event) -> list[Say]:
    """It is over."""
    number, error = unpack(event.arg)
    name = steps.spans.get(number)
    places: dict[str, Part] = {
        "who": who(steps, event.greenlet),
        "span": Say("span", {"name": steps.numbers.string(name)}) if name else Say("span.unknown"),
    }
    if event.reason == Exit.RETURNED:
        return [Say("span.end", places)]
    return [Say("span.raised", {**places, "error": _error(steps, error)})]


def _error(steps: Steps, number: int) -> Part:
    return steps.numbers.string(number) or Say("exception")


def mark(steps: Steps, event: Event) -> list[Say]:
    """The program left a mark."""
    return [Say("mark", {"who": who(steps, event.greenlet), "at": at(steps, event.site), "text": event.text})]


def _request(text: str) -> Part:
    """A request as a sentence names it, by its id or by what it asks for."""
    name, _, rest = text.partition("\n")
    what = rest.partition("\n")[0]
    if name and what:
        return Say("request.id.what", {"id": name, "what": what})
    return Say("request.id", {"id": name or what}) if name or what else Say("request")


def request_begins(steps: Steps, event: Event) -> list[Say]:
    """A request is served."""
    places: dict[str, Part] = {"who": who(steps, event.greenlet), "request": _request(event.text)}
    return [Say("request.begin", {**places, "at": at(steps, event.site)})]


def request_ends(steps: Steps, event: Event) -> list[Say]:
    """It was served."""
    number, error = unpack(event.arg)
    request = _request(steps.requests.get(number, ""))
    told = [Say("request.end", {"who": who(steps, event.greenlet), "request": request})]
    if event.reason != Exit.RETURNED:
        told = [Say("request.raised", {**told[0].places, "error": _error(steps, error)})]
    return [*told, Say("request.status", {"status": str(event.aux)})] if event.aux else told


def stall_begins(steps: Steps, event: Event) -> list[Say]:
    """The hub does not get its turn."""
    time = duration(max(0, event.time_ns - event.arg))
    frame = event.text.split("\n", 1)[0].split("\t")
    where: Part = Say("at", {"place": f"{frame[0].rsplit('/', 1)[-1]}:{frame[1]}"}) if len(frame) > 1 else ""
    known = event.reason in Blocked._value2member_map_
    return [
        Say("stall.begin", {"who": who(steps, event.greenlet), "time": time, "at": where}),
        Say(f"stall.{Blocked(event.reason).name.lower()}" if known else "stall.unknown"),
    ]


def stall_ends(steps: Steps, event: Event) -> list[Say]:
    """It got it."""
    return [Say("stall.end", {"who": who(steps, event.greenlet), "time": duration(event.arg)})]


def detail(_steps: Steps, event: Event) -> list[Say]:
    """More or less is recorded from here on."""
    known = event.reason in Detail._value2member_map_
    return [Say(f"detail.{Detail(event.reason).name.lower()}" if known else "detail")]


def text(_steps: Steps, _event: Event) -> list[Say]:
    """Bytes of the event before: a reader gives them with it."""
    return [Say("text")]
