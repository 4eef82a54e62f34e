"""The dashboard inside an application, in a real browser: through a WSGI server, where no WebSocket goes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from greenscope.web import beside

# One process: the application, its own greenlets, and the dashboard that looks at it.
PROGRAM = """
from greenscope.runtime import sleep, spawn
from greenscope.runtime.pywsgi import WSGIServer
from greenscope.web import DebugMiddleware

def app(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"the shop"]

def ticker():
    while True:
        sleep(0.02)

spawn(ticker)
server = WSGIServer(("127.0.0.1", 0), DebugMiddleware(app, enabled=True), log=None)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass
class Shop:
    """The application, and where its dashboard is."""

    process: subprocess.Popen[str]
    url: str


@pytest.fixture
def shop(trace_directory: Path) -> Iterator[Shop]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Shop(process, f"http://127.0.0.1:{port}/__greenscope__/")
        if process.poll() is None:
            process.terminate()
            process.wait(20)
    beside.stop()


def newest_after(page: Page, at: float) -> float:
    """Until when the main greenlet is shown, once that is later than ``at``."""
    deadline = time.monotonic() + 20
    while (end := float(page.evaluate("window.greenscope.segments(2).at(-1)?.end ?? 0"))) <= at:
        assert time.monotonic() < deadline, "nothing new came"
    return end


def test_the_page_is_live_without_a_websocket_and_survives_its_viewer(page: Page, shop: Shop) -> None:
    asked: list[str] = []
    console: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: console.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: console.append(str(error)))
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))

    page.goto(shop.url)  # before there is a viewer: it says so, and asks again by itself
    expect(page.locator("#live-pill")).to_have_attribute("data-state", "live", timeout=30_000)
    expect(page.locator("#cards")).to_contain_text("Greenlets")
    console.clear()  # the page that was asked for in vain
    first = newest_after(page, 0)
    newest_after(page, first)
    if directory := os.environ.get("GREENSCOPE_SCREENSHOTS"):
        page.screenshot(path=f"{directory}/embedded.png")

    # What the page says is answered, too: the table of what matches.
    page.locator("#search").fill("ticker")
    page.locator("#tab-greenlets").click()
    expect(page.locator("#greenlets-table tbody tr")).to_have_count(1)
    page.locator("#tab-profile").click()
    expect(page.locator("#profile-table")).to_be_visible()

    assert console == []
    assert sockets == []
    assert {url for url in asked if not url.startswith((shop.url, "blob:", "data:"))} == set()
    assert any(re.search(r"/api/rings/[^/]+/poll\?page=", url) for url in asked)

    viewer = beside.start()
    assert viewer is not None
    os.kill(viewer.pid, signal.SIGKILL)
    expect(page.locator("#live-pill")).not_to_have_attribute("data-state", "live")
    expect(page.locator("#live-pill")).to_have_attribute("data-state", "live", timeout=30_000)  # of another viewer
