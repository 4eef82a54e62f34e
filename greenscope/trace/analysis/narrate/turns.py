"""Who runs, who is ready, who waits, and why: the sentences of greenlets and of the hub."""

from __future__ import annotations

from greenscope.trace.analysis.narrate.calls import KNOWN_TO_BLOCK, blocked, name_of
from greenscope.trace.analysis.narrate.phrases import (
    Part,
    Say,
    at,
    counted,
    line,
    milliseconds,
    of_watcher,
    waits_for,
    who,
)
from greenscope.trace.analysis.states import Life
from greenscope.trace.analysis.step_parts import Awake, Greenlet, Parked
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.analysis.words import duration
from greenscope.trace.events import Exit, Ready, Spawn, Wait, Watch, unpack
from greenscope.trace.records import Event

__all__ = [
    "exits",
    "loop_exits",
    "named",
    "parks",
    "poll_begins",
    "poll_ends",
    "ready",
    "spawned",
    "switched",
    "thrown",
]


def spawned(steps: Steps, event: Event) -> list[Say]:
    """One began to exist."""
    it = who(steps, event.greenlet)
    match event.reason:
        case Spawn.HUB:
            return [Say("spawn.hub")]
        case Spawn.MAIN:
            return [Say("spawn.main", {"who": it})]
        case Spawn.RAW:
            return [Say("spawn.raw", {"who": it})]
    where = at(steps, event.site)
    if event.arg:
        first = Say("spawn.by", {"by": who(steps, event.arg), "who": it, "at": where})
    else:
        first = Say("spawn", {"who": it, "at": where})
    return [first, Say("spawn.not_ready")]


def named(steps: Steps, event: Event) -> list[Say]:
    """It has a name, or another one."""
    name = steps.numbers.string(event.arg)
    label = f"{name} #{event.greenlet}" if event.aux else name
    before = steps.names.get(event.greenlet)
    if before is None or before == label:
        return [Say("name", {"number": str(event.greenlet), "name": name})]
    return [Say("name.again", {"old": before, "name": label})]


# -- ready --------------------------------------------------------------------------------------


def ready(steps: Steps, event: Event) -> list[Say]:
    """It can run: why, and who is ahead of it."""
    greenlet = steps.greenlet(event.greenlet)
    told = [_why_ready(steps, event, greenlet)]
    if event.greenlet in steps.queue:
        told.append(Say("queue.kept"))
    elif steps.queue_known:
        told.append(counted("queue.ahead", len(steps.queue)))
    return told


def _why_ready(steps: Steps, event: Event, greenlet: Greenlet) -> Say:
    wait = greenlet.wait
    places: dict[str, Part] = {
        "who": who(steps, event.greenlet),
        "by": who(steps, event.arg),
        "where": _where(steps, wait),
        "at": at(steps, wait.site) if wait is not None else "",
    }
    match event.reason:
        case Ready.WATCHER:
            return _fired(steps, event, places)
        case Ready.TIMEOUT:
            timeout = steps.over.get(event.greenlet)
            if timeout is not None and timeout.number == event.arg:
                return Say("ready.timeout.of", {**places, "time": milliseconds(timeout.ms)})
            return Say("ready.timeout", places)
        case Ready.SPAWN | Ready.KILL | Ready.CLOSE if not event.arg:
            return Say(f"ready.{_BY_NOBODY[event.reason]}", places)
        case Ready.SPAWN:
            return Say("ready.spawn.by", places)
        case Ready.KILL:
            return Say("ready.kill.by", places)
        case Ready.CLOSE:
            return Say("ready.close.by", places)
        case Ready.YIELD:
            return Say("ready.yield", places)
        case Ready.GREENLET if event.arg and wait is not None and wait.reason in _WOKEN:
            return Say(_WOKEN[wait.reason], {**places, "number": str(wait.resource)})
        case Ready.GREENLET if event.arg:
            return Say("ready.by", places)
    return Say("ready.loop_exit" if steps.loop_exit else "ready.other", places)


