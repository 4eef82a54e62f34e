"""Where the page asks for the lesson about a ring, if the viewer shows one, and for it as a page to hand out.

What a lesson is the viewer does not know: whoever starts it (``greenscope learn``) gives a function that tells one of a
replay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException, Response

from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.replay import Replay
from greenscope.trace.replaying import Replaying
from greenscope.web.lesson_page import TooManySteps, lesson_page, page_name
from greenscope.web.replay_routes import Lang, Language
from greenscope.web.replays import Replays
from greenscope.web.session import Session

__all__ = ["Tell", "lesson_routes"]

T = TypeVar("T")
Tell = Callable[[Path, Replay, str], dict[str, Any] | None]
"""Tells the lesson about a ring, by its file and its replay, in a language; None: there is none about this one."""


def lesson_routes(find: Callable[[str], Session], replays: Replays, tell: Tell | None) -> APIRouter:
    """The routes.

    Args:
        find: gives a ring's session; raises HTTPException if there is none.
        replays: those that are open; the lesson's steps are the replay's.
        tell: what tells the lesson; None: this viewer shows none.
    """
    router = APIRouter(prefix="/api/rings/{identity}")

    async def ask(identity: str, work: Callable[[Replaying, Path], T | None]) -> T:
        """Have something made of the lesson about a ring; None: there is none."""
        session = find(identity)
        path = session.info.path
        try:
            made = await replays.ask(session.id, session.info, lambda replaying: work(replaying, path))
        except TooManySteps as error:
            raise HTTPException(422, str(error)) from None
        except (GreenscopeError, OSError) as error:
            raise HTTPException(404, f"ring {identity!r} cannot be replayed: {error}") from None
        if made is None:
            raise HTTPException(404, f"there is no lesson about ring {identity!r}; `greenscope learn` shows one")
        return made

    @router.get("/lesson")
    async def lesson(identity: str, lang: Lang = Language.EN) -> dict[str, Any]:
        return await ask(identity, lambda replaying, path: None if tell is None else tell(path, replaying.replay, lang))

    @router.get("/lesson.html")
    async def page(identity: str, lang: Lang = Language.EN) -> Response:
        def work(replaying: Replaying, path: Path) -> tuple[str, str] | None:
            told = None if tell is None else tell(path, replaying.replay, lang)
            if tell is None or told is None:
                return None
            made = lesson_page(replaying, lambda each: tell(path, replaying.replay, each) or told, identity, lang)
            return page_name(replaying.info.argv), made

        name, text = await ask(identity, work)
        # Shown here it would be a page of this viewer, with all that its pages may: it is for saving.
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(text, media_type="text/html", headers=headers)

    return router
