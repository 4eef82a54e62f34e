"""Take the pictures in docs/: the demo after a stall, dark and light; a replay; one of each diagnosis and lesson.

    python -m tools.screenshots
    python -m tools.screenshots --diagnoses [ID…]    all, or some; of the plain programs in tests/diagnosis/zoo
    python -m tools.screenshots --replay             the tab Replay, of a program of two greenlets
    python -m tools.screenshots --lessons [NAME…]    all, or some; at the step that shows what the lesson is about

Look at them before they are committed.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from greenscope.learn import LESSONS, Lesson
from tests.diagnosis.programs import Program, programs

DOCS = Path(__file__).resolve().parent.parent / "docs"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
SIZE: ViewportSize = {"width": 1440, "height": 900}
SMALL: ViewportSize = {"width": 1200, "height": 640}
SECONDS = 1000


def select_a_stall(page: Page) -> None:
    """Wait for a screen full of events with a stall in it, and choose that stall."""
    page.wait_for_function("() => window.greenscope?.view().to > 14e9", timeout=60 * SECONDS)
    page.locator("#lanes-canvas").focus()
    page.keyboard.press("]")
    page.wait_for_timeout(SECONDS)


def picture_of(program: Program, browser: Browser) -> None:
    """Run a program that has something wrong, and take the picture of what is found."""
    with tempfile.TemporaryDirectory() as name, program.running(Path(name) / "rings") as process:
        directory = Path(name) / "rings"
        while not list(directory.glob("*.gsr")):
            pass
        thresholds = [f"--threshold={key}={getattr(program.thresholds, key)}" for key in program.thresholds.names()]
        command = [sys.executable, "-m", "greenscope", "serve", "--port", "0", *thresholds, str(directory)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as viewer:
            assert viewer.stderr is not None
            page = browser.new_page(locale="en-US", viewport=SMALL, color_scheme="dark")
            page.goto(re.findall(r"http://\S+", viewer.stderr.readline())[0])
            page.wait_for_selector("#stalls-badge:not([hidden])", timeout=60 * SECONDS)
            page.wait_for_timeout(2 * SECONDS)  # for something to be seen after it as well
            page.locator("#lanes-canvas").focus()
            page.keyboard.press("]")
            page.wait_for_timeout(SECONDS)
            page.screenshot(path=DOCS / "diagnoses" / f"{program.finding}.png")
            page.close()
            viewer.send_signal(signal.SIGINT)
        process.kill()


def pictures_of_diagnoses(ids: list[str]) -> None:
    """One picture of each, or of these."""
    (DOCS / "diagnoses").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for program in programs():
            if program.name.endswith("_plain") and (not ids or program.finding in ids):
                picture_of(program, browser)
        browser.close()


def picture_of_lesson(lesson: Lesson, browser: Browser) -> None:
    """Run a lesson's program, and take the picture of the step that shows what it is about."""
    command = [sys.executable, "-m", "greenscope", "learn", lesson.name, "--port", "0", "--lang", "en"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stderr is not None
        url = next(found[0] for line in viewer.stderr if (found := re.search(r"http://\S+", line)))
        page = browser.new_page(locale="en-US", viewport=SIZE, color_scheme="light", reduced_motion="reduce")
        page.goto(url)
        passage = [one.key for one in lesson.passages].index(lesson.shows)
        page.locator(".passages .passage").nth(passage).click()
        page.wait_for_timeout(SECONDS)
        page.screenshot(path=DOCS / "learn" / f"{lesson.name}.png")
        page.close()
        viewer.send_signal(signal.SIGINT)


def pictures_of_lessons(names: list[str]) -> None:
    """One picture of each, or of these."""
    (DOCS / "learn").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for lesson in LESSONS:
            if not names or lesson.name in names:
                picture_of_lesson(lesson, browser)
        browser.close()


REPLAYED = '''"""Two greenlets and a pair of sockets."""
from greenscope.runtime import joinall, sleep, spawn
from greenscope.runtime.socket import socketpair

left, right = socketpair()


def reader():
    data = left.recv(100)
    left.sendall(data.upper())


def writer():
    sleep(0.05)
    right.sendall(b"hello")
    print(right.recv(100))


joinall([spawn(reader), spawn(writer)])
'''


def picture_of_replay() -> None:
    """Record a program, and take the picture of the step in which the kernel has data for a greenlet that waits."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        (Path(name) / "two.py").write_text(REPLAYED)
        record = ["record", "--detail", "teach", "-o", "two.gsr", "two.py"]
        subprocess.run([sys.executable, "-m", "greenscope", *record], cwd=name, check=True, stdout=subprocess.DEVNULL)
        serve = [sys.executable, "-m", "greenscope", "serve", "--port", "0", f"{name}/two.gsr"]
        with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as viewer:
            assert viewer.stderr is not None
            url = re.findall(r"http://[\w.]+:\d+", viewer.stderr.readline())[0]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(locale="en-US", viewport=SIZE, color_scheme="dark", reduced_motion="reduce")
            frames = page.request.get(f"{url}/api/rings/two/replay/frames?from=0&to=200").json()["frames"]
            step = next(
                frame["step"]
                for frame in frames
                if frame["kind"] == "greenlet_ready" and any("can be read" in words for words in frame["words"])
            )
            page.goto(f"{url}/#ring=two&step={step}")
            page.wait_for_selector(f"#panel-replay[data-step='{step}']")
            page.wait_for_timeout(SECONDS)
            page.screenshot(path=DOCS / "replay.png")
            browser.close()
            viewer.send_signal(signal.SIGINT)


def main() -> None:
    """Run the demo, and take one picture of each theme."""
    if sys.argv[1:] == ["--replay"]:
        picture_of_replay()
        return
    if sys.argv[1:2] == ["--lessons"]:
        pictures_of_lessons(sys.argv[2:])
        return
    if sys.argv[1:2] == ["--diagnoses"]:
        pictures_of_diagnoses(sys.argv[2:])
        return
    command = [sys.executable, "-m", "greenscope", "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo, sync_playwright() as playwright:
        assert demo.stdout is not None
        url = re.findall(r"http://\S+", demo.stdout.readline())[0]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for theme in ("dark", "light"):
            page = browser.new_page(locale="en-US", viewport=SIZE, color_scheme="dark" if theme == "dark" else "light")
            page.goto(url)
            select_a_stall(page)
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
