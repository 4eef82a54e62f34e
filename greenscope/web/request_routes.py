"""Where the page asks for requests: all of them, and one whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query

from greenscope.trace.analysis.request_list import Only, Order
from greenscope.web.requests import request, requests
from greenscope.web.session import Session

__all__ = ["request_routes"]


def request_routes(find: Callable[[str], Session]) -> APIRouter:
    """The routes.

    Args:
        find: gives a ring's session; raises HTTPException if there is none.
    """
    router = APIRouter(prefix="/api/rings/{identity}/requests")

    @router.get("")
    async def many(
        identity: str,
        order: Annotated[Order, Query(description="what comes first")] = Order.SLOWEST,
        route: Annotated[str, Query(max_length=500, description="only of this route")] = "",
        only: Annotated[Only, Query(description="which, by what became of them")] = Only.ALL,
        search: Annotated[str, Query(max_length=200, description="something in it")] = "",
    ) -> dict[str, Any]:
        return requests(find(identity), order, route, only, search)

    @router.get("/{number}")
    async def one(identity: str, number: Annotated[int, Path(ge=0, lt=1 << 32)]) -> dict[str, Any]:
        found = request(find(identity), number)
        if found is None:
            raise HTTPException(404, f"there is no request {number} in what is kept of this ring")
        return found

    return router
