"""A stall in the program's own log: once, when it is over, if the program has a log at all.

The watchdog, which sees stalls, runs no Python; it leaves word, and the hub's thread reads here what the ring
says. Nothing is said where logging has no handler: a library that writes to stderr unasked is a nuisance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from greenscope.trace.events import Kind
from greenscope.trace.ring_layout import EVENT, FLAG_NUMBERED, SLOT, SLOT_SIZE, WATCH_BURST, read_field

__all__ = ["LOGGER", "log_of", "stall_in"]

LOGGER = "greenscope.stalls"


def log_of() -> Callable[..., object] | None:
    """The method of the program's log that is to be told; None if it has none that anybody reads."""
    logging: Any = sys.modules.get("logging")
    if logging is None:
        return None
    logger = logging.getLogger(LOGGER)
    listens = logger.hasHandlers() and logger.isEnabledFor(logging.WARNING)
    method: Callable[..., object] | None = logger.warning if listens else None
    return method


def stall_in(ring: memoryview) -> str | None:
    """The last stall of a ring that is over, in words: who, how long, and the stack; None if there is none.

    Args:
        ring: all of it.
    """
    head, offset, capacity = (read_field(ring, f"watch_{name}") for name in ("head", "offset", "capacity"))
    texts: list[bytes] = []
    lasted = None
    for number in range(head - 1, max(head - 2 * WATCH_BURST, head - capacity, 0) - 1, -1):
        at = offset + number % capacity * EVENT.size
        _, greenlet, kind, _, _, _, arg = EVENT.unpack_from(ring, at)
        if kind == Kind.TEXT:
            data = bytes(ring[at : at + EVENT.size])
            texts.append((data[:16] + data[20:])[: data[17]])
        elif kind == Kind.STALL_END:
            lasted, texts = arg, []
        elif lasted is None:  # it goes on
            return None
        else:
            stack = b"".join(reversed(texts)).decode("utf-8", "replace")
            return f"{_name_of(ring, greenlet)} kept the hub for {lasted / 1e6:.0f} ms{_as_traceback(stack)}"
    return None


def _as_traceback(stack: str) -> str:
    lines = []
    for frame in reversed([line for line in stack.split("\n") if line]):
        file, _, rest = frame.partition("\t")
        line, _, function = rest.partition("\t")
        lines.append(f'\n  File "{file}", line {line}, in {function}')
    return "".join(lines)


def _name_of(ring: memoryview, greenlet: int) -> str:
    """A greenlet's name, if it still lives."""
    offset, used = read_field(ring, "slot_offset"), read_field(ring, "slot_used")
    numbers = ring[offset : offset + used * SLOT_SIZE].cast("Q")[1 :: SLOT_SIZE // 8].tolist()
    if greenlet not in numbers:
        return f"greenlet #{greenlet}"
    slot = SLOT.unpack_from(ring, offset + numbers.index(greenlet) * SLOT_SIZE)
    at = read_field(ring, "string_offset") + slot[1]
    length = int.from_bytes(ring[at : at + 4], "little")
    name = bytes(ring[at + 4 : at + 4 + length]).decode("utf-8", "replace")
    return f"{name} #{greenlet}" if slot[12] & FLAG_NUMBERED else name
