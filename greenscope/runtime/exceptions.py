"""What the hub raises when greenlets wait in a way that cannot be."""

__all__ = ["ConcurrentWaitError", "LoopExit", "SwitchError"]


class LoopExit(Exception):
    """Every greenlet waits, and nothing is left that could wake one."""


class SwitchError(AssertionError):
    """A greenlet that waited was switched to by something else than the hub."""


class ConcurrentWaitError(AssertionError):
    """Another greenlet waits on this already."""
