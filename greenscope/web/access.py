"""Who may see the dashboard: this machine's own pages, and whoever brings the token.

Knows no framework, because two processes ask it: the viewer, and a traced one whose debug middleware
passes requests on. Three things are told apart:

- A **foreign page**. Any page in the user's browser can reach loopback. Its request carries its ``Origin``, and a
  name that was made to point here (DNS rebinding) shows in ``Host``.
- A client **on this machine** needs nothing: its address is loopback and so is the name it asks for. What a proxy
  says about the client is never believed; that there is a proxy (``X-Forwarded-For``) makes its client a distant one.
- Anybody else brings the **token**: once behind the page's address, which makes it a cookie that only this page
  gets, or as a bearer. ``GREENSCOPE_TOKEN`` sets it, and then everybody needs it: that is for a reverse proxy on the
  same machine that shows neither who asks nor for which name.
"""

from __future__ import annotations

import hmac
import html
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from greenscope.errors import GreenscopeError

__all__ = ["HEADERS", "Access", "Answer", "from_environment", "is_loopback", "named_token", "page", "token_of"]

_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-real-ip", "via"})
_SHORTEST = 16
_FILE = "viewer.token"

HEADERS = {
    "content-security-policy": (
        # Plotly sets styles from script; nothing else is inline.
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""Sent with every answer."""


class Answer(NamedTuple):
    """An HTTP answer. The headers have no ``content-length``: whoever sends it knows how."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Access:
    """Decides about each request.

    Args:
        token: gives the token, when somebody needs it.
        always: whether also this machine's own clients need it.
    """

    def __init__(self, token: Callable[[], str], always: bool = False) -> None:
        self._token = token
        self._always = always

    def judge(self, remote: str, path: str, query: str, headers: Iterable[tuple[str, str]]) -> Answer | None:
        """What a client is answered instead of what it asked for; None lets it through.

        Args:
            remote: the client's address as the socket gave it; whatever is no address is not this machine.
            path: below the dashboard's root, with its slash.
            query: the query string.
            headers: the request's, each name as often as it came.
        """
        given: dict[str, list[str]] = {}
        for name, value in headers:
            given.setdefault(name.lower(), []).append(value)
        hosts = given.get("host", [])
        wants_page = any("text/html" in value for value in given.get("accept", ()))
        if len(hosts) != 1:
            return page(403, f"{len(hosts)} Host headers; one is needed", wants_page)
        for origin in given.get("origin", ()):
            if origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
                return page(403, f"Origin {origin!r} is not this viewer", wants_page)
        if self._brings_token(given):
            return None
        if path == "/" and "token=" in query:
            return self._with_query(query, wants_page)
        if not self._always and not (given.keys() & _FORWARDED) and is_loopback(remote):
            if _name(f"//{hosts[0]}") in _LOCAL_NAMES:
                return None
            wrong = f"Host {hosts[0]!r} is not this machine; open http://127.0.0.1 with the viewer's port, or bring the"
        else:
            wrong = f"{remote or 'a client without an address'} is not let in without the"
        how = (
            "open the dashboard's address with ?token=… behind it; `greenscope token` prints it where the program runs"
        )
        return page(403, f"{wrong} token: {how}", wants_page)

    def _brings_token(self, given: dict[str, list[str]]) -> bool:
        cookies = [cookie.strip() for line in given.get("cookie", ()) for cookie in line.split(";")]
        bearers = [value[7:].strip() for value in given.get("authorization", ()) if value[:7].lower() == "bearer "]
        if not bearers and not any(cookie.startswith("greenscope-") for cookie in cookies):
            return False
        token = self._token()
        cookie = _cookie(token)
        return any(_equal(bearer, token) for bearer in bearers) or any(_equal(each, cookie) for each in cookies)

    def _with_query(self, query: str, wants_page: bool) -> Answer:
        token = self._token()
        pairs = parse_qsl(query, keep_blank_values=True)
        if not any(name == "token" and _equal(value, token) for name, value in pairs):
            return page(403, "this token is not the dashboard's; `greenscope token` prints that one", wants_page)
        rest = urlencode([(name, value) for name, value in pairs if name != "token"])
        # No path: a browser then keeps it for where the page is, which a proxy may have put anywhere.
        cookie = f"{_cookie(token)}; HttpOnly; SameSite=Strict"
        location = f"./?{rest}" if rest else "./"
        headers = [("location", location), ("set-cookie", cookie), ("cache-control", "no-store"), *HEADERS.items()]
        return Answer(303, headers, b"")


def page(
    status: int, text: str, as_page: bool, headers: Iterable[tuple[str, str]] = (), script: str | None = None
) -> Answer:
    """An answer in words.

    Args:
        status: HTTP's.
        text: one sentence.
        as_page: for a browser to show; else plain text.
        headers: more of them.
        script: the address of one that the page runs.
    """
    if as_page:
        kind = "text/html"
        text = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            '<meta name="color-scheme" content="dark light"><title>greenscope</title>'
            '<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 15vh auto; padding: 0 1rem">'
            f"<h1 style='font-size: 1.25rem'>greenscope</h1><p>{html.escape(text)}</p>"
            + (f'<script src="{html.escape(script)}"></script>' if script else "")
            + "</body></html>\n"
        )
    else:
        kind, text = "text/plain", f"greenscope: {text}\n"
    given = [("content-type", f"{kind}; charset=utf-8"), ("cache-control", "no-store"), *headers, *HEADERS.items()]
    return Answer(status, given, text.encode("utf-8", "replace"))


def from_environment(directory: Callable[[], Path]) -> Access:
    """Who may see a dashboard inside another application: ``GREENSCOPE_TOKEN``, or the token of the trace directory.

    Args:
        directory: gives the trace directory, when its token is needed.

    Raises:
        GreenscopeError: ``GREENSCOPE_TOKEN`` is too short to be a secret.
    """
    named = named_token()
    return Access(lambda: named or token_of(directory()), always=named is not None)


def named_token() -> str | None:
    """``GREENSCOPE_TOKEN``; None if it is not set.

    Raises:
        GreenscopeError: it is too short to be a secret.
    """
    named = os.environ.get("GREENSCOPE_TOKEN")
    if named and len(named) < _SHORTEST:
        raise GreenscopeError(
            f"GREENSCOPE_TOKEN has {len(named)} characters: give at least {_SHORTEST}, which nobody guesses"
        )
    return named or None


def token_of(directory: Path) -> str:
    """The token of a trace directory, made if there is none: one for all its processes, until the file is removed.

    Raises:
        GreenscopeError: its file holds none.
        OSError: it cannot be read or made.
    """
    path = directory / _FILE
    while True:
        with suppress(FileNotFoundError):
            token = path.read_text().strip()
            if len(token) < _SHORTEST:
                raise GreenscopeError(f"{path} holds no token, which has at least {_SHORTEST} characters; remove it")
            return token
        fresh = directory / f"{_FILE}.{secrets.token_hex(8)}"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "w") as file:
                file.write(secrets.token_urlsafe(24) + "\n")
            with suppress(FileExistsError):
                os.link(fresh, path)  # whole, or not at all; and the first one stays
        finally:
            fresh.unlink()


def _cookie(token: str) -> str:
    """The cookie that stands for a token. A host's ports share their cookies: its name is the token's own."""
    value = hmac.digest(token.encode(), b"greenscope cookie", "sha256").hex()
    return f"greenscope-{value[:8]}={value[8:]}"


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def is_loopback(remote: str) -> bool:
    """Whether an address is this machine's own, and nobody else's."""
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
