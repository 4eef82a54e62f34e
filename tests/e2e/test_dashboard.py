"""The whole path, as a user takes it: the demo in its own processes, the dashboard in a real browser."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICE = ROOT / "greenscope" / "demo" / "service.py"
SECONDS = 1000


@dataclass
class Demo:
    """A running ``greenscope demo``."""

    process: subprocess.Popen[str]
    url: str
    service: int

    def processes(self) -> set[int]:
        """It and all it started."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {self.process.pid, *(int(pid) for path in children for pid in path.read_text().split())}


@dataclass
class Complaints:
    """What a page that is well never does."""

    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@pytest.fixture
def demo() -> Iterator[Demo]:
    command = (sys.executable, "-m", "greenscope", "demo", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+) .*process (\d+)", line)
        assert found, line
        yield Demo(process, found[1], int(found[2]))
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.fixture
def complaints(page: Page, demo: Demo) -> Complaints:
    found = Complaints()

    def look_at(request: Request) -> None:
        if not request.url.startswith((demo.url, demo.url.replace("http", "ws"), "data:", "blob:")):
            found.foreign.append(request.url)

    page.on("console", lambda message: found.console.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.console.append(str(error)))
    page.on("request", look_at)
    page.on("websocket", lambda socket: None if "127.0.0.1" in socket.url else found.foreign.append(socket.url))
    return found


def row(page: Page, name: str) -> list[str]:
    """The cells of a greenlet's row in the table."""
    line = page.locator("#greenlets-table tbody tr").filter(has_text=re.compile(rf"^{re.escape(name)}"))
    expect(line).to_have_count(1)
    return line.locator("td").all_inner_texts()


def line_of(source: str) -> int:
    """Where a line of the demo service is."""
    lines = SERVICE.read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if line.strip() == source)


@pytest.mark.usefixtures("default_stalls")
def test_a_service_is_watched_live_and_its_death_is_seen(page: Page, demo: Demo, complaints: Complaints) -> None:
    page.goto(demo.url)

    # Live: events come, lanes are there and grow.
    expect(page.locator("#live-pill")).to_contain_text(re.compile(r"Live · [\d\s]+ev/s · 0 lost"), timeout=20 * SECONDS)
    page.wait_for_function("() => greenscope.laneCount() >= 18", timeout=20 * SECONDS)
    seen = page.evaluate("() => greenscope.segmentCount()")
    page.wait_for_function(f"() => greenscope.segmentCount() > {seen} + 200", timeout=20 * SECONDS)
    expect(page).to_have_title(re.compile("greenscope"))

    # A stall appears, with who it was.
    page.get_by_role("tab", name="Stalls").click()
    stall = page.locator("#stalls li").filter(has_text="hub-blocked").first
    expect(stall).to_contain_text("report", timeout=20 * SECONDS)
    expect(stall).to_contain_text(re.compile(r"service\.py:\d+ in render"))
    assert int(re.findall(r"(\d+) ms", stall.inner_text())[0]) >= 100
    expect(page.locator("#stalls-badge")).to_have_text(str(page.locator("#stalls li").count()))

    # Chosen, it is on the timeline, with the stack and the line of source that took the time.
    stall.get_by_role("button").click()
    expect(page.get_by_role("tab", name="Timeline")).to_have_attribute("aria-selected", "true")
    side = page.locator("#side")
    expect(side.get_by_role("heading", name=re.compile("hub-blocked"))).to_be_visible()
    expect(side.locator(".stack .culprit")).to_have_text(re.compile(r"service\.py:\d+ render"))
    expect(side.locator(".stack li").nth(1)).to_have_text(re.compile(r"service\.py:\d+ Shop\.report"))
    (at,) = re.findall(r"service\.py:(\d+)", side.locator(".stack .culprit").inner_text())
    here = side.locator(".source-line.here code")
    assert here.inner_text().strip() == SERVICE.read_text().splitlines()[int(at) - 1].strip()
    # The keyboard goes through them: this one is the first, or the last.
    page.keyboard.press("[")
    page.keyboard.press("]")
    expect(side.locator(".finding-told")).to_be_visible()
    page.keyboard.press("Escape")
    expect(side.locator("h2")).to_have_text("What is wrong")
    page.get_by_role("button", name="Back to live").click()

    # The table says what the service does: the kernel and its source are asked what that is.
    page.get_by_role("tab", name="Greenlets").click()
    customers = page.locator("#greenlets-table tbody tr").filter(has_text=re.compile(r"^customer :\d+"))
    expect(customers).to_have_count(10)
    licence = row(page, "licence-check")
    assert licence[1].strip() == "waiting: read"
    assert f"service.py:{line_of('connection.recv(1024)')} Shop.licence_check" in licence[3]
    on = re.search(r"fd (\d+)\D+127\.0\.0\.1:(\d+)", licence[2])
    assert on, licence[2]
    assert os.readlink(f"/proc/{demo.service}/fd/{on[1]}").startswith("socket:")
    assert f'"licences": {on[2]}' in Path(f"/proc/{demo.service}/cmdline").read_text()
    assert licence[5] == ""  # no deadline
    row_name, *_, before, _ = row(page, "metrics")
    switches = page.locator("#greenlets-table tbody tr").filter(has_text=re.compile(r"^metrics")).locator("td").nth(6)
    for more in range(1, 5):  # each tick is one switch, and shows
        page.wait_for_function(
            "([cell, least]) => Number(cell.innerText) >= least", arg=[switches.element_handle(), int(before) + more]
        )

    # The profile says where the time went, and leads to the longest wait.
    page.keyboard.press("4")
    expect(page.get_by_role("tab", name="Profile")).to_have_attribute("aria-selected", "true")
    sums = page.locator("#profile-table tbody tr")
    licence_line = f"service.py:{line_of('connection.recv(1024)')} Shop.licence_check"
    longest = sums.filter(has_text=licence_line).get_by_role("button")
    expect(longest).to_be_visible(timeout=20 * SECONDS)
    page.get_by_role("radio", name="Line").focus()
    for _ in range(7):  # the arrows go through the choices, to the last
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Load")).to_be_checked()
    expect(page.get_by_role("heading", name=re.compile("^Load of each"))).to_be_visible(timeout=20 * SECONDS)
    away = page.get_by_role("list", name=re.compile("^Away from the poll")).get_by_role("listitem")
    expect(away.first).to_contain_text(re.compile(r"\d .*: (once|[\d\s]+ times), "))
    page.get_by_role("radio", name="Line").check()
    longest.click()
    expect(page.get_by_role("tab", name="Timeline")).to_have_attribute("aria-selected", "true")
    expect(side.get_by_role("heading", name="licence-check")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Back to live").click()

    # What a lane says when asked. The tick sleeps a quarter of a second after each run, and no timer is early.
    page.get_by_role("tab", name="Timeline").click()
    number = re.search(r"#(\d+)", row_name)
    assert number
    page.wait_for_function(f"() => greenscope.segments({number[1]}).filter((s) => s.state === 0).length >= 3")
    starts = page.evaluate(f"() => greenscope.segments({number[1]}).filter((s) => s.state === 0).map((s) => s.start)")
    assert all(later - earlier >= 250e6 for earlier, later in itertools.pairwise(starts))
    page.locator("#search").fill("licence")
    page.wait_for_function("() => greenscope.laneCount() === 1")
    canvas = page.locator("#lanes-canvas")
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 12)
    tooltip = page.locator("#tooltip")
    expect(tooltip).to_contain_text("licence-check")
    expect(tooltip).to_contain_text(f"127.0.0.1:{on[2]}")
    expect(tooltip).to_contain_text("service.py")
    page.locator("#search").fill("")
    page.wait_for_function(f"() => greenscope.laneCount() >= 18 && greenscope.segmentCount() > {seen}")
    before_death = page.evaluate("() => greenscope.segments(2).length")

    # Killed: the page says so, and keeps what there was.
    os.kill(demo.service, signal.SIGKILL)
    expect(page.locator("#banner")).to_contain_text("The process ended", timeout=20 * SECONDS)
    expect(page.locator("#live-pill")).to_contain_text("died")
    page.locator("#lanes-canvas").focus()
    page.keyboard.press("0")
    page.wait_for_function("() => greenscope.view().from <= 0")
    page.wait_for_function(f"() => greenscope.segmentCount() > {seen}")
    page.wait_for_function(f"() => greenscope.segments(2).length >= {before_death}")

    assert complaints == Complaints([], [])
    processes = demo.processes()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(20) == 0
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []


