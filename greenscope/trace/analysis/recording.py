"""The events of one recording by their steps: kept as the records they are, and found by what they are about.

A step is one event; a loss is a step of its own, of the kind that no event has (``Kind.TEXT``: a reader gives texts
with their events). A million events are 32 MB here, and become values only where somebody looks. Which step is the
next or the last of some kind about some greenlet or watcher is looked up in an index that is made when it is first
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.errors import NoSuchStepError
from greenscope.trace.events import Kind
from greenscope.trace.records import EVENT_DTYPE, Batch, Event, EventArray, Gap

__all__ = ["Index", "Recording"]

_LOSS = Kind.TEXT
_LOW = np.uint64(0xFFFFFFFF)
_AT_ONCE = 1 << 12
_FEW = 1 << 10
_LIVES = (
    Kind.GREENLET_SPAWN, Kind.GREENLET_READY, Kind.GREENLET_SWITCH, Kind.GREENLET_THROW, Kind.GREENLET_PARK,
    Kind.GREENLET_EXIT,
)  # fmt: skip
_RUNS = (Kind.GREENLET_SWITCH, Kind.GREENLET_THROW)
_KEYS: dict[str, Callable[[EventArray], npt.NDArray[np.uint64]]] = {
    "greenlet": lambda rows: rows["greenlet"],
    "number": lambda rows: rows["arg"] & _LOW,
    "both": lambda rows: (rows["greenlet"] << np.uint64(32)) | (rows["arg"] & _LOW),
    "": lambda rows: np.zeros(len(rows), np.uint64),
}


class Index:
    """Steps by a key, to find the next and the last of one.

    Args:
        steps: they, in their order.
        keys: of each, its key.
    """

    def __init__(self, steps: npt.NDArray[np.intp], keys: npt.NDArray[np.uint64]) -> None:
        order = np.argsort(keys, kind="stable")
        self._steps, self._keys = steps[order], keys[order]
        self._asked: dict[int, npt.NDArray[np.intp]] = {}

    def before(self, step: int, key: int = 0) -> int | None:
        """The last step of a key that is less than this one."""
        of_key = self._of(key)
        at = int(of_key.searchsorted(step, "left")) - 1
        return int(of_key[at]) if at >= 0 else None

    def after(self, step: int, key: int = 0) -> int | None:
        """The first step of a key that is greater than this one."""
        of_key = self._of(key)
        at = int(of_key.searchsorted(step, "right"))
        return int(of_key[at]) if at < len(of_key) else None

    def _of(self, key: int) -> npt.NDArray[np.intp]:
        """The steps of a key; who looks around at one place asks for the same few again and again."""
        found = self._asked.get(key)
        if found is None:
            if len(self._asked) > _FEW:
                self._asked.clear()
            wanted = np.uint64(key)
            found = self._steps[self._keys.searchsorted(wanted, "left") : self._keys.searchsorted(wanted, "right")]
            self._asked[key] = found
        return found


class Recording:
    """What a ring's reader gave, in its order."""

    def __init__(self) -> None:
        self._rows: EventArray = np.zeros(0, EVENT_DTYPE)
        self._count = 0
        self._texts: dict[int, str] = {}
        self._indexes: dict[tuple[tuple[int, ...], str], Index] = {}
        self.lost = 0
        """How many records were lost."""

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> EventArray:
        """All of it as records; where some were lost, one of kind ``TEXT`` whose ``arg`` is how many."""
        return self._rows[: self._count]

    def add(self, batch: Batch) -> None:
        """Take in what comes next."""
        if batch.lost:
            loss = np.zeros(1, EVENT_DTYPE)
            at = batch.events["time_ns"][:1] if len(batch) else self.rows["time_ns"][-1:]
            loss["time_ns"], loss["kind"], loss["arg"] = at if len(at) else 0, _LOSS, batch.lost
            self._append(loss)
            self.lost += batch.lost
        first = self._count
        self._append(batch.events)
        self._texts.update((first + index, text) for index, text in batch.texts.items())
        self._indexes.clear()

    def _append(self, rows: EventArray) -> None:
        count = self._count + len(rows)
        if count > len(self._rows):
            grown = np.zeros(max(count, len(self._rows) * 3 // 2), EVENT_DTYPE)
            grown[: self._count] = self.rows
            self._rows = grown
        self._rows[self._count : count] = rows
        self._count = count

    # -- events ---------------------------------------------------------------------------------

    def event(self, step: int) -> Event | Gap:
        """One step.

        Raises:
            NoSuchStepError: there is none of that number.
        """
        if not 0 <= step < self._count:
            there_are = f"the steps are 0 to {self._count - 1}" if self._count else "nothing is recorded"
            raise NoSuchStepError(f"there is no step {step}: {there_are}")
        return self._value(step, self._rows[step].tolist())

    def events(self, first: int = 0, past: int | None = None) -> Iterator[Event | Gap]:
        """Steps ``[first, past)``, a piece of them decoded at a time."""
        past = self._count if past is None else min(past, self._count)
        for begin in range(first, past, _AT_ONCE):
            for step, record in enumerate(self._rows[begin : min(begin + _AT_ONCE, past)].tolist(), begin):
                yield self._value(step, record)

    def _value(self, step: int, record: tuple[Any, ...]) -> Event | Gap:
        if record[2] == _LOSS:
            return Gap(record[6])
        return Event(*record)._replace(text=self._texts[step]) if step in self._texts else Event(*record)

    # -- what is found --------------------------------------------------------------------------

    def find(self, holds: Callable[[Event], bool], first: int = 0, kinds: tuple[int, ...] = ()) -> int | None:
        """The first step from this one on for whose event it holds, of these kinds only, if any are named."""
        rows = self.rows[max(first, 0) :]
        wanted = np.isin(rows["kind"], kinds) if kinds else rows["kind"] != _LOSS
        for step in (np.flatnonzero(wanted) + max(first, 0)).tolist():
            event = self.event(step)
            if isinstance(event, Event) and holds(event):
                return int(step)
        return None

    def index(self, *kinds: int, by: str = "greenlet") -> Index:
        """The steps of these kinds, by their greenlet, the number in the low half of ``arg``, both, or all ("")."""
        wanted = kinds, by
        if wanted not in self._indexes:
            steps = np.flatnonzero(np.isin(self.rows["kind"], kinds))
            self._indexes[wanted] = Index(steps, _KEYS[by](self.rows[steps]))
        return self._indexes[wanted]

    @property
    def runs(self) -> Index:
        """The steps at which greenlets go on, by greenlet."""
        return self.index(*_RUNS)

    @property
    def switches(self) -> Index:
        """The steps at which somebody else runs than before: to a greenlet, or back to the hub."""
        return self._switches("switches", (Kind.GREENLET_PARK, *_RUNS))

    @property
    def hub_runs(self) -> Index:
        """The steps at which the hub goes on."""
        return self._switches("hub", (Kind.GREENLET_PARK,))

    def _switches(self, name: str, kinds: tuple[int, ...]) -> Index:
        wanted = (), name
        if wanted not in self._indexes:
            rows = self.rows
            steps = np.sort(np.concatenate((np.flatnonzero(np.isin(rows["kind"], kinds)), self._ends())))
            self._indexes[wanted] = Index(steps, _KEYS[""](steps))
        return self._indexes[wanted]

    def _ends(self) -> npt.NDArray[np.intp]:
        """The ends of greenlets that ran: one that ends without having run ends in the turn of another."""
        steps = np.flatnonzero(np.isin(self.rows["kind"], _LIVES))
        of_one = np.argsort(self.rows["greenlet"][steps], kind="stable")
        steps = steps[of_one]
        kinds, who = self.rows["kind"][steps], self.rows["greenlet"][steps]
        ended = np.flatnonzero((kinds[1:] == Kind.GREENLET_EXIT) & np.isin(kinds[:-1], _RUNS) & (who[1:] == who[:-1]))
        return np.sort(steps[ended + 1])