_BY_NOBODY: dict[int, str] = {Ready.SPAWN: "spawn", Ready.KILL: "kill", Ready.CLOSE: "close"}
_WOKEN: dict[int, str] = {
    Wait.LOCK: "ready.lock",
    Wait.QUEUE: "ready.queue",
    Wait.EVENT: "ready.event",
    Wait.JOIN: "ready.end",
    Wait.THREAD: "ready.thread",
}
_FIRED: dict[int, str] = {
    Watch.READ: "ready.read",
    Watch.WRITE: "ready.write",
    Watch.TIMER: "ready.timer",
    Watch.SIGNAL: "ready.signal",
    Watch.CHILD: "ready.child",
}


def _fired(steps: Steps, event: Event, places: dict[str, Part]) -> Say:
    watched = steps.watchers.get(event.arg)
    key = _FIRED.get(watched.watch) if watched is not None else None
    if key is None:
        return Say("ready.watcher", places)
    if key in ("ready.read", "ready.write"):
        return Say(key, {**places, "fd": of_watcher(steps, event.arg)})
    return Say(key, places)


def _where(steps: Steps, wait: Parked | None) -> Part:
    """That it will go on "at client.py:14"; nothing if that is not known."""
    place = line(steps, wait.site) if wait is not None else ""
    return Say("where", {"place": place}) if place else ""


# -- runs ---------------------------------------------------------------------------------------


def switched(steps: Steps, event: Event) -> list[Say]:
    """It runs, and goes on with what it waited for."""
    it, greenlet = who(steps, event.greenlet), steps.greenlet(event.greenlet)
    if greenlet.life is Life.SPAWNED and greenlet.spawn == Spawn.MAIN:
        return [Say("switch.main", {"who": it})]
    other = _without_hub(steps, event.greenlet)
    if other:
        return [Say("switch.direct", {"who": it, "other": who(steps, other)})]
    if greenlet.awake is not None:
        time = duration(max(0, event.time_ns - greenlet.awake.since_ns))
        told = [Say("switch.after", {"who": it, "time": time})]
    else:
        told = [Say("switch", {"who": it})]
    if not greenlet.has_run:
        place = line(steps, event.site)
        return [*told, Say("switch.begins.at", {"place": place}) if place else Say("switch.begins")]
    return [*told, *_goes_on(steps, event, greenlet)]


def _without_hub(steps: Steps, number: int) -> int:
    """Who ran, if that was another greenlet."""
    running = steps.running
    return running if running is not None and running not in (steps.hub, number) else 0


def _goes_on(steps: Steps, event: Event, greenlet: Greenlet) -> list[Say]:
    wait, awake = greenlet.wait, greenlet.awake
    place = line(steps, event.site or (wait.site if wait is not None else 0))
    if wait is None or awake is None:
        return [Say("on.at", {"place": place})] if place else []
    if wait.reason == Wait.YIELD:
        return [Say("on.turn.at", {"place": place})] if place else [Say("on.turn")]
    sought = _sought(steps, wait, awake)
    places: dict[str, Part] = {"time": duration(max(0, awake.since_ns - wait.since_ns)), "for": sought}
    return [Say("on.waited.at", {**places, "place": place})] if place else [Say("on.waited", places)]


def _sought(steps: Steps, wait: Parked, awake: Awake) -> Say:
    """What it waited for, as that turned out."""
    if wait.reason == Wait.LOCK:  # its own by now
        return Say("for.lock", {"number": str(wait.resource)})
    if wait.reason == Wait.JOIN and awake.reason == Ready.GREENLET and awake.by not in (0, steps.hub, wait.awaits):
        return Say("for.end.last", {"other": who(steps, awake.by)})  # of several, one of which was named
    return waits_for(steps, wait)


