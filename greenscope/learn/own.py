"""A lesson about somebody's own program: the first of each idea that occurs in its run, in the order of the run.

No program is known here, so each passage says what is true wherever it occurs, and names who, where and how long. Of
the questions, one of each kind is asked: the first that this run answers, and that a person can answer by stepping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Unpack, cast

from greenscope.learn.finding import Step, What, blocks, count, first
from greenscope.learn.lesson import Lesson, Passage, passage
from greenscope.learn.questions import Choice, Number, Option, Question, Where, Whose, whom
from greenscope.learn.run import Run
from greenscope.learn.telling import at, between, fd, ms, said, waker, who
from greenscope.trace.analysis.replay import greenlets
from greenscope.trace.events import Exit, Kind, Ready, Spawn, Wait

__all__ = ["NAME", "every_passage", "every_question", "own_lesson"]

NAME = "own"
"""Of its words in the tables."""

_LONG_NS = 50_000_000
_COUNTABLE = 20  # more than that nobody counts by stepping

# -- steps that no pattern finds ----------------------------------------------------------------


def _at_once(run: Run) -> int | None:
    """The first call of a socket that was over without a wait: its end is the very next step."""
    for step in run.steps(Kind.OP_END, first=1):
        began = step - 1
        if began in run.steps(Kind.OP_BEGIN, first=began, past=step) and not run.event(step).aux:
            return began
    return None


def _long_run(run: Run) -> int | None:
    """The first switch from which on somebody kept the thread for long."""
    since: dict[int, int] = {}
    for step in run.steps(Kind.GREENLET_SWITCH, Kind.GREENLET_THROW, Kind.GREENLET_PARK, Kind.GREENLET_EXIT):
        event = run.event(step)
        if event.kind in (Kind.GREENLET_SWITCH, Kind.GREENLET_THROW):
            since = {event.greenlet: step}
            continue
        began = since.pop(event.greenlet, None)
        # The first run of all is the program's start: it imports, and nobody waits for it yet.
        if began not in (None, first_switch(run)) and event.time_ns - run.event(began).time_ns >= _LONG_NS:
            return began
    return None


def _wakes(run: Run) -> int | None:
    """The first that was woken by another greenlet."""
    woken = run.steps(Kind.GREENLET_READY, reason=Ready.GREENLET)
    return next((step for step in woken if run.event(step).arg not in (0, run.hub)), None)


def _at_line(*kinds: Kind, **what: Unpack[What]) -> Step:
    """The first that is at a line; or else, the first."""
    here = {**what, "where": lambda event: event.site != 0}
    at_line, anywhere = first(*kinds, **cast("What", here)), first(*kinds, **what)
    return Step(lambda run: anywhere(run) if (step := at_line(run)) is None else step)


first_switch = first(Kind.GREENLET_SWITCH)
spawned = _at_line(Kind.GREENLET_SPAWN, reason=Spawn.GREENLET)
parked = first(Kind.GREENLET_PARK)
begun = parked.then(Kind.GREENLET_SWITCH)
blocked = first(Kind.POLL_BEGIN, where=blocks)
timer = _at_line(Kind.GREENLET_PARK, reason=Wait.TIMER)
reads = _at_line(Kind.GREENLET_PARK, reason=Wait.READ)
writes = _at_line(Kind.GREENLET_PARK, reason=Wait.WRITE)
fired = _at_line(Kind.GREENLET_READY, reason=Ready.WATCHER)
back = fired.then(Kind.GREENLET_SWITCH, of=fired)
at_once = Step(_at_once)
yields = _at_line(Kind.GREENLET_PARK, reason=Wait.YIELD)
wakes = Step(_wakes)
lock = _at_line(Kind.GREENLET_PARK, reason=Wait.LOCK)
joins = _at_line(Kind.GREENLET_PARK, reason=Wait.JOIN)
timed = _at_line(Kind.TIMEOUT_START)
over = first(Kind.TIMEOUT_FIRE)
thrown = over.then(Kind.GREENLET_THROW, of=over)
cancelled = first(Kind.TIMEOUT_CANCEL)
killed = first(Kind.GREENLET_READY, reason=Ready.KILL)
closed = first(Kind.GREENLET_READY, reason=Ready.CLOSE)
job = _at_line(Kind.JOB_PUT)
job_done = first(Kind.JOB_END)
callback = first(Kind.CALLBACK_BEGIN)
long_run = Step(_long_run)
long_end = long_run.then(Kind.GREENLET_PARK, Kind.GREENLET_EXIT, of=long_run)
raised = first(Kind.GREENLET_EXIT, reason=Exit.RAISED)
ended = first(Kind.GREENLET_EXIT, reason=Exit.RETURNED)
loop_exit = first(Kind.LOOP_EXIT)
lost = Step(lambda run: next(run.steps(Kind.TEXT), None))
last_step = Step(lambda run: len(run) - 1)

every_passage: tuple[Passage, ...] = (
    passage("begins", Step(lambda run: first_switch(run) or 0)),
    passage("spawned", spawned, who=who(spawned), by=waker(spawned), at=at(spawned)),
    passage("parked", parked, who=who(parked), at=at(parked)),
    passage("begun", begun, who=who(begun)),
    passage("timer", timer, who=who(timer), at=at(timer)),
    passage("reads", reads, who=who(reads), at=at(reads), fd=fd(reads)),
    passage("writes", writes, who=who(writes), at=at(writes), fd=fd(writes)),
    passage("blocks", blocked),
    passage("fired", fired, who=who(fired), at=at(fired)),
    passage("back", back, who=who(back), at=at(back), gap=between(fired, back)),
    passage("at_once", at_once, who=who(at_once), at=at(at_once)),
    passage("yields", yields, who=who(yields), at=at(yields)),
    passage("wakes", wakes, who=who(wakes), by=waker(wakes)),
    passage("lock", lock, who=who(lock), at=at(lock)),
    passage("joins", joins, who=who(joins), at=at(joins)),
    passage("timed", timed, who=who(timed), at=at(timed), ms=ms(timed)),
    passage("thrown", thrown, who=who(thrown), at=at(thrown)),
    passage("cancelled", cancelled, who=who(cancelled)),
    passage("killed", killed, who=who(killed), by=waker(killed)),
    passage("closed", closed, who=who(closed), by=waker(closed)),
    passage("job", job, who=who(job), at=at(job)),
    passage("job_done", job_done),
    passage("callback", callback),
    passage("long", long_run, who=who(long_run), ran=between(long_run, long_end)),
    passage("raised", raised, who=who(raised)),
    passage("ended", ended, who=who(ended)),
    passage("loop_exit", loop_exit),
    passage("lost", lost),
    passage("remember", last_step),
)

# -- questions ----------------------------------------------------------------------------------

subject = _at_line(Kind.GREENLET_PARK, after=begun)  # somebody that waits, other than who was first to, if there is one
awake = subject.then(Kind.GREENLET_READY, of=subject)
goes_on = awake.then(Kind.GREENLET_SWITCH, Kind.GREENLET_THROW, of=subject)


def _few(number: Callable[[Run], int | None]) -> Callable[[Run], int | None]:
    def few(run: Run) -> int | None:
        found = number(run)
        return found if found is not None and 0 < found <= _COUNTABLE else None

    return few


def _among_several(whose: Callable[[Run], int | None]) -> Callable[[Run], int | None]:
    return lambda run: whose(run) if len(greenlets(run.replay)) > 1 else None


def _most_parked(run: Run) -> int | None:
    """Who parked most often; None if several did."""
    most = Counter(run.event(step).greenlet for step in run.steps(Kind.GREENLET_PARK)).most_common(2)
    return most[0][0] if len(most) == 2 and most[0][1] > most[1][1] else None


def _awake_by(*reasons: Ready) -> Callable[[Run], bool]:
    def holds(run: Run) -> bool:
        step = awake(run)
        return step is not None and run.event(step).reason in reasons

    return holds


_parks = _few(count(Kind.GREENLET_PARK, of=subject))
every_question: tuple[Question, ...] = (
    Number("parks", _parks, seen=subject, places={"who": who(subject)}),
    Number("blocked", _few(count(Kind.POLL_BEGIN, where=blocks)), seen=blocked),
    Number("exits", _few(count(Kind.GREENLET_EXIT)), seen=ended),
    Choice(
        "woke",
        (
            Option("hub", _awake_by(Ready.WATCHER)),
            Option("other", _awake_by(Ready.GREENLET, Ready.KILL, Ready.CLOSE)),
            Option("timeout", _awake_by(Ready.TIMEOUT)),
            Option("itself", _awake_by(Ready.YIELD)),
        ),
        seen=awake,
        places={"who": who(subject), "at": at(subject)},
    ),
    Whose("first", _among_several(whom(begun)), seen=begun, places={"who": who(parked), "first": who(begun)}),
    Whose("most", _among_several(_most_parked), seen=parked),
    Where("back", goes_on, {"who": who(subject), "at": at(subject)}),
    Where("blocks", blocked),
    Where("park", parked, {"who": who(parked)}),
)


def own_lesson(run: Run, file: str) -> Lesson:
    """The lesson about a run of any program.

    Args:
        run: it.
        file: what the program is called.
    """
    found = [(step, one) for one in every_passage if (step := one.step(run)) is not None]
    passages = tuple(one for _, one in sorted(found, key=lambda each: each[0]))
    return Lesson(NAME, passages, tuple(_asked(run)), "parked", {"file": lambda _: file, "steps": said(len)})


def _asked(run: Run) -> Iterator[Question]:
    """Of each kind, the first that this run answers."""
    answered = [(one, answer.kind) for one in every_question if (answer := one.answer(run)) is not None]
    for _, same in groupby(answered, key=lambda each: each[1]):
        yield next(same)[0]
