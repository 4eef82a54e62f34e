"""Where the page asks for a replay: what there is, frames, why, and the strip."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

from greenscope.errors import GreenscopeError
from greenscope.trace.replaying import Replaying
from greenscope.web import replay as present
from greenscope.web.replays import Replays
from greenscope.web.session import Session

__all__ = ["Lang", "Language", "replay_routes"]


class Language(StrEnum):
    """Of words: those of ``LANGUAGES``."""

    EN = "en"
    ZH = "zh"


Lang = Annotated[Language, Query(description="of the words")]
Step = Annotated[int, Query(ge=0, lt=1 << 53)]


def replay_routes(find: Callable[[str], Session], replays: Replays, *, lesson: bool) -> APIRouter:
    """The routes.

    Args:
        find: gives a ring's session; raises HTTPException if there is none.
        replays: those that are open.
        lesson: whether this viewer shows one.
    """
    router = APIRouter(prefix="/api/rings/{identity}/replay")

    async def ask(identity: str, work: Callable[[Replaying], dict[str, Any]]) -> Response:
        session = find(identity)
        try:
            body = await replays.ask(session.id, session.info.path, lambda replaying: present.as_bytes(work(replaying)))
        except IndexError as error:
            raise HTTPException(422, str(error)) from None
        except (GreenscopeError, OSError) as error:
            raise HTTPException(404, f"ring {identity!r} cannot be replayed: {error}") from None
        return Response(body, media_type="application/json")

    @router.get("")
    async def overview(identity: str, lang: Lang = Language.EN) -> Response:
        def work(replaying: Replaying) -> dict[str, Any]:
            if not replaying.complete:
                replaying.read()
            return present.overview(replaying, lang, lesson=lesson)

        return await ask(identity, work)

    @router.get("/frames")
    async def frames(
        identity: str,
        first: Annotated[int, Query(alias="from", ge=0, lt=1 << 53)] = 0,
        past: Annotated[int, Query(alias="to", ge=0, lt=1 << 53, description="and not itself")] = 40,
        lang: Lang = Language.EN,
    ) -> Response:
        if past - first > present.MOST_FRAMES or past < first:
            raise HTTPException(422, f"from {first} to {past}: ask for at most {present.MOST_FRAMES} frames, forward")

        def work(replaying: Replaying) -> dict[str, Any]:
            count = len(replaying.replay)
            if first > count:
                raise IndexError(f"there is no step {first}: there are {count}, from 0 on")
            return present.frames(replaying.replay, first, past, lang)

        return await ask(identity, work)

    @router.get("/why")
    async def why(identity: str, step: Step, lang: Lang = Language.EN) -> Response:
        return await ask(identity, lambda replaying: present.why(replaying.replay, step, lang))

    @router.get("/strip")
    async def strip(
        identity: str,
        first: Annotated[int, Query(alias="from", ge=0, lt=1 << 53)],
        last: Annotated[int, Query(alias="to", ge=0, lt=1 << 53)],
        most: Annotated[int, Query(ge=1, le=4000, description="parts of a lane")] = 800,
    ) -> Response:
        if last < first:
            raise HTTPException(422, f"from {first} to {last} is backward: turn them round")
        return await ask(identity, lambda replaying: present.strip(replaying.replay, first, last, most))

    return router
