"""Every error greenscope raises on its own account, each with what was wrong, the value, and what to do.

The command line turns a ``GreenscopeError`` into one line on stderr and exit code 2. What the
standard library or gevent has an error for (``OSError``, ``TimeoutError``) is raised as theirs.
"""

__all__ = ["GreenscopeError", "MissingDependencyError", "NoSuchStepError", "RingFormatError"]


class GreenscopeError(Exception):
    """Base of all errors that are meant to be read by a person."""


class MissingDependencyError(GreenscopeError, ImportError):
    """A package that cannot be built by plain pip is not installed."""


class RingFormatError(GreenscopeError):
    """A file is not a ring, or is one that this version cannot read."""


class NoSuchStepError(GreenscopeError, IndexError):
    """A replay has no step of that number."""
