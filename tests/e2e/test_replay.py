"""A recording stepped through in a real browser: what the panes show is what the viewer's frames say, at every step."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

SECONDS = 1000

PROGRAM = '''\
"""Greenlets that wait for data, for a timer and a timeout, for a lock, a queue, an event, and for each other."""
from greenscope.runtime import Timeout, joinall, sleep, spawn
from greenscope.runtime.event import Event
from greenscope.runtime.queue import Queue
from greenscope.runtime.semaphore import Semaphore
from greenscope.runtime.socket import socketpair

left, right = socketpair()
lock, queue, go = Semaphore(1), Queue(), Event()


def reader():
    data = left.recv(100)
    left.sendall(data.upper())


def writer():
    sleep(0.005)
    right.sendall(b"hello")
    assert right.recv(100) == b"HELLO"
    go.set()


def worker(number):
    go.wait()
    with lock:
        sleep(0.001)
        queue.put(number)


def impatient():
    with Timeout(0.01, False):
        Event().wait()


joinall([spawn(reader), spawn(writer), spawn(worker, 1), spawn(worker, 2), spawn(impatient)])
assert queue.get() == 1
'''

WAITS_TWICE = """\
import sys
from greenscope.runtime import sleep
for word in ("waits", "again"):
    sleep(0.001)
    print(word, flush=True)
    sys.stdin.readline()
"""

GOES_ROUND = """\
import sys
from greenscope.runtime import sleep
while True:
    for _ in range(8000):
        sleep(0)
    print("round", flush=True)
    if not sys.stdin.readline():
        break
"""

SHOWN = """() => {
  const root = document.querySelector("#panel-replay");
  const all = (selector, name) => [...root.querySelectorAll(selector)].map((node) => node.dataset[name]);
  const stage = root.querySelector(".stage");
  const text = (selector) => [...root.querySelectorAll(selector)].map((node) => node.textContent);
  return {
    step: Number(root.dataset.step),
    number: root.querySelector(".step-number").textContent,
    running: stage.dataset.running,
    hub: stage.dataset.hub,
    ready: root.querySelector(".queue").dataset.ready,
    readyChips: all(".queue [data-greenlet]", "greenlet").join(" "),
    runningChips: all(".running [data-chip]", "chip"),
    hubAtHome: all(".hub-home [data-chip]", "chip").length,
    parked: all(".parked-one", "greenlet").map(Number).sort((a, b) => a - b),
    things: all(".thing", "thing"),
    fired: [...root.querySelectorAll(".thing[data-fired]")].map((node) => node.dataset.thing),
    ties: [...root.querySelectorAll(".tie")].filter((node) => node.getAttribute("d")).length,
    line: root.querySelector(".replay-source").dataset.line,
    here: text(".code-line.here .code-number"),
    bookmarks: [...root.querySelectorAll(".code-line .chip")].length,
    words: text(".sentences p"),
    told: root.querySelector("#replay-told").textContent,
    slider: root.querySelector(".scrub").value,
    strip: root.querySelector(".replay-strip").dataset.step,
  };
}"""


@dataclass
class Recording:
    """A viewer of one recording, or of a directory of rings."""

    url: str
    program: Path

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/{path}", timeout=60) as answer:
            return json.load(answer)

    @property
    def ring(self) -> str:
        return str(self.get("rings")["rings"][0]["id"])

    @property
    def overview(self) -> dict[str, Any]:
        return dict(self.get(f"rings/{self.ring}/replay"))

    def frames(self) -> list[dict[str, Any]]:
        """All of them; there are not many."""
        return list(self.get(f"rings/{self.ring}/replay/frames?from=0&to=200")["frames"])

    def at(self, step: object) -> str:
        return f"{self.url}/#ring={self.ring}&step={step}"


@contextmanager
def served(what: Path, program: Path) -> Iterator[Recording]:
    command = [sys.executable, "-m", "greenscope", "serve", "--port", "0", str(what)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stderr is not None
        try:
            found = re.search(r"http://[\w.]+:\d+", viewer.stderr.readline())
            assert found is not None
            yield Recording(found[0], program)
        finally:
            viewer.send_signal(signal.SIGINT)


def record(directory: Path, text: str, detail: str = "teach") -> Path:
    """A program's recording, made by the command that a teacher uses."""
    program, recording = directory / "app.py", directory / "app.gsr"
    program.write_text(text)
    command = [sys.executable, "-m", "greenscope", "record", "--detail", detail, "-o", str(recording), str(program)]
    subprocess.run(command, check=True, timeout=60, capture_output=True, cwd=directory)
    return recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    directory = tmp_path_factory.mktemp("replay")
    with served(record(directory, PROGRAM), directory / "app.py") as found:
        yield found


