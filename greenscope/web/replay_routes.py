"""Where the page asks for a replay: what there is, frames, why, and the strip."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

from greenscope.errors import GreenscopeError, NoSuchStepError
from greenscope.trace.replaying import Replaying
from greenscope.web import replay as present
from greenscope.web.replays import Replays
from greenscope.web.session import Session

__all__ = ["Lang", "Language", "replay_routes"]


class Language(StrEnum):
    """Of words: those of ``LANGUAGES``."""

    EN = "en"
    ZH = "zh"


_NO_STEP = 1 << 53  # as large as a number of JavaScript may be
Lang = Annotated[Language, Query(description="of the words")]
Step = Annotated[int, Query(ge=0, lt=_NO_STEP)]
Work = Callable[[Replaying], dict[str, Any] | None]
"""What is answered; None: nothing new."""
Of = Annotated[int | None, Query(description="the replay whose steps are meant: as the overview has it")]


def replay_routes(find: Callable[[str], Session], replays: Replays, *, lesson: bool) -> APIRouter:
    """The routes.

    Args:
        find: gives a ring's session; raises HTTPException if there is none.
        replays: those that are open.
        lesson: whether this viewer shows one.
    """
    router = APIRouter(prefix="/api/rings/{identity}/replay")

    async def ask(identity: str, work: Work, past: int = 0, of: int | None = None) -> Response:
        session = find(identity)
        try:
            body = await replays.ask(session.id, session.info, lambda replaying: _answer(replaying, work, of), past)
        except NoSuchStepError as error:
            raise HTTPException(422, str(error)) from None
        except (GreenscopeError, OSError) as error:
            raise HTTPException(404, f"ring {identity!r} cannot be replayed: {error}") from None
        if body is None:
            words = f"steps of ring {identity!r} have other numbers than those of replay {of}; GET …/replay tells them"
            raise HTTPException(410, words)
        return Response(body, 200 if body else 204, media_type="application/json")

    @router.get("")
    async def overview(
        identity: str,
        lang: Lang = Language.EN,
        anew: Annotated[bool, Query(description="from what the ring holds now: steps have other numbers")] = False,
        of: Of = None,
        since: Annotated[int | None, Query(description="nothing is answered while there are so many steps")] = None,
    ) -> Response:
        def work(replaying: Replaying) -> dict[str, Any] | None:
            return None if _is_as_it_was(replaying, of, since) else present.overview(replaying, lang, lesson=lesson)

        if anew:
            replays.forget(find(identity).id)
        return await ask(identity, work)

    @router.get("/frames")
    async def frames(
        identity: str,
        first: Annotated[int, Query(alias="from", ge=0, lt=_NO_STEP)],
        past: Annotated[int, Query(alias="to", ge=0, lt=_NO_STEP, description="and not itself")],
        of: Of = None,
        lang: Lang = Language.EN,
    ) -> Response:
        if not 0 <= past - first <= present.MOST_FRAMES:
            raise HTTPException(
                422, f"from {first} to {past} are {past - first} frames: ask for 0 to {present.MOST_FRAMES}"
            )
        return await ask(identity, lambda replaying: present.frames(replaying.replay, first, past, lang), past, of)

    @router.get("/why")
    async def why(identity: str, step: Step, of: Of = None, lang: Lang = Language.EN) -> Response:
        return await ask(identity, lambda replaying: present.why(replaying.replay, step, lang), step + 1, of)

    @router.get("/strip")
    async def strip(
        identity: str,
        first: Annotated[int, Query(alias="from", ge=0, lt=_NO_STEP)],
        last: Annotated[int, Query(alias="to", ge=0, lt=_NO_STEP)],
        most: Annotated[int, Query(ge=1, le=4000, description="parts of a lane")] = 800,
        of: Of = None,
    ) -> Response:
        if last < first:
            raise HTTPException(422, f"from {first} to {last} leads back: ask from the lesser to the greater")
        return await ask(identity, lambda replaying: present.strip(replaying.replay, first, last, most), last + 1, of)

    return router


def _answer(replaying: Replaying, work: Work, of: int | None) -> bytes | None:
    """What is sent, which may be nothing; None: the steps that are meant have other numbers here."""
    if of is not None and of != present.number(replaying):
        return None
    made = work(replaying)
    return b"" if made is None else present.as_bytes(made)


def _is_as_it_was(replaying: Replaying, of: int | None, since: int | None) -> bool:
    """Read on, and say whether nothing came since it had so many steps."""
    if not replaying.complete:
        replaying.read()
    return not replaying.complete and (of, since) == (present.number(replaying), len(replaying.replay))
