"""What the hub raises when greenlets wait in a way that cannot be."""

__all__ = ["BlockingSwitchOutError", "ConcurrentObjectUseError", "InvalidSwitchError", "LoopExit"]


class LoopExit(Exception):
    """Every greenlet waits, and nothing is left that could wake one."""


class InvalidSwitchError(AssertionError):
    """A greenlet that waited was switched to by something else than the hub."""


class BlockingSwitchOutError(InvalidSwitchError):
    """The hub itself was asked to wait, by a callback."""


class ConcurrentObjectUseError(AssertionError):
    """Another greenlet waits on this already."""
