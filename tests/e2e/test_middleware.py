"""The bar of the debug middleware in a real browser: opened by the keyboard, and followed into the dashboard."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from greenscope.web import beside

SECONDS = 1000
PROGRAM = """
from greenscope.runtime import Semaphore, joinall, sleep, spawn
from greenscope.runtime.pywsgi import WSGIServer
from greenscope.web import DebugMiddleware

one_at_a_time = Semaphore(1)
PAGE = b'''<!doctype html><html lang=en><head><meta charset=utf-8><title>Orders</title>
<meta name=viewport content="width=device-width"><meta name=color-scheme content="light dark">
<style nonce=n1>body > * {display: none !important; color: red} details {border: 9px solid red} a {display: none}
h1 {display: block !important; font: 30px sans-serif}</style>
</head><body><h1>Orders</h1></body></html>'''

def stock():
    with one_at_a_time:
        sleep(0.03)

def app(environ, start_response):
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))]
    if environ["PATH_INFO"] == "/strict":
        policy = "default-src 'none'; style-src 'nonce-n1'"
        headers.append(("Content-Security-Policy", policy))
    elif environ["PATH_INFO"] == "/orders":
        joinall([spawn(stock), spawn(stock)])
    start_response("200 OK", headers)
    return [PAGE]

server = WSGIServer(("127.0.0.1", 0), DebugMiddleware(app, enabled=True), log=None)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def shop(trace_directory: Path) -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()
        process.wait(20)
    beside.stop()


def picture(page: Page, name: str) -> None:
    if directory := os.environ.get("GREENSCOPE_SCREENSHOTS"):
        page.screenshot(path=f"{directory}/bar-{name}.png")


def test_the_bar_opens_by_the_keyboard_and_leads_to_the_requests_timeline(page: Page, shop: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{shop}/orders")
    bar = page.locator("greenscope-bar details")
    expect(bar.locator("summary")).to_contain_text("ms")
    expect(bar.locator("table")).to_be_hidden()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(bar.locator("p")).to_contain_text("GET /orders")
    expect(bar.locator("tr").filter(has_text="waited for another's end")).to_contain_text("ms")
    expect(bar.locator("tr").filter(has_text="2 greenlets that it spawned ran")).to_be_visible()
    picture(page, "open")
    assert [url for url in asked if "favicon" not in url] == [f"{shop}/orders"]
    assert [one for one in said if "favicon" not in one and "404" not in one] == []

    page.keyboard.press("Tab")
    expect(bar.get_by_role("link")).to_be_focused()
    with page.expect_popup() as opened:
        page.keyboard.press("Enter")
    dashboard = opened.value
    expect(dashboard.locator("#live-pill")).to_have_attribute("data-state", "live", timeout=30 * SECONDS)
    one = dashboard.locator("#requests-one")
    expect(one.locator(".request-title")).to_contain_text("GET /orders", timeout=20 * SECONDS)
    expect(one.locator(".waterfall-names button")).to_have_count(3)
    expect(one.locator(".path-totals li").first).to_contain_text("waiting:")
    picture(dashboard, "followed")

    # What comes later is there without being asked for; what the dashboard itself asks is no request.
    rows = dashboard.locator("#requests-table tbody tr")
    dashboard.keyboard.press("Escape")
    expect(rows.filter(has_text="GET /orders")).to_have_count(1)
    page.goto(f"{shop}/later")
    expect(rows.filter(has_text="GET /later")).to_have_count(1, timeout=20 * SECONDS)
    expect(rows.filter(has_text="__greenscope__")).to_have_count(0)


def test_the_pages_styles_do_not_reach_the_bar_and_a_strict_policy_is_met(browser: Browser, shop: str) -> None:
    for scheme in ("light", "dark"):
        for width in (1200, 320):
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 600})  # type: ignore[arg-type]
            page = context.new_page()
            said: list[str] = []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.goto(f"{shop}/strict")
            bar = page.locator("greenscope-bar details")
            bar.locator("summary").click()
            box = bar.bounding_box()
            assert box is not None
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= 600
            assert box["width"] <= 340
            ink, paper = (
                bar.evaluate(f"element => getComputedStyle(element).{name}") for name in ("color", "backgroundColor")
            )
            assert (ink, paper) == {
                "light": ("rgb(28, 36, 48)", "rgb(255, 255, 255)"), "dark": ("rgb(232, 237, 243)", "rgb(22, 28, 36)"),
            }[scheme]  # fmt: skip
            assert [one for one in said if "favicon" not in one and "404" not in one] == []
            picture(page, f"{scheme}-{width}")
            context.close()