@pytest.fixture
def still(browser: Browser) -> Iterator[Page]:
    """A page of somebody who wants no motion, large enough for all there is."""
    with browser.new_context(reduced_motion="reduce", viewport={"width": 1600, "height": 1200}) as context:
        yield context.new_page()


def opened(page: Page, recording: Recording, step: object) -> list[str]:
    """Open it at a step; the list gets what goes wrong on the page."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(recording.at(step))
    page.locator("#panel-replay[data-step]").wait_for(timeout=20 * SECONDS)
    return errors


def at(page: Page, step: int) -> None:
    """Wait until a step is on screen."""
    is_at = "step => document.querySelector(`#panel-replay[data-step='${step}']:not([data-behind])`) !== null"
    page.wait_for_function(is_at, arg=step, timeout=10 * SECONDS)


def check(shown: dict[str, Any], frame: dict[str, Any], hub: int, program: Path) -> None:
    """The panes agree with a frame, and with each other."""
    step = frame["step"]
    assert (shown["number"], shown["slider"], shown["strip"]) == (f"Step {step}", str(step), str(step))
    assert shown["words"] == frame["words"], step
    running = frame["running"]
    assert shown["running"] == ("" if running is None else str(running)), step
    assert shown["runningChips"] == ([] if running is None else [str(running)]), step
    assert shown["hubAtHome"] == (0 if running == hub else 1), step
    assert shown["hub"] == (frame["hub"] or ""), step
    ready = " ".join(str(one["greenlet"]) for one in frame["ready"])
    assert (shown["ready"], shown["readyChips"]) == (ready, ready), step
    assert shown["parked"] == sorted(one["greenlet"] for one in frame["parked"]), step
    watchers = {f"w{one['watcher']}": one for one in frame["watchers"] if one["owner"] != hub}
    assert {each for each in shown["things"] if each.startswith("w")} == set(watchers), step
    assert set(shown["fired"]) == {key for key, one in watchers.items() if one["fired"]}, step
    timeouts = {f"t{one['timeout']}" for one in frame["timeouts"]}
    assert {each for each in shown["things"] if each.startswith("t")} == timeouts, step
    assert shown["ties"] >= len(frame["parked"]), step  # nobody waits for nothing
    site = frame["site"]
    line = str(site["line"]) if site is not None and site["file"] == str(program) else ""
    assert shown["line"] == line, step
    assert shown["here"] == ([line] if line else []), step
    sites = [one["site"] for one in (*frame["ready"], *frame["parked"])]
    assert shown["bookmarks"] == sum(1 for each in sites if each and each["file"] == str(program)), step


def test_the_panes_agree_with_the_frames_at_each_step_forward_and_back(still: Page, recording: Recording) -> None:
    page = still
    frames, hub = recording.frames(), recording.overview["hub"]
    assert len(frames) == recording.overview["steps"] > 60
    errors = opened(page, recording, 0)
    for frame in frames:
        at(page, frame["step"])
        check(page.evaluate(SHOWN), frame, hub, recording.program)
        page.keyboard.press("ArrowRight")
    expect(page.locator(".replay-notice")).to_have_text("This is the last step.")
    for frame in reversed(frames):
        at(page, frame["step"])
        check(page.evaluate(SHOWN), frame, hub, recording.program)
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".replay-notice")).to_have_text("This is the first step.")
    assert errors == []


def test_one_moves_by_switch_and_until_a_greenlet_runs_again_with_keys_and_with_buttons(
    page: Page, recording: Recording
) -> None:
    frames = recording.frames()
    errors = opened(page, recording, 20)
    go = frames[20]["go"]
    moves = {"Shift+ArrowRight": "switch_on", "Shift+ArrowLeft": "switch_back", "r": "again", "Shift+R": "again_back"}

    def back() -> None:
        if not page.url.endswith("step=20"):
            page.goto(recording.at(20))
        at(page, 20)

    for key, name in moves.items():
        back()
        page.keyboard.press(key)
        at(page, go[name] if go[name] is not None else 20)
        page.wait_for_url(re.compile(f"step={go[name] if go[name] is not None else 20}$"))
        back()
        button = page.locator(f"[data-move-to={name}]")
        expect(button).to_have_attribute("aria-disabled", "true" if go[name] is None else "false")
        button.click(force=True)  # where it leads nowhere, that is said
        at(page, go[name] if go[name] is not None else 20)
        page.wait_for_url(re.compile(f"step={go[name] if go[name] is not None else 20}$"))
    assert [go[name] for name in moves.values()].count(None) < 3

    # By switch through all of it: each is one.
    page.keyboard.press("Home")
    at(page, 0)
    switches = [frame["step"] for frame in frames if frame["kind"] in ("greenlet_switch", "greenlet_throw")]
    step, seen = 0, set()
    while (step := frames[step]["go"]["switch_on"]) is not None:
        page.keyboard.press("Shift+ArrowRight")
        at(page, step)
        seen.add(step)
    assert set(switches) - {0} <= seen
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".replay-notice")).to_have_text("There is no switch after this.")
    page.keyboard.press("End")
    at(page, len(frames) - 1)
    page.get_by_role("button", name="Step back", exact=True).click()
    at(page, len(frames) - 2)
    page.get_by_role("button", name="First step").click()
    at(page, 0)
    page.get_by_role("button", name="Next step").click()
    at(page, 1)
    assert errors == []


def test_after_a_click_on_its_tab_the_arrows_step_and_after_a_key_on_it_they_are_the_tabs(
    page: Page, recording: Recording
) -> None:
    page.goto(recording.url)
    page.locator("#tab-replay").click()
    at(page, 0)
    page.keyboard.press("ArrowRight")
    at(page, 1)
    page.locator("#tab-replay").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Requests")).to_be_focused()


def test_a_step_has_an_address_that_the_browser_goes_back_from(page: Page, recording: Recording) -> None:
    steps = recording.overview["steps"]
    errors = opened(page, recording, 12)
    at(page, 12)
    expect(page.locator("#tab-replay")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowRight")
    at(page, 13)
    page.wait_for_url(re.compile(r"step=13$"))
    page.keyboard.press("End")
    at(page, steps - 1)
    assert page.url.endswith(f"step={steps - 1}")
    page.go_back()
    at(page, 13)
    page.go_forward()
    at(page, steps - 1)
    page.reload()
    at(page, steps - 1)

    # On another tab it is not at a step; back on this one it is where it was.
    page.keyboard.press("1")
    page.wait_for_url(re.compile(r"#ring=[\w-]+$"))
    page.keyboard.press("6")
    at(page, steps - 1)
    assert errors == []


@pytest.mark.parametrize(
    ("step", "nearest"), [("999999", -1), ("-1", 0), ("abc", 0), ("1e3", 0), ("", 0), ("<b>x</b>", 0), ("9" * 500, 0)]
)
def test_a_step_that_there_is_none_of_is_said_and_the_nearest_is_shown(
    page: Page, recording: Recording, step: str, nearest: int
) -> None:
    steps = recording.overview["steps"]
    errors = opened(page, recording, step)
    at(page, range(steps)[nearest])
    expect(page.locator(".replay-notice")).to_contain_text(
        f"There is no step “{step[:40]}” here: they are 0 to {steps - 1}."
    )
    page.keyboard.press("ArrowRight" if nearest == 0 else "ArrowLeft")
    expect(page.locator(".replay-notice")).to_have_text("")
    assert errors == []


def test_why_a_switch_happened_leads_to_what_caused_it(page: Page, recording: Recording) -> None:
    frames = recording.frames()
    step = next(
        frame["step"]
        for frame in frames
        if frame["kind"] == "greenlet_switch" and any("recv" in words or "read" in words for words in frame["words"])
    )
    causes = recording.get(f"rings/{recording.ring}/replay/why?step={step}")["causes"]
    assert len(causes) > 1
    errors = opened(page, recording, step)
    at(page, step)
    page.keyboard.press("w")
    panel = page.locator("#replay-why")
    expect(panel.locator(".cause")).to_have_count(len(causes))
    assert [text.split(None, 1)[0] for text in panel.locator(".cause-step").all_inner_texts()] == [
        str(cause["step"]) for cause in causes
    ]
    expect(panel.locator(".cause").first).to_be_focused()
    last = panel.locator(".cause").last
    last.focus()
    page.keyboard.press("Enter")
    at(page, causes[-1]["step"])
    expect(last).to_have_attribute("aria-current", "step")
    expect(panel).to_be_visible()  # the others can be gone to as well
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator(".why-button")).to_be_focused()
    page.go_back()
    at(page, step)
    page.locator(".why-button").click()
    expect(panel.locator(".cause")).to_have_count(len(causes))
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    assert errors == []


def test_it_plays_until_it_is_stopped_or_over(page: Page, recording: Recording) -> None:
    steps = recording.overview["steps"]
    errors = opened(page, recording, 2)
    page.get_by_label("Speed").select_option("15")
    page.locator(".replay-words").focus()
    page.keyboard.press("Space")
    play = page.locator(".button.play")
    expect(play).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("() => Number(document.querySelector('#panel-replay').dataset.step) > 6")
    page.keyboard.press("ArrowLeft")  # whoever steps by hand has stopped it
    expect(play).to_have_attribute("aria-pressed", "false")
    stopped = int(page.locator("#panel-replay").get_attribute("data-step") or 0)
    assert stopped < steps - 1
    page.goto(recording.at(steps - 4))
    at(page, steps - 4)
    play.click()
    at(page, steps - 1)
    expect(play).to_have_attribute("aria-pressed", "false")
    assert errors == []


def test_the_strip_and_the_scrubber_go_where_one_points(page: Page, recording: Recording) -> None:
    steps = recording.overview["steps"]
    errors = opened(page, recording, 0)
    plot = page.locator(".strip-plot")
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 30, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + 10, steps=5)
    page.mouse.up()
    strip = page.locator(".replay-strip")
    first, past = (int(strip.get_attribute(f"data-{name}") or -1) for name in ("from", "to"))
    at(page, first + (past - first) // 2)
    assert page.url.endswith(f"step={first + (past - first) // 2}")
    scrub = page.get_by_role("slider", name="Position")
    scrub.focus()
    page.keyboard.press("End")
    at(page, steps - 1)
    page.keyboard.press("ArrowLeft")
    at(page, steps - 2)
    expect(scrub).to_have_attribute("aria-valuetext", f"step {steps - 2} of {steps - 1}")
    expect(page.locator(".strip-names li")).to_have_count(len(recording.overview["greenlets"]) + 1)
    assert errors == []


def test_a_chip_moves_to_its_new_place_and_keeps_still_for_who_wants_that(
    page: Page, still: Page, recording: Recording
) -> None:
    frames = recording.frames()
    park = next(frame["step"] for frame in frames if frame["kind"] == "greenlet_park" and frame["parked"])
    who = frames[park]["greenlet"]
    moving = f"() => document.querySelector('[data-chip=\"{who}\"]').getAnimations().length"
    for each, moves in ((page, True), (still, False)):
        opened(each, recording, park - 1)
        at(each, park - 1)
        each.evaluate(
            "() => Promise.all(document.querySelector('.stage').getAnimations({subtree: true}).map((a) => a.finished))"
        )
        each.evaluate("() => { window.chip = document.querySelector('.running [data-chip]'); }")
        each.keyboard.press("ArrowRight")
        at(each, park)
        assert bool(each.evaluate(moving)) is moves
        # It is the same chip, in another place.
        assert each.evaluate("() => window.chip.closest('.parked-one')?.dataset.greenlet") == str(who)


def test_what_is_seen_is_told_as_well(page: Page, recording: Recording) -> None:
    frames = recording.frames()
    park = next(frame["step"] for frame in frames if frame["kind"] == "greenlet_park" and frame["reason"] == "read")
    opened(page, recording, park)
    at(page, park)
    expect(page.locator("#announce")).to_have_text(f"Step {park}. {' '.join(frames[park]['words'])}")
    told = page.locator("#replay-told")
    expect(told).to_contain_text("Running: hub. The hub decides who goes on.")
    expect(told).to_contain_text(re.compile(r"Parked: .*reader #3 \(waits for: fd \d+ readable\)"))
    # Everything that can be pressed has a name, and can be reached.
    for button in page.locator("#panel-replay button:visible").all():
        assert button.get_attribute("aria-label") or button.inner_text().strip()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("on until this greenlet runs again")


def test_a_wait_for_several_ends_names_one_and_says_that_there_are_others(page: Page, recording: Recording) -> None:
    found = next(one for one in recording.frames() if one["kind"] == "greenlet_park" and one["reason"] == "join")
    opened(page, recording, found["step"])
    at(page, found["step"])
    thing = page.locator('.thing[data-kind="greenlet"]')
    expect(thing).to_have_attribute("title", re.compile(r"^the end of \S+ #\d+ and others$"))
    expect(thing).to_contain_text("…")


@pytest.mark.parametrize(("width", "height", "loop"), [(1280, 800, True), (1366, 768, True), (900, 640, False)])
def test_the_hub_is_in_the_picture_in_a_window_of_any_size_and_its_loop_where_there_is_room(
    page: Page, recording: Recording, width: int, height: int, loop: bool
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    opened(page, recording, 12)
    at(page, 12)
    diagram, hub = page.locator(".replay-diagram").bounding_box(), page.locator(".hub-box").bounding_box()
    assert diagram is not None
    assert hub is not None
    assert hub["y"] + hub["height"] <= diagram["y"] + diagram["height"]
    expect(page.locator(".loop")).to_be_visible(visible=loop)
    number, moves = page.locator(".step-number").bounding_box(), page.locator(".moves").bounding_box()
    assert number is not None
    assert moves is not None
    assert number["x"] + number["width"] <= moves["x"] or number["y"] + number["height"] <= moves["y"]


def test_a_recording_of_switches_alone_says_what_would_tell_more(page: Page, tmp_path: Path) -> None:
    with served(record(tmp_path, PROGRAM, "switch"), tmp_path / "app.py") as recording:
        errors = opened(page, recording, 5)
        expect(page.locator(".replay-level")).to_contain_text("--detail teach")
        at(page, 5)
        assert page.evaluate(SHOWN)["words"] == recording.frames()[5]["words"]
        assert errors == []


def test_a_text_that_changed_is_not_shown_and_that_is_said(page: Page, tmp_path: Path) -> None:
    made = record(tmp_path, PROGRAM)
    program = tmp_path / "app.py"
    program.write_text("# another\n" + PROGRAM)
    with served(made, program) as recording:
        frames = recording.frames()
        step = next(frame["step"] for frame in frames if frame["site"] and frame["site"]["line"] == 13)
        opened(page, recording, step)
        at(page, step)
        expect(page.locator(".source-note")).to_contain_text("cannot be shown: ")
        expect(page.locator(".code-line.here")).to_have_text("app.py:13")


def test_a_program_that_still_runs_has_steps_so_far_and_more_when_one_looks(page: Page, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(WAITS_TWICE)
    environment = {**os.environ, "GREENSCOPE_DETAIL": "teach", "GREENSCOPE_DIR": str(tmp_path / "rings")}
    environment["GREENSCOPE_STALL_MS"] = "0"  # it waits for its input with the hub kept, and that would be a step, too
    command = [sys.executable, str(program)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        with served(tmp_path / "rings", program) as recording:
            errors = opened(page, recording, 0)
            before = recording.overview["steps"]
            expect(page.locator(".step-line")).to_contain_text(f"of {before - 1} so far")
            process.stdin.write("go\n")
            process.stdin.flush()
            assert process.stdout.readline() == "again\n"
            page.get_by_role("button", name="Look for more").click()
            after = recording.overview["steps"]
            assert after > before
            expect(page.locator(".step-line")).to_contain_text(f"of {after - 1} so far")
            page.keyboard.press("End")
            at(page, after - 1)
            # At the end it looks for itself; when the process is over there is no more to look for.
            process.stdin.close()
            process.wait(60)
            expect(page.get_by_role("button", name="Look for more")).to_be_hidden(timeout=20 * SECONDS)
            expect(page.locator(".step-line")).not_to_contain_text("so far")
            assert errors == []


@contextmanager
def running(directory: Path, text: str, **settings: str) -> Iterator[tuple[Recording, Callable[[], None]]]:
    """A program that says a word and then waits for a line, and what has it go on to its next word."""
    program = directory / "app.py"
    program.write_text(text)
    environment = {**os.environ, "GREENSCOPE_DETAIL": "teach", "GREENSCOPE_DIR": str(directory / "rings"), **settings}
    command = [sys.executable, str(program)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        said, told = process.stdout, process.stdin

        def go_on() -> None:
            told.write("go\n")
            told.flush()
            assert said.readline()

        assert said.readline()
        try:
            with served(directory / "rings", program) as recording:
                yield recording, go_on
        finally:
            told.close()


def test_where_one_that_still_runs_is_opened_anew_the_page_is_too_and_says_so(page: Page, tmp_path: Path) -> None:
    with running(tmp_path, GOES_ROUND, GREENSCOPE_RING_MB="1", GREENSCOPE_STALL_MS="60000") as (recording, go_on):
        opened(page, recording, 3)
        at(page, 3)
        go_on()
        anew = recording.get(f"rings/{recording.ring}/replay?anew=true")  # as after ten minutes, or for somebody else
        assert anew["lost"] > 0
        frames = recording.get(f"rings/{recording.ring}/replay/frames?from=0&to=200")["frames"]
        page.evaluate("() => { location.hash = location.hash.replace(/step=.*/, 'step=150'); }")
        at(page, 150)
        expect(page.locator(".replay-notice")).to_contain_text("The steps have other numbers now")
        assert page.evaluate(SHOWN)["words"] == frames[150]["words"]
        page.keyboard.press("Home")
        at(page, 0)
        assert page.evaluate(SHOWN)["words"] == frames[0]["words"]  # and not what was step 0 before


def test_when_no_more_is_taken_in_of_one_that_still_runs_its_newest_steps_are_a_click_away(
    page: Page, tmp_path: Path
) -> None:
    def full(route: Route) -> None:
        """As after two million events."""
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "full": True})

    with running(tmp_path, GOES_ROUND, GREENSCOPE_RING_MB="1", GREENSCOPE_STALL_MS="60000") as (recording, go_on):
        page.route(re.compile(r"/replay\?anew=false"), full)
        opened(page, recording, 3)
        at(page, 3)
        go_on()
        expect(page.get_by_role("button", name="Look for more")).to_be_hidden()
        with page.expect_request(re.compile(r"/replay\?anew=true")):
            page.get_by_role("button", name="Show the newest").click()
        expect(page.locator(".replay-notice")).to_contain_text("The steps have other numbers now")
        overview = recording.overview
        assert overview["lost"] > 0
        at(page, overview["steps"] - 1)
        page.wait_for_url(re.compile(f"step={overview['steps'] - 1}$"))
        expect(page.get_by_role("button", name="Look for more")).to_be_visible()


def test_a_viewer_that_is_gone_is_said_and_asked_again(page: Page, recording: Recording) -> None:
    page.route("**/replay?**", lambda route: route.abort())
    page.goto(recording.at(3))
    page.locator("#tab-replay").click()
    expect(page.locator(".replay-instead")).to_contain_text("The viewer did not answer")
    page.unroute("**/replay?**")
    page.route("**/replay/frames?**", lambda route: route.fulfill(status=422, json={"detail": "there are no frames"}))
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".replay-instead")).to_contain_text("The viewer did not answer: there are no frames")
    page.unroute("**/replay/frames?**")
    page.get_by_role("button", name="Try again").click()
    at(page, 3)


def test_a_page_that_is_loaded_again_before_it_shows_anything_is_at_the_same_step(
    page: Page, recording: Recording
) -> None:
    page.route("**/replay?**", lambda route: None)  # is never answered
    with page.expect_request("**/replay?**"):
        page.goto(recording.at(12))
    expect(page.locator("#tab-replay")).to_have_attribute("aria-selected", "true")
    assert page.url.endswith("step=12")
    page.unroute("**/replay?**")
    page.reload()
    at(page, 12)


def test_an_answer_that_comes_late_changes_nothing(page: Page, tmp_path: Path) -> None:
    text = "from greenscope.runtime import sleep\nfor _ in range(400):\n    sleep(0)\n"
    with served(record(tmp_path, text), tmp_path / "app.py") as recording:
        held: list[Any] = []
        opened(page, recording, 0)
        at(page, 0)
        page.route("**/replay/frames?from=512&**", lambda route: held.append(route))
        page.evaluate("() => { location.hash = location.hash.replace(/step=.*/, 'step=520'); }")
        page.wait_for_function("() => document.querySelector('.scrub').value === '520'")
        page.keyboard.press("Home")
        at(page, 0)
        assert held
        with page.expect_response("**/replay/frames?from=512&**") as late:
            for route in held:
                route.continue_()
        late.value.finished()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        at(page, 0)
        assert page.evaluate(SHOWN)["number"] == "Step 0"
