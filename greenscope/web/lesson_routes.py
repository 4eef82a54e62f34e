"""Where the page asks for the lesson about a ring, if the viewer shows one.

What a lesson is the viewer does not know: whoever starts it (``greenscope learn``) gives a function that tells one of a
replay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException

from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.replay import Replay
from greenscope.web.replay_routes import Lang, Language
from greenscope.web.replays import Replays
from greenscope.web.session import Session

__all__ = ["Tell", "lesson_routes"]

Tell = Callable[[Path, Replay, str], dict[str, Any] | None]
"""Tells the lesson about a ring, by its file and its replay, in a language; None: there is none about this one."""


def lesson_routes(find: Callable[[str], Session], replays: Replays, tell: Tell | None) -> APIRouter:
    """The route.

    Args:
        find: gives a ring's session; raises HTTPException if there is none.
        replays: those that are open; the lesson's steps are the replay's.
        tell: what tells the lesson; None: this viewer shows none.
    """
    router = APIRouter(prefix="/api/rings/{identity}/lesson")

    @router.get("")
    async def lesson(identity: str, lang: Lang = Language.EN) -> dict[str, Any]:
        session = find(identity)
        told = None
        if tell is not None:
            try:
                told = await replays.ask(
                    session.id, session.info, lambda replaying: tell(session.info.path, replaying.replay, lang)
                )
            except (GreenscopeError, OSError) as error:
                raise HTTPException(404, f"ring {identity!r} cannot be replayed: {error}") from None
        if told is None:
            raise HTTPException(404, f"there is no lesson about ring {identity!r}; `greenscope learn` shows one")
        return told

    return router
