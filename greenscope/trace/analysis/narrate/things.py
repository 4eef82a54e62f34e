"""Watchers, timeouts, functions, threads, and who holds what: the sentences of what greenlets have."""

from __future__ import annotations

from greenscope.trace.analysis.narrate.calls import KNOWN_TO_BLOCK, blocked, name_of
from greenscope.trace.analysis.narrate.phrases import (
    Part,
    Say,
    at,
    counted,
    descriptor,
    line,
    milliseconds,
    of_watcher,
    who,
)
from greenscope.trace.analysis.states import Life
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.analysis.words import duration
from greenscope.trace.events import NO_FD, Exit, Origin, Resource, Timeouts, Watch, unpack
from greenscope.trace.records import Event

__all__ = [
    "acquired",
    "armed",
    "called_back",
    "calls_back",
    "closed",
    "fired",
    "job_ended",
    "job_put",
    "opened",
    "refused",
    "released",
    "stopped",
    "timeout_cancelled",
    "timeout_fired",
    "timeout_started",
]

_OF_FD = frozenset({Watch.READ, Watch.WRITE})
_ORIGINS: dict[int, str] = {Origin.CONNECTED: "open.connected", Origin.ACCEPTED: "open.accepted"}

# -- watchers -----------------------------------------------------------------------------------


def _watch(number: int) -> Say:
    return Say(f"watch.{Watch(number).name.lower()}" if number in Watch._value2member_map_ else "watch.other")


def _fd(event: Event) -> int | None:
    fd = unpack(event.arg)[1]
    return fd if event.reason in _OF_FD and fd != NO_FD else None


def _places(steps: Steps, event: Event) -> dict[str, Part]:
    fd = of_watcher(steps, unpack(event.arg)[0], _fd(event))
    where = at(steps, event.site)
    return {"who": who(steps, event.greenlet), "watch": _watch(event.reason), "fd": fd, "at": where}


def _with_fd(key: str, event: Event, places: dict[str, Part]) -> Say:
    """The sentence that names the descriptor, or the one for a watcher that has none."""
    if event.reason in _OF_FD:
        return Say(f"{key}.fd", places)
    return Say(key, {name: part for name, part in places.items() if name != "fd"})


def opened(steps: Steps, event: Event) -> list[Say]:
    """A watcher was made."""
    told = [_with_fd("open", event, {**_places(steps, event), "fd": descriptor(_fd(event))})]
    if event.text:
        told.append(Say(_ORIGINS.get(event.aux, "open.peer"), {"peer": event.text}))
    return told


def armed(steps: Steps, event: Event) -> list[Say]:
    """Somebody began to wait on it."""
    places = _places(steps, event)
    call = steps.call(event.greenlet)
    if call is not None and event.reason in KNOWN_TO_BLOCK:
        why = {"who": places["who"], "fd": places["fd"], "call": name_of(call.op)}
        return [Say(f"arm.{blocked(call, event.reason)}", why)]
    if event.reason == Watch.TIMER:
        time = milliseconds(unpack(event.arg)[1])
        return [Say("arm.timer", {"who": places["who"], "at": places["at"], "time": time})]
    return [_with_fd("arm", event, places)]


_FIRES: dict[int, str] = {Watch.TIMER: "fire.timer", Watch.SIGNAL: "fire.signal", Watch.CHILD: "fire.child"}


def fired(steps: Steps, event: Event) -> list[Say]:
    """The loop saw what it watches for."""
    if event.reason in _OF_FD:
        key = "fire.read" if event.reason == Watch.READ else "fire.write"
        told = [Say(key, {"fd": of_watcher(steps, unpack(event.arg)[0], _fd(event))})]
    elif event.reason in _FIRES:
        told = [Say(_FIRES[event.reason])]
    else:
        told = [Say("fire", {"watch": _watch(event.reason)})]
    greenlet = steps.greenlet(event.greenlet)
    wait = greenlet.wait
    if event.greenlet in (steps.hub, steps.running):
        return [*told, Say("fire.calls")]
    site = event.site or (wait.site if wait is not None else 0)
    return [*told, Say("fire.for", {"who": who(steps, event.greenlet), "at": at(steps, site)})]


def stopped(steps: Steps, event: Event) -> list[Say]:
    """Nobody waits on it any more."""
    places = _places(steps, event)
    if unpack(event.arg)[0] == NO_FD:  # its number went with it
        return [Say("stop.closed", {"who": places["who"], "watch": places["watch"]})]
    return [_with_fd("stop", event, places)]


def closed(steps: Steps, event: Event) -> list[Say]:
    """The watcher is gone."""
    told = [_with_fd("close", event, _places(steps, event))]
    if event.reason in _OF_FD:
        told.append(Say("close.reused"))
    return told


def refused(steps: Steps, event: Event) -> list[Say]:
    """Two wanted to wait on one."""
    watcher, other = unpack(event.arg)
    fd = of_watcher(steps, watcher, event.aux - 1 if 0 < event.aux < 0xFFFF else None)
    places: dict[str, Part] = {"who": who(steps, event.greenlet), "fd": fd, "at": at(steps, event.site)}
    return [Say("refuse", {**places, "other": who(steps, other)}), Say("refuse.why")]


