"""From moves to spans, a batch at once: the moves are sorted by lane, and a span is what lies between two of them.

The sort is stable, so each lane's moves stay in the order of time, and each lane's begin with a
``CARRY`` that stands for what it did when the batch began. With that every question is about a move
and the one before it in the same array: what is legal (the life before, and the move), how long a
span was, how long a greenlet had been ready. Nothing here loops over lanes or events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.lane import ALIVE
from greenscope.trace.analysis.lanes import Lanes
from greenscope.trace.analysis.moves import Move, Moves
from greenscope.trace.analysis.spans import SPAN, SpanArray, distinct, put
from greenscope.trace.analysis.stalls import FOUND
from greenscope.trace.analysis.states import POLL, TRANSITIONS, Life, State
from greenscope.trace.analysis.watchers import Watchers
from greenscope.trace.events import NO_FD, Kind, Ready, Wait

__all__ = ["Fold"]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MS = 1_000_000
_RADIX = 1 << 16  # numpy sorts 16-bit numbers by radix, and larger ones by merging


def _flags(*moves: Move) -> npt.NDArray[np.bool_]:
    table = np.zeros(len(Move), bool)
    table[list(moves)] = True
    return table


_LIFE = np.zeros(len(Move), np.uint8)
for _move, _life in {
    Move.SPAWN: Life.SPAWNED,
    Move.READY: Life.READY,
    Move.RUN: Life.RUNNING,
    Move.THROWN: Life.RUNNING,
    Move.PARK: Life.WAITING,
    Move.EXIT: Life.EXITED,
    Move.OVERTAKEN: Life.UNKNOWN,
}.items():
    _LIFE[_move] = _life

_STATE = np.zeros(len(Move), np.uint8)
for _move, _state in {Move.READY: State.READY, Move.PARK: State.WAITING, Move.POLL: State.WAITING}.items():
    _STATE[_move] = _state

_LIVES = _flags(
    Move.SPAWN, Move.READY, Move.RUN, Move.THROWN, Move.PARK, Move.EXIT, Move.OVERTAKEN, Move.CARRY
)  # fmt: skip
_OPENS = _flags(Move.READY, Move.RUN, Move.THROWN, Move.PARK, Move.POLL, Move.POLLED, Move.HUB_RUNS)
_ENDS = _OPENS | _flags(Move.EXIT, Move.OVERTAKEN, Move.HUB_GIVES_WAY, Move.CARRY)
"""What ends the span that goes on; a ``READY`` only if it was not ready before."""

_ACTS = ~_flags(Move.NONE, Move.NAME, Move.OVERTAKEN, Move.HUB_GIVES_WAY)
"""What only a greenlet that lives does, and ``CARRY``."""

_ILLEGAL = np.zeros((len(Life), len(Move)), bool)
for _kind, _moves in {
    Kind.GREENLET_READY: [Move.READY],
    Kind.GREENLET_SWITCH: [Move.RUN],
    Kind.GREENLET_THROW: [Move.THROWN],
    Kind.GREENLET_PARK: [Move.PARK],
    Kind.GREENLET_EXIT: [Move.EXIT],
}.items():
    for _life in set(Life) - {Life.UNKNOWN}:
        _ILLEGAL[_life, _moves] = (_life, _kind) not in TRANSITIONS


class Fold:
    """One batch being folded. What comes of it is in the attributes, and in the lanes.

    Args:
        moves: of the batch, in the order of what happened.
        events: the batch's events.
        at: their times, none before the one ahead of it.
        lanes: what goes on; changed in place.
        watchers: what watchers' numbers stand for in this batch.
        name: gives the number of a text, by the number of a string.
        stall_ns: a run this long is a stall.
        ready: how many greenlets are ready when it begins.
    """

    def __init__(
        self,
        moves: Moves,
        events: npt.NDArray[Any],
        at: npt.NDArray[np.int64],
        lanes: Lanes,
        watchers: Watchers,
        name: Callable[[int], int],
        stall_ns: int,
        ready: int,
    ) -> None:
        self._events, self._lanes, self._watchers = events, lanes, watchers
        self._moves, rows = _rows(moves, lanes)
        self._ready_before = ready
        self.illegal = moves.illegal
        self._sort(rows, at)
        self._live()
        self._read(name)
        self._cut()
        self._stall(stall_ns)
        self._settle()

    def _sort(self, rows: npt.NDArray[np.intp], at: npt.NDArray[np.int64]) -> None:
        """The moves by lane, each lane's after its ``CARRY``."""
        touched = np.zeros(len(self._lanes), bool)
        touched[rows] = True
        self._rows = np.flatnonzero(touched)  # of the lanes in this batch
        count = self._carries = len(self._rows)
        all_rows = np.concatenate((self._rows, rows))
        if len(self._lanes) <= _RADIX:
            order = np.argsort(all_rows.astype(np.uint16), kind="stable")
        else:
            low = np.argsort((all_rows % _RADIX).astype(np.uint16), kind="stable")
            order = low[np.argsort((all_rows // _RADIX)[low], kind="stable")]
        self._when = order - count  # a move's place in time; negative for a CARRY
        self._move = np.concatenate((np.full(count, Move.CARRY, np.uint8), self._moves.move))[order]
        event = np.concatenate((np.zeros(count, np.intp), self._moves.event))
        self._event = event[order]
        self._time = at[self._event]
        self._heads = np.flatnonzero(self._move == Move.CARRY)
        sizes = np.diff(np.append(self._heads, len(order)))
        self._lane = np.repeat(np.arange(count), sizes)

    def _live(self) -> None:
        """Where each greenlet is in its life: what is not legal, and how many are ready."""
        rows = self._lanes.rows
        self._lives = np.flatnonzero(_LIVES[self._move])
        move = self._life_moves = self._move[self._lives]
        heads = self._life_heads = np.flatnonzero(move == Move.CARRY)
        after = _LIFE[move]
        after[heads] = rows["life"][self._rows]
        before = np.concatenate((after[:1], after[:-1]))
        self._before, self._after = before, after
        self.illegal += int(np.count_nonzero(_ILLEGAL[before, move]))
        final = after[_lasts(heads, len(move))]
        self.ready = self._ready_before + int(
            np.count_nonzero(final == Life.READY) - np.count_nonzero(after[heads] == Life.READY)
        )
        rows["life"][self._rows] = final

    def _read(self, name: Callable[[int], int]) -> None:
        """What else the events say of a greenlet: where it parked last, when its timer is due, what it is called."""
        rows, events = self._lanes.rows, self._events
        move, heads = self._life_moves, self._life_heads
        parks = np.flatnonzero(move == Move.PARK)
        sites = np.zeros(len(move), np.uint32)
        sites[heads] = rows["site"][self._rows]
        sites[parks] = events["site"][self._event[self._lives[parks]]]
        given = np.zeros(len(move), np.intp)
        given[heads], given[parks] = heads, parks
        sites = sites[np.maximum.accumulate(given)]
        rows["site"][self._rows] = sites[_lasts(heads, len(move))]
        self._site = np.zeros(len(self._move), np.uint32)
        self._site[self._lives] = sites

        timers = self._timers = np.flatnonzero((self._move == Move.TIMER) | (self._move == Move.CARRY))
        self._due = self._time[timers] + (events["arg"][self._event[timers]] >> _HALF).astype(np.int64) * _MS
        heads = np.flatnonzero(self._move[timers] == Move.CARRY)
        self._due[heads] = rows["timer_due"][self._rows]
        rows["timer_due"][self._rows] = self._due[_lasts(heads, len(timers))]

        self._names = np.flatnonzero((self._move == Move.NAME) | (self._move == Move.CARRY))
        heads = np.flatnonzero(self._move[self._names] == Move.CARRY)
        named = self._event[self._names]
        strings = distinct(events["arg"][named])
        numbers = np.array([name(string) for string in strings.tolist()], np.uint32)
        self._called = numbers[np.searchsorted(strings, events["arg"][named])]
        self._numbered = events["aux"][named] != 0
        self._called[heads], self._numbered[heads] = rows["name"][self._rows], rows["numbered"][self._rows]
        final = _lasts(heads, len(named))
        rows["name"][self._rows], rows["numbered"][self._rows] = self._called[final], self._numbered[final]

    def _cut(self) -> None:
        """The spans: what ended in this batch, and what goes on."""
        rows, going_on = self._lanes.rows, self._lanes.open
        ends = _ENDS[self._move]
        # Made ready twice, it has been ready since the first time.
        ends[self._lives[(self._life_moves == Move.READY) & (self._before == Life.READY)]] = False
        edges = np.flatnonzero(ends)
        move = self._move[edges]
        heads = np.flatnonzero(move == Move.CARRY)
        lasts = _lasts(heads, len(edges))
        opens = _OPENS[move]
        opens[heads] = rows["goes_on"][self._rows]
        self._time_latency(edges, heads, opens)

        spans = self._opened(edges[opens])
        carried = np.flatnonzero(move[opens] == Move.CARRY)
        put(spans, carried, going_on.take(self._rows[opens[heads]]))
        last = np.zeros(len(edges), bool)
        last[lasts] = True
        is_last = last[opens]
        rows["goes_on"][self._rows] = opens[lasts]
        put(going_on, self._rows[opens[lasts]], spans.take(np.flatnonzero(is_last)))

        self.closed: SpanArray = spans.take(np.flatnonzero(~is_last))
        self._closing = edges[np.flatnonzero(opens & ~last) + 1]  # the moves that ended them
        self.closed["end"] = np.maximum(self._time[self._closing], self.closed["start"])
        self.closed_by: npt.NDArray[np.intp] = self._event[self._closing]
        """Which event of the batch ended each."""

    def _time_latency(
        self, edges: npt.NDArray[np.intp], heads: npt.NDArray[np.intp], opens: npt.NDArray[np.bool_]
    ) -> None:
        """How long those that began to run had been ready."""
        began = self._time[edges]
        began[heads] = self._lanes.open["start"][self._rows]
        self._runs = (self._life_moves == Move.RUN) | (self._life_moves == Move.THROWN)
        ran = self._lives[self._runs & (self._before == Life.READY)]
        before = np.searchsorted(edges, ran) - 1
        known = opens[before]
        self.ran_at = self._time[ran[known]]
        self.latency = self.ran_at - began[before[known]]

    def _opened(self, at: npt.NDArray[np.intp]) -> SpanArray:
        """The spans that begin with these moves."""
        move, event, events = self._move[at], self._event[at], self._events
        spans = np.zeros(len(at), SPAN)
        spans["greenlet"] = self._lanes.ids[self._rows][self._lane[at]]
        spans["start"] = self._time[at]
        spans["fd"] = NO_FD
        spans["state"] = _STATE[move]
        spans["reason"][move == Move.POLL] = POLL
        spans["reason"][move == Move.THROWN] = 1
        runs = np.flatnonzero((move == Move.RUN) | (move == Move.THROWN))
        spans["site"][runs] = self._site[at[runs]]

        wakes = np.flatnonzero(move == Move.READY)
        woken = event[wakes]
        arg, reason = events["arg"][woken], events["reason"][woken]
        spans["about"][wakes], spans["reason"][wakes] = arg, reason
        by_watcher = np.flatnonzero(reason == Ready.WATCHER)
        spans["peer"][wakes[by_watcher]] = self._watchers.at(arg[by_watcher], woken[by_watcher])[1]

        parks = np.flatnonzero(move == Move.PARK)
        parked = event[parks]
        arg, reason, aux = events["arg"][parked], events["reason"][parked], events["aux"][parked]
        resource, milliseconds = arg & _LOW, (arg >> _HALF).astype(np.int64)
        fd, peer = self._watchers.at(resource, parked)
        deadline = np.where(milliseconds, spans["start"][parks] + milliseconds * _MS, 0)
        timed = np.flatnonzero((reason == Wait.TIMER) & (milliseconds == 0))
        deadline[timed] = self._due[np.searchsorted(self._timers, at[parks[timed]], "right") - 1]
        spans["about"][parks], spans["reason"][parks], spans["site"][parks] = resource, reason, self._site[at[parks]]
        spans["deadline"][parks], spans["peer"][parks] = deadline, peer
        # aux is the descriptor + 1, 0 for none; or the greenlet that is waited for
        said = np.where((reason == Wait.LOCK) | (reason == Wait.JOIN), np.uint32(NO_FD), aux - np.uint32(1))
        spans["fd"][parks] = np.where(fd == NO_FD, said, fd)
        return spans

    def _stall(self, stall_ns: int) -> None:
        """The runs that were too long; how long all greenlets ran."""
        closed, when = self.closed, self._when[self._closing]
        ran = np.flatnonzero((closed["state"] == State.RUNNING) & (closed["greenlet"] != self._moves.hub[when]))
        length = closed["end"][ran] - closed["start"][ran]
        self.run_time = int(length.sum())
        long = ran[length >= stall_ns]
        long = long[np.argsort(when[long])]
        closed["state"][long] = State.STALLED
        closing = self._closing[long]
        stalls = self.stalls = np.zeros(len(long), FOUND)
        for field in ("greenlet", "start", "end"):
            stalls[field] = closed[field][long]
        stalls["before"] = closed["site"][long]
        parked = np.flatnonzero(self._move[closing] == Move.PARK)
        stalls["after"][parked] = self._events["site"][self._event[closing[parked]]]
        stalls["when"] = when[long]
        stalls["ready"] = self.ready_at(when[long])
        called = np.searchsorted(self._names, closing, "right") - 1
        stalls["name"], stalls["numbered"] = self._called[called], self._numbered[called]

    def ready_at(self, when: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many greenlets were ready after some moves; before them, for those that were overtaken."""
        if not len(when):
            return np.zeros(0, np.int64)
        delta = (self._after == Life.READY).astype(np.int64) - (self._before == Life.READY)
        own = self._life_moves != Move.CARRY
        deltas = np.zeros(len(self._moves.move), np.int64)
        deltas[self._when[self._lives[own]]] = delta[own]
        before = self._ready_before + np.cumsum(deltas) - deltas
        return before[when] + np.where(self._moves.move[when] == Move.OVERTAKEN, 0, deltas[when])

    def polls(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """When polls ended, in the order in which ``stalls["when"]`` counts, and how many were ready then."""
        when = np.flatnonzero(self._moves.move == Move.POLLED)
        return when, self.ready_at(when)

    def _settle(self) -> None:
        """What the lanes say of themselves now."""
        rows, of, closed = self._lanes.rows, self._rows, self.closed
        counts = np.bincount(self._lane[self._closing], minlength=len(of))
        past = np.cumsum(counts)
        first = past - counts
        some = np.flatnonzero(counts)
        fresh = some[rows["spans"][of[some]] == 0]
        rows["begins"][of[fresh]] = closed["start"][first[fresh]]
        rows["ends"][of[some]] = closed["end"][past[some] - 1]
        rows["spans"][of] += counts
        running = (closed["state"] == State.RUNNING) | (closed["state"] == State.STALLED)
        ran = np.concatenate(([0], np.cumsum(np.where(running, closed["end"] - closed["start"], 0))))
        rows["run_time"][of] += ran[past] - ran[first]
        runs = self._lives[self._runs]
        rows["switches"][of] += np.bincount(self._lane[runs], minlength=len(of))
        self.switches = len(runs)

        spawns = np.flatnonzero(self._move == Move.SPAWN)
        spawned, spawn = of[self._lane[spawns]], self._events.take(self._event[spawns])
        rows["parent"][spawned], rows["spawn_reason"][spawned] = spawn["arg"], spawn["reason"]
        rows["spawn_site"][spawned], rows["spawned_at"][spawned] = spawn["site"], self._time[spawns]

        # The last thing that it did decides: the table after a gap may have taken it for gone.
        acts = np.flatnonzero(_ACTS[self._move])
        move = self._move[acts]
        last = _lasts(np.flatnonzero(move == Move.CARRY), len(acts))
        exits, revived = move[last] == Move.EXIT, (move[last] != Move.EXIT) & (move[last] != Move.CARRY)
        exit_at = acts[last[exits]]
        rows["exit"][of[exits]] = self._events["reason"][self._event[exit_at]]
        rows["ended_at"][of[exits]] = self._time[exit_at]
        rows["exit"][of[revived]] = ALIVE


def _rows(moves: Moves, lanes: Lanes) -> tuple[Moves, npt.NDArray[np.intp]]:
    """The rows of the moves' lanes, new ones where need be; without moves of a hub that nothing is known of."""
    rows, known = lanes.find(moves.greenlet)
    if known.all():
        return moves, rows
    new = distinct(moves.greenlet[~known & (moves.move != Move.HUB_GIVES_WAY)])
    if len(new):
        lanes.add(new)
        rows, known = lanes.find(moves.greenlet)
    if not known.all():
        moves = moves._replace(
            move=moves.move[known], greenlet=moves.greenlet[known], event=moves.event[known], hub=moves.hub[known]
        )
        rows = rows[known]
    return moves, rows


def _lasts(heads: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    """The last of each lane, of an array in which each lane's first are these."""
    return np.append(heads[1:], length) - 1 if len(heads) else heads
