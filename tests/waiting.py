"""Waiting for what another process or thread brings about, and tells nobody of."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["until"]


def until(holds: Callable[[], object], what: str = "it", seconds: float = 30) -> None:
    """Look again and again until it holds; fails when that takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)
