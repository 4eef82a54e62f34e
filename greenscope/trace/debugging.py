"""What whoever records this process's requests has to look for: what a debug middleware asks of it, and names.

The server that records requests itself does so before the application, and so the middleware, is called.
"""

from __future__ import annotations

__all__ = ["debugging"]


class _Debugging:
    always_traced: bool
    """Whether each request's record has a ``traceparent``, though none came with it: somebody passes it on."""

    named: bool
    """Whether a request of this process ever came with an id or a place in a trace, or is given one: if none did, it is
    looked for in none."""

    unrecorded: tuple[str, ...]
    """Requests with one of these in their path are no business of the application: the dashboard's own."""

    def __init__(self) -> None:  # of the object, where the interpreter finds them sooner than in its class
        self.always_traced = self.named = False
        self.unrecorded = ()


debugging = _Debugging()
