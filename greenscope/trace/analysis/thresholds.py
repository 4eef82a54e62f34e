"""From when on something is called wrong: defaults that a busy service can live with."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Thresholds"]

_MS = 1_000_000


def _setting(default: int, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All of them, in the unit that ends their name.

    Each is a setting: ``--threshold NAME=VALUE``, ``GREENSCOPE_NAME`` in the environment, or ``NAME = VALUE``
    below ``[diagnose]`` in ``greenscope.toml``.
    """

    stall_ms: int = _setting(100, "hub-blocked, blocking-call: a run this long")
    wait_ms: int = _setting(30_000, "wait-no-deadline: a wait for a peer this long, without a deadline")
    deadlock_ms: int = _setting(1_000, "deadlock: waits in a circle this long")
    orphan_ms: int = _setting(10_000, "orphan-wait: a wait this long since nobody is left who could end it")
    contended_ms: int = _setting(1_000, "contended-socket: two watchers of one descriptor, waited on this long")
    lost_ms: int = _setting(5_000, "lost-wakeup: a wait this long since its watcher fired")
    hog_slice_ms: int = _setting(20, "hog-by-slices: a run this long counts")
    hog_percent: int = _setting(50, "hog-by-slices: so much of a second goes into such runs at one line")
    dns_ms: int = _setting(1_000, "slow-dns: a look-up of a name this long, without its wait for a thread")
    pool_ms: int = _setting(1_000, "pool-exhausted: a call that waits this long for a thread")
    spin_per_s: int = _setting(5_000, "spin: this many empty turns a second at one line")
    spin_ms: int = _setting(500, "spin: for this long")
    starved_ms: int = _setting(500, "starved: ready this long before it ran")
    storm_per_s: int = _setting(50, "timeout-storm: this many timeouts of one line fire a second")
    leak_s: int = _setting(120, "greenlet-leak, timer-leak, watcher-leak: they grew for this long")
    leak_more: int = _setting(300, "greenlet-leak, timer-leak, watcher-leak: and are so many more")

    @property
    def stall_ns(self) -> int:
        """``stall_ms`` in nanoseconds."""
        return self.stall_ms * _MS

    @classmethod
    def names(cls) -> dict[str, str]:
        """What each is for, by its name."""
        return {each.name: str(each.metadata["doc"]) for each in fields(cls)}
