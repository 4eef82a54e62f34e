"""Two applications that say the same with two frameworks, each below a path of its own and in the middleware."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from greenscope.web import AsgiDebugMiddleware

PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
SLEEP = 0.01
LONG = "<p>a long page, worth packing</p>" * 40


def views(name: str) -> dict[str, Any]:
    async def page(request: Request) -> Response:
        await asyncio.sleep(SLEEP)
        text = PAGE.format(name)
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
        if request.headers.get("if-none-match", "").removeprefix("W/") == etag:
            return Response(status_code=304, headers={"etag": etag})
        return HTMLResponse(text, headers={"etag": etag})

    async def json(request: Request) -> Response:
        return JSONResponse({"passed": request.headers["traceparent"], "number": request.scope["greenscope.request"]})

    async def stream(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield f"<html><body>{name}".encode()
            await asyncio.sleep(SLEEP)
            yield b"streamed</body></html>"

        return StreamingResponse(pieces(), media_type="text/html")

    async def broken(request: Request) -> Response:
        raise KeyError("made up")

    async def packed(request: Request) -> Response:
        return HTMLResponse(PAGE.format(name + LONG))

    async def file(request: Request) -> Response:
        return FileResponse(__file__, media_type="text/plain")

    return {"page": page, "json": json, "stream": stream, "broken": broken, "packed": packed, "file": file}


def starlette_app() -> Any:
    routes = [Route(f"/{name}", view, methods=["GET", "HEAD"]) for name, view in views("starlette").items()]
    return Starlette(routes=routes, middleware=[Middleware(GZipMiddleware)])


def fastapi_app() -> Any:
    app = FastAPI()
    app.add_middleware(GZipMiddleware)
    for name, view in views("fastapi").items():
        app.add_api_route(f"/{name}", view, methods=["GET", "HEAD"], response_model=None)
    return app


async def up(request: Request) -> Response:
    return PlainTextResponse("up")


app = Starlette(
    routes=[
        Route("/", up),
        Mount("/starlette", AsgiDebugMiddleware(starlette_app(), enabled=True)),
        Mount("/fastapi", AsgiDebugMiddleware(fastapi_app(), enabled=True)),
    ]
)
