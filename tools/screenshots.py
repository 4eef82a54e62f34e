"""Take the pictures in docs/: the demo's dashboard after a stall, dark and light.

    python -m tools.screenshots

Look at them before they are committed.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
SIZE: ViewportSize = {"width": 1440, "height": 900}
SECONDS = 1000


def select_newest_stall(page: Page) -> None:
    """Wait for a screen full of events with a stall in it, and choose that stall."""
    page.wait_for_function("() => window.greenscope?.view().to > 14e9", timeout=60 * SECONDS)
    page.locator("#lanes-canvas").focus()
    page.keyboard.press("[")
    page.wait_for_timeout(SECONDS)


def main() -> None:
    """Run the demo, and take one picture of each theme."""
    command = [sys.executable, "-m", "greenscope", "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo, sync_playwright() as playwright:
        assert demo.stdout is not None
        url = re.findall(r"http://\S+", demo.stdout.readline())[0]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for theme in ("dark", "light"):
            page = browser.new_page(viewport=SIZE, color_scheme="dark" if theme == "dark" else "light")
            page.goto(url)
            select_newest_stall(page)
            page.screenshot(path=DOCS / f"dashboard-{theme}.png")
            if theme == "dark":
                page.get_by_role("tab", name="Greenlets").click()
                page.wait_for_timeout(SECONDS)
                page.screenshot(path=DOCS / "greenlets-dark.png")
            page.close()
        browser.close()
        demo.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