# -- timeouts -----------------------------------------------------------------------------------


def timeout_started(steps: Steps, event: Event) -> list[Say]:
    """A timeout counts."""
    time = milliseconds(unpack(event.arg)[1])
    key = "timeout.start.socket" if event.reason == Timeouts.SOCKET else "timeout.start"
    places: dict[str, Part] = {"who": who(steps, event.greenlet), "time": time, "at": at(steps, event.site)}
    return [Say(key, places), Say("timeout.unless")]


def timeout_fired(steps: Steps, event: Event) -> list[Say]:
    """Its time is over."""
    places: dict[str, Part] = {"who": who(steps, event.greenlet)}
    timeout = steps.timeouts.get(event.arg)
    if timeout is not None:
        told = [Say("timeout.over.of", {**places, "time": milliseconds(timeout.ms)})]
    else:
        told = [Say("timeout.over", places)]
    greenlet = steps.greenlet(event.greenlet)
    place = line(steps, greenlet.wait.site) if greenlet.wait is not None and greenlet.life is Life.WAITING else ""
    return [*told, Say("timeout.raise.at", {"place": place}) if place else Say("timeout.raise")]


def timeout_cancelled(steps: Steps, event: Event) -> list[Say]:
    """It was stopped in time."""
    places: dict[str, Part] = {"who": who(steps, event.greenlet), "at": at(steps, event.site)}
    timeout = steps.timeouts.get(event.arg)
    if timeout is None:
        return [Say("timeout.cancel", places)]
    left = duration(max(0, timeout.due_ns - event.time_ns))
    return [Say("timeout.cancel.of", {**places, "time": milliseconds(timeout.ms), "left": left})]


# -- what the hub calls, and threads ------------------------------------------------------------


def calls_back(steps: Steps, event: Event) -> list[Say]:
    """The hub calls a function."""
    name = steps.numbers.string(unpack(event.arg)[1])
    return [Say("callback.of", {"function": name}) if name else Say("callback"), Say("callback.alone")]


def called_back(steps: Steps, event: Event) -> list[Say]:
    """The function is over."""
    name = steps.numbers.string(steps.callback or 0)
    key = "callback.returned" if event.reason == Exit.RETURNED else "callback.raised"
    return [Say(f"{key}.of", {"function": name}) if name else Say(key)]


def job_put(steps: Steps, event: Event) -> list[Say]:
    """A function was given to a thread."""
    places: dict[str, Part] = {
        "who": who(steps, event.greenlet),
        "function": _function(steps, unpack(event.arg)[1]),
        "at": at(steps, event.site),
    }
    job = Say("job.put.text", {**places, "text": event.text}) if event.text else counted("job.put", event.aux, places)
    return [job, Say("job.meanwhile")]


_ENDS: dict[int, str] = {Exit.RAISED: "raised", Exit.KILLED: "killed"}


def job_ended(steps: Steps, event: Event) -> list[Say]:
    """The function is over, and the hub has heard of it."""
    number, ms = unpack(event.arg)
    job = steps.jobs.get(number)
    how = _ENDS.get(event.reason, "returned")
    function = _function(steps, job.called if job is not None else 0)
    told = [Say(f"job.{how}", {"function": function, "who": who(steps, event.greenlet)})]
    return [*told, Say("job.waited", {"time": milliseconds(ms)})] if ms else told


def _function(steps: Steps, name: int) -> Part:
    called = steps.numbers.string(name)
    return Say("function", {"name": called}) if called else Say("function.unknown")


# -- who holds what -----------------------------------------------------------------------------

_HELD = frozenset({Resource.LOCK, Resource.RLOCK, Resource.SEMAPHORE})
_USED: dict[int, str] = {
    Resource.CONDITION: "condition",
    Resource.QUEUE: "queue",
    Resource.EVENT: "event",
    Resource.RESULT: "result",
}
_NAMED: dict[int, str] = {Resource.LOCK: "lock", Resource.RLOCK: "lock", Resource.SEMAPHORE: "semaphore", **_USED}


def _used(steps: Steps, event: Event, verb: str) -> list[Say]:
    number, left = unpack(event.arg)
    thing = Say(f"thing.{_NAMED.get(event.reason, 'other')}", {"number": str(number)})
    places: dict[str, Part] = {"who": who(steps, event.greenlet), "thing": thing, "at": at(steps, event.site)}
    if event.reason in _HELD:
        told = [Say(f"{verb}.held", places)]
    else:
        told = [Say(f"{verb}.{_USED.get(event.reason, 'other')}", places)]
    if event.reason == Resource.SEMAPHORE:
        told.append(counted("left.turns", left))
    elif event.reason == Resource.QUEUE:
        told.append(counted("left.items", left))
    return told


def acquired(steps: Steps, event: Event) -> list[Say]:
    """It holds a lock, took from a queue, saw an event."""
    told = _used(steps, event, "acquire")
    if event.aux:
        return [Say("acquire.earlier", {name: told[0].places[name] for name in ("who", "thing")}), Say("acquire.why")]
    return told


def released(steps: Steps, event: Event) -> list[Say]:
    """It let go of a lock, put into a queue, set an event."""
    return _used(steps, event, "release")
