"""The dashboard, under a prefix of the application: passed on to the viewer, which is a process of its own.

``greenscope.web.beside`` starts it, once a host, asks it, and says who may; here is WSGI's side of that. An
application whose dashboard nobody opens starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

__all__ = ["dashboard", "status_line"]

_MOST = 1 << 16  # bytes of a request's body; beside refuses more


def dashboard(environ: dict[str, Any], start_response: Callable[..., Any], prefix: str) -> list[bytes]:
    """Answer a request for the dashboard."""
    from greenscope.web.beside import forward

    path = environ.get("PATH_INFO", "")[len(prefix) :]
    query = environ.get("QUERY_STRING", "")
    if not path:  # the page's addresses are relative to it
        last = prefix.rpartition("/")[2]
        location = f"{last}/?{query}" if query else f"{last}/"
        headers = [("Location", location), ("Content-Type", "text/plain"), ("Content-Length", "0")]
        start_response("307 Temporary Redirect", headers)
        return []
    answer = forward(
        environ.get("REQUEST_METHOD", ""),
        path.encode("latin-1", "replace").decode("utf-8", "replace"),
        query,
        _headers(environ),
        _body(environ),
        remote=environ.get("REMOTE_ADDR", ""),
    )
    headers = list(answer.headers)
    if answer.status not in {204, 304} and environ.get("REQUEST_METHOD") != "HEAD":
        headers.append(("Content-Length", str(len(answer.body))))
    start_response(status_line(answer.status), headers)
    return [answer.body]


def status_line(status: int) -> str:
    """The status with its phrase."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


def _headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    given = [(key[5:].replace("_", "-").lower(), value) for key, value in environ.items() if key.startswith("HTTP_")]
    if environ.get("CONTENT_TYPE"):
        given.append(("content-type", environ["CONTENT_TYPE"]))
    return given


def _body(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    wanted = int(length) if length.isascii() and length.isdecimal() else 0
    body: bytes = environ["wsgi.input"].read(min(wanted, _MOST + 1)) if wanted else b""
    return body
