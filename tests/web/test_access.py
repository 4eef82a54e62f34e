"""Who may see the dashboard, and who is told how to be let in."""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path

import pytest

from greenscope.errors import GreenscopeError
from greenscope.web.access import Access, Answer, from_environment, token_of

TOKEN = "a-token-that-nobody-guesses"
HERE = ("host", "127.0.0.1:8000")
PUBLIC = ("host", "shop.example")


def ask(
    *headers: tuple[str, str], remote: str = "127.0.0.1", path: str = "/", query: str = "", always: bool = False
) -> Answer | None:
    return Access(lambda: TOKEN, always).judge(remote, path, query, headers)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:8000", "LOCALHOST"])
def test_this_machines_clients_are_let_in(remote: str, host: str) -> None:
    assert ask(("Host", host), ("Origin", f"http://{host}"), remote=remote) is None


@pytest.mark.parametrize(
    "remote", ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "unix:", "127.0.0.1, 10.0.0.1", "localhost"]
)
def test_others_are_refused_whatever_they_say_and_told_how(remote: str) -> None:
    for said in [(), (("x-forwarded-for", "127.0.0.1"),), (("forwarded", "for=127.0.0.1"),)]:
        refused = ask(HERE, ("accept", "text/html"), *said, remote=remote)
        assert refused is not None
        assert refused.status == 403
        assert b"greenscope token" in refused.body
        assert b"<html" in refused.body
    refused = ask(HERE, remote="<script>")
    assert refused is not None
    assert ("content-type", "text/plain; charset=utf-8") in refused.headers
    page = ask(HERE, ("accept", "text/html"), remote="<script>")
    assert page is not None
    assert b"<script>" not in page.body


@pytest.mark.parametrize("header", ["x-forwarded-for", "X-Real-IP", "forwarded", "via"])
def test_a_client_behind_a_proxy_on_this_machine_is_not_on_this_machine(header: str) -> None:
    assert ask(HERE, (header, "127.0.0.1")) is not None


def test_a_name_that_points_here_is_not_this_machines() -> None:
    refused = ask(("host", "evil.example"))
    assert refused is not None
    assert b"Host 'evil.example' is not this machine" in refused.body
    assert ask() is not None
    assert ask(HERE, HERE) is not None


def test_the_token_is_brought_once_and_is_a_cookie_from_then_on() -> None:
    brought = ask(PUBLIC, remote="10.0.0.1", query=f"ring=a&token={TOKEN}&x=")
    assert brought is not None
    headers = dict(brought.headers)
    assert (brought.status, headers["location"]) == (303, "./?ring=a&x=")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert attributes == ["HttpOnly", "SameSite=Strict"]  # and no path: it is the page's
    assert TOKEN not in cookie
    assert ask(PUBLIC, ("cookie", f"a=b; {cookie}; c=d"), remote="10.0.0.1", path="/api/rings") is None
    assert ask(PUBLIC, ("cookie", cookie[:-1] + "x"), remote="10.0.0.1") is not None
    assert ask(PUBLIC, ("cookie", f"greenscope={TOKEN}"), remote="10.0.0.1") is not None


def test_a_wrong_token_is_refused_and_a_bearer_is_let_in() -> None:
    for query in ["token=", "token=wrong", "token=wrong&x=1", f"xtoken={TOKEN}"]:
        refused = ask(PUBLIC, remote="10.0.0.1", query=query)
        assert refused is not None
        assert refused.status == 403
    # Only the page makes a cookie of it: below, the cookie would not be the page's.
    assert ask(PUBLIC, remote="10.0.0.1", path="/api/rings", query=f"token={TOKEN}") is not None
    assert ask(PUBLIC, ("Authorization", f"Bearer {TOKEN}"), remote="10.0.0.1", path="/metrics") is None
    assert ask(PUBLIC, ("Authorization", "Bearer wrong"), remote="10.0.0.1", path="/metrics") is not None
    assert ask(PUBLIC, ("Authorization", f"Bearer {TOKEN}é"), remote="10.0.0.1", path="/metrics") is not None


def test_a_foreign_page_is_refused_even_with_the_token() -> None:
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"]:
        assert ask(HERE, ("origin", origin), ("authorization", f"Bearer {TOKEN}")) is not None


def test_a_token_of_ones_own_is_everybodys_to_bring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GREENSCOPE_TOKEN", TOKEN)
    access = from_environment(lambda: tmp_path)
    assert access.judge("127.0.0.1", "/", "", [HERE]) is not None
    assert access.judge("127.0.0.1", "/", "", [HERE, ("authorization", f"Bearer {TOKEN}")]) is None
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("GREENSCOPE_TOKEN", "short")
    with pytest.raises(GreenscopeError, match="GREENSCOPE_TOKEN has 5 characters: give at least 16"):
        from_environment(lambda: tmp_path)


def test_a_directory_has_one_token_whoever_asks_first(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(token_of(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert re.fullmatch(r"[\w-]{32}", found[0])
    assert list(tmp_path.iterdir()) == [tmp_path / "viewer.token"]
    assert stat.S_IMODE((tmp_path / "viewer.token").stat().st_mode) == 0o600
    (tmp_path / "viewer.token").write_text("short")
    with pytest.raises(GreenscopeError, match=r"viewer\.token holds no token"):
        token_of(tmp_path)