def thrown(steps: Steps, event: Event) -> list[Say]:
    """It runs, because something is raised in it."""
    it, greenlet = who(steps, event.greenlet), steps.greenlet(event.greenlet)
    awake, timeout = greenlet.awake, steps.over.get(event.greenlet)
    places: dict[str, Part] = {"who": it}
    reason = awake.reason if awake is not None else None
    if reason == Ready.TIMEOUT and timeout is not None:
        first = Say("throw.timeout.of", {**places, "time": milliseconds(timeout.ms)})
    elif reason == Ready.TIMEOUT:
        first = Say("throw.timeout", places)
    elif reason == Ready.KILL:
        first = Say("throw.kill", places)
    elif reason == Ready.CLOSE:
        first = Say("throw.close", places)
    else:
        first = Say("throw.loop_exit" if steps.loop_exit else "throw", places)
    if greenlet.wait is None:
        return [first]
    sought = waits_for(steps, greenlet.wait)
    return [first, Say("throw.wait", {"for": sought, "at": at(steps, event.site or greenlet.wait.site)})]


# -- waits, ends --------------------------------------------------------------------------------


def parks(steps: Steps, event: Event) -> list[Say]:
    """It waits: for what, and where it will go on."""
    it, wait = who(steps, event.greenlet), steps.wait_of(event)
    call = steps.call(event.greenlet)
    if event.reason == Wait.YIELD:
        told = [Say("park.turn", {"who": it, "at": at(steps, event.site)})]
    elif call is not None:
        site = call.site or event.site
        key = "park.again" if call.waits else "park.called"
        told = [Say(key, {"who": it, "call": name_of(call.op), "at": at(steps, site)})]
        if event.reason in KNOWN_TO_BLOCK:
            fd = of_watcher(steps, wait.resource, wait.fd)
            told.append(Say(f"park.{blocked(call, event.reason)}", {"fd": fd}))
        else:
            told.append(Say("park.it", {"for": waits_for(steps, wait)}))
    else:
        told = [Say("park", {"who": it, "for": waits_for(steps, wait), "at": at(steps, event.site)})]
    return [*told, *_will_go_on(steps, event)]


def _will_go_on(steps: Steps, event: Event) -> list[Say]:
    deadline = unpack(event.arg)[1]
    if not line(steps, event.site):
        return [Say("park.deadline", {"time": milliseconds(deadline)})] if deadline else []
    if deadline:
        return [Say("park.on.deadline", {"time": milliseconds(deadline)})]
    return [Say("park.on")]


_ENDS: dict[int, str] = {Exit.RAISED: "raised", Exit.KILLED: "killed"}


def exits(steps: Steps, event: Event) -> list[Say]:
    """It ended."""
    how = _ENDS.get(event.reason, "returned")
    told = [Say(f"exit.{how}", {"who": who(steps, event.greenlet)})]
    if steps.running == event.greenlet:
        told.append(Say("exit.hub"))
    elif not steps.greenlet(event.greenlet).has_run:
        told.append(Say("exit.never_ran"))
    return told


# -- the hub ------------------------------------------------------------------------------------


def poll_begins(steps: Steps, event: Event) -> list[Say]:
    """The hub asks the kernel."""
    if event.aux:
        return [Say("poll.blocks")]
    return [counted("poll.asks", len(steps.queue))]


def poll_ends(steps: Steps, event: Event) -> list[Say]:
    """The kernel answered."""
    told = [counted("poll.fired", event.aux)]
    if steps.queue and steps.queue_known:
        told.append(Say("poll.next", {"who": who(steps, steps.first)}))
    return told


def loop_exits(steps: Steps, event: Event) -> list[Say]:
    """Nobody is left who could wake anyone."""
    resource, ms = unpack(event.arg)
    wait = steps.greenlet(event.greenlet).wait
    if wait is None:
        wait = Parked(event.reason, resource, None, 0, 0, event.site, event.time_ns)
    places: dict[str, Part] = {
        "who": who(steps, event.greenlet),
        "time": milliseconds(ms),
        "for": waits_for(steps, wait),
        "at": at(steps, event.site),
    }
    return [counted("loop_exit", event.aux), Say("loop_exit.who", places)]
