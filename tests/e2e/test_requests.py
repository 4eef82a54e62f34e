"""Requests as a web developer looks at them: a WSGI server and a viewer in their own processes, and a real browser."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.cli.test_requests import SERVER, ask

SECONDS = 1000


@dataclass
class Shop:
    """Where the page is, and the server's process."""

    url: str
    server: subprocess.Popen[str]
    port: int


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A server that was asked for four orders at once and something broken, and in which one request hangs."""
    monkeypatch.setenv("GREENSCOPE_DIR", str(tmp_path / "rings"))
    (tmp_path / "shop.py").write_text(SERVER)
    serve = [sys.executable, "-m", "greenscope", "serve", "--port", "0", str(tmp_path / "rings")]
    with subprocess.Popen([sys.executable, "shop.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        orders = [threading.Thread(target=ask, args=(port, f"/orders/{number}", f"id-{number}")) for number in range(4)]
        hanging = threading.Thread(target=ask, args=(port, "/hangs", "stuck"))
        for client in orders:
            client.start()
        for client in orders:
            client.join(60)
        assert ask(port, "/broken", "id-b") == 500
        hanging.start()
        assert server.stdout.readline() == "hangs\n"
        with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as viewer:
            assert viewer.stderr is not None
            found = re.search(r"http://\S+", viewer.stderr.readline())
            assert found is not None
            yield Shop(found[0], server, port)
            viewer.send_signal(signal.SIGINT)
        server.kill()
    hanging.join(60)


def test_a_slow_request_is_found_and_what_it_waited_for(page: Page, shop: Shop) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(shop.url)
    page.locator("#tab-requests").wait_for()
    expect(page.locator("#live-pill")).to_have_attribute("data-state", "live", timeout=20 * SECONDS)
    page.keyboard.press("5")

    # The slowest first: what hangs, then the orders; each with its status, and its time as a bar and in words.
    rows = page.locator("#requests-table tbody tr")
    expect(rows).to_have_count(6, timeout=20 * SECONDS)
    expect(rows.first).to_contain_text("GET /hangs")
    expect(rows.first.locator(".status")).to_have_text("going on")
    expect(rows.first.locator(".bar-cell")).to_contain_text("waiting: event")
    expect(page.locator("#requests-count")).to_have_text("6 requests · 1 going on")
    order = page.locator("#routes-table tbody tr").filter(has_text="GET /orders/{id}")
    expect(order.locator("td").nth(2)).to_have_text("4")

    # Only a route's, only those that failed, only what is searched for: in all that there are.
    order.get_by_role("button").click()
    expect(rows).to_have_count(4)
    page.locator("#requests-route").click()
    expect(rows).to_have_count(6)
    page.get_by_label("Failed").check()
    expect(rows).to_have_count(1)
    expect(rows.locator(".status")).to_have_text("500")
    page.get_by_label("All", exact=True).check()
    page.keyboard.press("/")
    page.keyboard.type("ID-3")
    expect(rows).to_have_count(1)
    page.keyboard.press("Escape")
    expect(rows).to_have_count(6)

    # By the keyboard: down to the slowest order, which had to wait for the others.
    rows.first.get_by_role("button").focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1).get_by_role("button")).to_be_focused()
    page.keyboard.press("Enter")
    one = page.locator("#requests-one")
    expect(one.locator(".request-title")).to_contain_text("GET /orders/")
    names = one.locator(".waterfall-names button")
    expect(names).to_have_count(3)
    expect(one.locator(".waterfall-names .on-path").nth(1)).to_contain_text("rows #")
    expect(one.locator(".path-totals li").first).to_contain_text("waiting: lock")
    expect(one.locator(".path-table tbody tr").filter(has_text="waiting: timer")).to_contain_text("shop.py:9 rows")
    painted = "() => document.querySelector('.waterfall-plot canvas').width > 100"
    assert page.evaluate(painted)

    # It has an address; F shows it on the timeline, and back is back.
    assert re.search(r"#ring=[\w-]+&request=\d+$", page.url)
    address = page.url
    page.keyboard.press("f")
    expect(page.locator("#panel-timeline")).to_be_visible()
    expect(page.locator("#side")).to_contain_text("/orders/")
    assert page.evaluate("() => { const { from, to, follow } = greenscope.view(); return !follow && to - from < 2e9; }")
    page.keyboard.press("5")
    page.keyboard.press("Escape")
    expect(one).to_be_hidden()
    expect(rows.nth(1).get_by_role("button")).to_be_focused()
    assert re.search(r"#ring=[\w-]+$", page.url)
    page.go_back()
    expect(one.locator(".request-title")).to_contain_text("GET /orders/")

    # Whoever is given the address sees the same; and what is not there is said.
    page.goto("about:blank")
    page.goto(address)
    expect(one.locator(".path-totals li").first).to_contain_text("waiting: lock", timeout=20 * SECONDS)
    page.evaluate("() => { location.hash = location.hash.replace(/request=\\d+/, 'request=999999'); }")
    expect(one).to_contain_text("There is no request 999999")

    # A process that dies leaves a request without an end.
    page.keyboard.press("Escape")
    shop.server.kill()
    expect(page.locator("#live-pill")).to_have_attribute("data-state", "died", timeout=20 * SECONDS)
    expect(rows.first.locator(".status")).to_have_text("no end", timeout=20 * SECONDS)
    assert errors == []
