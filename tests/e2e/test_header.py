"""The bar at the top, with all that can be in it, in windows of any width: nothing is cut off, or pushed out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

SECONDS = 1000
PROGRAM = """
import threading, time
threading.current_thread().name = "a worker with a long name"
from greenscope.runtime import sleep, spawn
def computes():
    sleep(0)
    before = time.thread_time()
    while time.thread_time() < before + 0.5: pass
spawn(computes).join()
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A viewer of two recordings, in which something is wrong."""
    directory = tmp_path_factory.mktemp("rings")
    directory.chmod(0o700)
    environment = os.environ | {"GREENSCOPE_DIR": str(directory), "GREENSCOPE_STALL_MS": "100"}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=60)
    serve = [sys.executable, "-m", "greenscope", "serve", "--port", "0", *map(str, Path(directory).glob("*.gsr"))]
    with subprocess.Popen(serve, env=environment, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stderr is not None
        found = re.search(r"http://\S+", viewer.stderr.readline())
        assert found is not None
        yield found[0]
        viewer.send_signal(signal.SIGINT)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_bar_fits_whatever_the_width(page: Page, url: str, language: str) -> None:
    page.add_init_script(f"localStorage.setItem('greenscope.language', '{language}')")
    page.goto(url)
    expect(page.locator("html")).to_have_attribute("lang", re.compile(f"^{language}"))
    expect(page.locator("#ring-label select")).to_be_visible(timeout=20 * SECONDS)
    expect(page.locator(".badge")).to_have_text("1", timeout=20 * SECONDS)
    for width in (1600, 1440, 1321, 1300, 1241, 1240, 1181, 1081, 1000, 931, 900, 821, 700, 400):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.querySelector('.bar').scrollWidth") <= width, width
        for button in ("#language", "#theme", "#help-open"):
            box = page.locator(button).bounding_box()
            assert box is not None
            assert box["width"] >= 32, (button, width)
            assert box["x"] + box["width"] <= width, (button, width)
        box = page.locator("#tab-replay").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width, width