def test_pausing_zooming_and_panning(page: Page, demo: Demo, complaints: Complaints) -> None:
    with page.expect_websocket() as opened:
        page.goto(demo.url)
    page.wait_for_function("() => window.greenscope?.segmentCount() > 100", timeout=20 * SECONDS)
    page.locator("#lanes-canvas").focus()

    def view() -> tuple[float, float]:
        window = page.evaluate("() => greenscope.view()")
        return window["from"], window["to"]

    page.keyboard.press("Space")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    stood = view()
    segments = page.evaluate("() => greenscope.segmentCount()")
    for _ in range(8):  # the stream goes on, the window does not
        opened.value.wait_for_event("framereceived")
    assert view() == stood
    page.keyboard.press("0")
    page.wait_for_function("() => Math.abs(greenscope.view().from) < 1e9")
    whole = view()
    for _ in range(6):  # near enough that there is something to pan to on either side
        page.keyboard.press("w")
    page.wait_for_function(f"() => greenscope.view().to - greenscope.view().from < {whole[1] - whole[0]} * 0.5")
    nearer = view()
    page.keyboard.press("a")
    page.wait_for_function(f"() => greenscope.view().from < {nearer[0]}")
    box = page.locator("#lanes-canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    before = view()
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"() => greenscope.view().to - greenscope.view().from < {before[1] - before[0]} * 0.95")
    before = view()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 100, box["y"] + 60)
    page.mouse.up()
    page.wait_for_function(f"() => greenscope.view().from < {before[0]}")
    assert segments > 0
    page.keyboard.press("l")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "false")
    page.wait_for_function(f"() => greenscope.view().to > {stood[1]}")
    assert complaints == Complaints([], [])


def test_the_viewer_dies_and_the_service_does_not_notice(page: Page, demo: Demo) -> None:
    """The viewer alone: another one, over the same rings."""
    page.goto(demo.url)
    page.wait_for_function("() => window.greenscope?.segmentCount() > 100", timeout=20 * SECONDS)
    directory = next(
        entry.removeprefix("GREENSCOPE_DIR=")
        for entry in Path(f"/proc/{demo.service}/environ").read_text().split("\0")
        if entry.startswith("GREENSCOPE_DIR=")
    )
    command = (sys.executable, "-m", "greenscope", "serve", "--port", "0", directory)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stderr is not None
        other = next(word for word in viewer.stderr.readline().split() if word.startswith("http"))
        page.goto(other)
        expect(page.locator("#live-pill")).to_contain_text("Live", timeout=20 * SECONDS)
        viewer.kill()
        viewer.wait()
    expect(page.locator("#live-pill")).to_contain_text(re.compile("not reachable", re.IGNORECASE))
    page.goto(demo.url)
    expect(page.locator("#live-pill")).to_contain_text(re.compile(r"Live · [1-9]"), timeout=20 * SECONDS)
    assert Path(f"/proc/{demo.service}").exists()
