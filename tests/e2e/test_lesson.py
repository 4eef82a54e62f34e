"""Every lesson, run for real and gone through in a real browser, in the dashboard and as the page that is handed out.

Its program runs once. Each step is gone to by keys, forward and back; what the panes show is what the viewer's frames
say, and what the frames say is held to what must always be so, counted here from the kinds of the events alone.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from greenscope.learn import LESSONS

SECONDS = 1000
LEARN = (sys.executable, "-m", "greenscope", "learn")

WALK = """async ([key, to]) => {
    const root = document.querySelector("#panel-replay");
    const one = (selector) => root.querySelector(selector);
    const all = (selector, name) => [...root.querySelectorAll(selector)].map((node) => node.dataset[name]);
    const read = () => ({
        step: Number(root.dataset.step),
        strip: Number(one(".replay-strip").dataset.step),
        words: [...root.querySelectorAll(".sentences p")].map((node) => node.textContent),
        running: one(".stage").dataset.running,
        runs: all(".running [data-chip]", "chip"),
        hub: one(".stage").dataset.hub,
        hubs: all(".hub-home [data-chip]", "chip"),
        ready: all(".queue [data-greenlet]", "greenlet").map(Number),
        parked: all(".parked-one", "greenlet").map(Number),
        things: all(".thing", "thing"),
        line: one(".replay-source").dataset.line,
        passage: [...root.querySelectorAll(".passage")].findIndex((node) => node.hasAttribute("aria-current")),
    });
    const there = (step) => Number(root.dataset.step) === step && !root.hasAttribute("data-behind");
    const seen = [read()];
    while (seen.at(-1).step !== to) {
        const next = seen.at(-1).step + (key === "ArrowRight" ? 1 : -1);
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        const begun = performance.now();
        while (!there(next)) {
            if (performance.now() - begun > 10000) throw new Error(`step ${next} does not come`);
            await new Promise((go) => setTimeout(go));
        }
        seen.push(read());
    }
    return seen;
}"""
"""Presses a key until a step is reached, and gives what was on screen at each."""

AT_ONCE = "window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()))"
"""What is drawn is the same, whether or not the screen is waited for."""

STILL: Any = {"reduced_motion": "reduce", "viewport": {"width": 1600, "height": 1300}, "locale": "en-US"}
"""For somebody who wants no motion, and large enough for all there is."""


@dataclass
class Shown:
    """A lesson that is run and served."""

    url: str
    ring: str
    http: httpx.Client
    frames: list[dict[str, Any]] = field(default_factory=list)

    def get(self, path: str, **params: object) -> Any:
        answer = self.http.get(f"/api/rings/{self.ring}/{path}", params={k: str(v) for k, v in params.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def overview(self) -> dict[str, Any]:
        return dict(self.get("replay"))

    @property
    def lesson(self) -> dict[str, Any]:
        return dict(self.get("lesson"))

    def at(self, step: int = 0, query: str = "") -> str:
        return f"{self.url}/{query}#ring={self.ring}&step={step}"

    def all_frames(self) -> list[dict[str, Any]]:
        if not self.frames:
            steps = self.overview["steps"]
            for first in range(0, steps, 200):
                asked = {"from": first, "to": min(first + 200, steps)}
                self.frames += self.get("replay/frames", **asked)["frames"]
        return self.frames


@contextmanager
def shown(*program: str) -> Iterator[Shown]:
    command = [*LEARN, "--port", "0", *program]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "LANG": "C.UTF-8"}
    ) as child:
        assert child.stderr is not None
        said = []
        for line in child.stderr:
            said.append(line)
            if found := re.search(r"(http://[\d.:]+)/\S*#ring=([\w-]+)", line):
                break
        else:
            raise AssertionError("".join(said))
        try:
            with httpx.Client(base_url=found[1], timeout=60) as http:
                yield Shown(found[1], found[2], http)
        finally:
            child.stderr.close()
            ended(child)


def ended(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGINT)
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()


@pytest.fixture(scope="module", params=[lesson.name for lesson in LESSONS])
def lesson(request: pytest.FixtureRequest) -> Iterator[Shown]:
    with shown(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def recv() -> Iterator[Shown]:
    with shown("recv") as found:
        yield found


@pytest.fixture
def still(browser: Browser) -> Iterator[Page]:
    """A page on which one can step fast."""
    with browser.new_context(**STILL) as context:
        context.add_init_script(AT_ONCE)
        yield context.new_page()


def file_of(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


def watched(page: Page) -> list[str]:
    """What goes wrong on a page, as it comes."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    return errors


def at(page: Page, step: int) -> None:
    """Wait until a step is on screen, and the lesson."""
    page.locator(f"#panel-replay[data-step='{step}']:not([data-behind])").wait_for(timeout=20 * SECONDS)
    page.locator("#replay-lesson").wait_for()


def again(page: Page, step: int) -> None:
    """Load the page again, when its address says where it is."""
    page.wait_for_url(re.compile(f"step={step}$"))
    page.reload()
    at(page, step)


def saved(shown: Shown, directory: Path, lang: str = "en") -> Path:
    answer = shown.http.get(f"/api/rings/{shown.ring}/lesson.html", params={"lang": lang})
    assert answer.status_code == 200, answer.text
    (directory / "lesson.html").write_bytes(answer.content)
    return directory / "lesson.html"


@pytest.fixture
def alone(browser: Browser) -> Iterator[Page]:
    """A page without a network, on which nothing may be asked for but the one file that is opened."""
    with browser.new_context(**STILL) as context:
        context.add_init_script(AT_ONCE)
        context.set_offline(True)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        yield page
        assert [url for url in asked if not url.startswith("file:///")] == []
        assert set(map(file_of, asked)) == {file_of(page.url)}


def walked(page: Page, frames: list[dict[str, Any]], hub: int, passages: list[dict[str, Any]]) -> None:
    """From the first step to the last, and back; the panes are as the frames at each."""
    last = len(frames) - 1
    at(page, 0)
    on = page.evaluate(WALK, ["ArrowRight", last])
    back = page.evaluate(WALK, ["ArrowLeft", 0])
    assert [one["step"] for one in on] == list(range(last + 1))
    assert back == on[::-1], "there and back it is the same"
    for one, frame in zip(on, frames, strict=True):
        agrees(one, frame, hub, passages)


def agrees(one: dict[str, Any], frame: dict[str, Any], hub: int, passages: list[dict[str, Any]]) -> None:
    step, running, site = frame["step"], frame["running"], frame["site"]
    assert one["strip"] == step
    assert one["words"] == frame["words"], step
    assert one["running"] == ("" if running is None else str(running)), step
    assert one["runs"] == ([] if running is None else [str(running)]), step
    assert (one["hub"], len(one["hubs"])) == (frame["hub"] or "", 0 if running == hub else 1), step
    assert one["ready"] == [each["greenlet"] for each in frame["ready"]], step
    assert sorted(one["parked"]) == sorted(each["greenlet"] for each in frame["parked"]), step
    watchers = {f"w{each['watcher']}" for each in frame["watchers"] if each["owner"] != hub}
    assert {thing for thing in one["things"] if re.fullmatch(r"w\d+", thing)} == watchers, step
    timeouts = {f"t{each['timeout']}" for each in frame["timeouts"]}
    assert {thing for thing in one["things"] if re.fullmatch(r"t\d+", thing)} == timeouts, step
    assert one["line"] == ("" if site is None else str(site["line"])), step
    begun = [each["step"] for each in passages if each["step"] is not None and each["step"] <= step]
    marked = one["passage"]
    assert (passages[marked]["step"] if marked >= 0 else None) == (max(begun) if begun else None), step


def holds(frames: list[dict[str, Any]], hub: int, names: set[int]) -> None:
    """What must be so after every event."""
    ready: list[int] = []
    for frame in frames:
        step, kind, who = frame["step"], frame["kind"], frame["greenlet"]
        # The ready queue is the ready events minus the switches.
        if kind == "greenlet_ready" and who not in ready:
            ready.append(who)
        elif kind in ("greenlet_switch", "greenlet_throw") and who in ready:
            ready.remove(who)
        assert [one["greenlet"] for one in frame["ready"]] == ready, (step, kind)
        # Exactly one thing runs: it is nowhere else, and the hub waits if and only if it is not the hub.
        running, parked = frame["running"], [one["greenlet"] for one in frame["parked"]]
        if running is not None:
            assert running in names | {hub}, step
            assert running not in [*ready, *parked], step
            assert (frame["hub"] == "waits") == (running != hub), step
        else:
            assert all(each["kind"] not in ("greenlet_switch", "greenlet_park") for each in frames[: step + 1]), step
        # A parked greenlet has a reason, and is parked once.
        assert len(parked) == len(set(parked)), step
        assert not set(parked) & set(ready), step
        assert all(one["reason"] and one["label"] for one in frame["parked"]), step
        # An armed watcher belongs to someone.
        assert all(one["owner"] in names | {hub} for one in [*frame["watchers"], *frame["timeouts"]]), step


# -- every lesson ----------------------------------------------------------------------------------


def test_the_panes_agree_with_the_events_at_each_step_there_and_back(still: Page, lesson: Shown) -> None:
    frames, overview = lesson.all_frames(), lesson.overview
    assert len(frames) == overview["steps"] > 10
    holds(frames, overview["hub"], {one["id"] for one in overview["greenlets"]})
    errors = watched(still)
    still.goto(lesson.at())
    walked(still, frames, overview["hub"], lesson.lesson["passages"])
    assert errors == []


def test_its_page_works_from_a_disk_without_a_network(alone: Page, lesson: Shown, tmp_path: Path) -> None:
    frames, overview = lesson.all_frames(), lesson.overview
    page = alone
    errors = watched(page)
    file = saved(lesson, tmp_path)
    assert file.stat().st_size < 1_000_000
    page.goto(file.as_uri())
    at(page, lesson.lesson["passages"][0]["step"])
    page.keyboard.press("Home")
    expect(page).to_have_title(f"{lesson.lesson['title'].replace('`', '')} · greenscope")
    walked(page, frames, overview["hub"], lesson.lesson["passages"])
    assert errors == []


def test_its_passages_lead_to_their_steps_and_its_questions_are_answered(still: Page, lesson: Shown) -> None:
    told = lesson.lesson
    errors = watched(still)
    still.goto(lesson.at())
    at(still, 0)
    for index, passage in enumerate(told["passages"]):
        node = still.locator(".passage").nth(index)
        expect(node).to_contain_text(plain(passage["words"]))
        if passage["step"] is None:
            expect(node).to_contain_text("This did not happen in this run.")
            continue
        node.click()
        at(still, passage["step"])
        expect(node).to_have_attribute("aria-current", "step")
        expect(still.locator(".passage[aria-current]")).to_have_count(1)
    assert len(told["questions"]) == 3
    for number, question in enumerate(told["questions"]):
        form = still.locator(".question").nth(number)
        expect(form.locator("legend")).to_contain_text(plain(question["words"]))
        give(still, lesson, form, question, wrong_answer(question, len(lesson.all_frames())))
        expect(form.locator(".answer-said")).to_have_text(f"Not so. {plain(question['hint'])}")
        give(still, lesson, form, question, question["answer"])
        expect(form.locator(".answer-said")).to_have_text(plain(question["right"]))
        if question["step"] is not None:
            form.get_by_role("button", name="Show me").click()
            at(still, question["step"])
    expect(still.locator(".lesson-score")).to_have_text("3 of 3 right")
    assert errors == []


def plain(words: str) -> str:
    return re.sub(r"`([^`]+)`", r"\1", words)


def wrong_answer(question: dict[str, Any], steps: int) -> int:
    if question["kind"] == "choice":
        return int((question["answer"] + 1) % len(question["choices"]))
    return int(question["answer"] + 1) if question["answer"] + 1 < steps else 0


def give(page: Page, shown: Shown, form: Locator, question: dict[str, Any], answer: int) -> None:
    if question["kind"] == "number":
        form.locator("input").fill(str(answer))
        form.locator("input").press("Enter")
    elif question["kind"] == "choice":
        form.locator(".choice").nth(answer).click()
        form.get_by_role("button", name="Answer").click()
    else:
        page.goto(shown.at(answer))
        at(page, answer)
        form.get_by_role("button", name=f"It is here: step {answer}", exact=True).click()


# -- one lesson ------------------------------------------------------------------------------------


def test_passages_are_gone_through_by_keys_and_buttons(page: Page, recv: Shown) -> None:
    steps = [passage["step"] for passage in recv.lesson["passages"]]
    assert None not in steps
    errors = watched(page)
    page.goto(recv.at())
    at(page, 0)
    expect(page.locator(".lesson-where")).to_have_text("Before the first passage")
    expect(page.get_by_role("button", name="Passage before")).to_have_attribute("aria-disabled", "true")
    for step in steps:
        page.keyboard.press("n")
        at(page, step)
    expect(page.locator(".lesson-where")).to_have_text(f"Passage {len(steps)} of {len(steps)}")
    expect(page.get_by_role("button", name="Next passage")).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("n")
    at(page, steps[-1])
    page.get_by_role("button", name="Passage before").click()
    at(page, steps[-2])
    page.keyboard.press("p")
    at(page, steps[-3])
    # Between two passages it is still the first of them.
    page.keyboard.press("ArrowRight")
    at(page, steps[-3] + 1)
    expect(page.locator(".passage").nth(len(steps) - 3)).to_have_attribute("aria-current", "step")
    assert errors == []


def test_what_is_no_answer_is_said_to_be_none_and_answers_are_kept_for_the_page(page: Page, recv: Shown) -> None:
    kinds = [question["kind"] for question in recv.lesson["questions"]]
    page.goto(recv.at(3))
    at(page, 3)
    score = page.locator(".lesson-score")
    expect(score).to_have_text("3 questions")
    number = page.locator(".question[data-kind=number]")
    for text in ("", "some", "-1", "1.5"):
        number.locator("input").fill(text)
        number.locator("input").press("Enter")
        expect(number.locator(".answer-said")).to_have_text("Write a whole number, such as 3.")
    choice = page.locator(".question[data-kind=choice]")
    choice.get_by_role("button", name="Answer").click()
    expect(choice.locator(".answer-said")).to_have_text("Choose one of them first.")
    expect(score).to_have_text("3 questions")
    # Arrows choose, and do not step; letters in a field are letters.
    choice.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    expect(choice.get_by_role("radio").nth(1)).to_be_checked()
    number.locator("input").focus()
    page.keyboard.press("n")
    page.keyboard.press("ArrowLeft")
    at(page, 3)
    right = recv.lesson["questions"][kinds.index("number")]["answer"]
    number.locator("input").fill(str(right))
    number.locator("input").press("Enter")
    expect(score).to_have_text("1 of 3 right")
    again(page, 3)
    expect(score).to_have_text("1 of 3 right")
    expect(number.locator(".answer-said")).to_contain_text("Right: ")
    page.get_by_role("button", name="Begin again").click()
    expect(score).to_have_text("3 questions")
    expect(number.locator("input")).to_have_value("")
    again(page, 3)
    expect(score).to_have_text("3 questions")


def test_the_language_is_switched_in_the_dashboard_and_in_the_page(
    page: Page, alone: Page, recv: Shown, tmp_path: Path
) -> None:
    english, chinese = (recv.get("lesson", lang=lang) for lang in ("en", "zh"))
    page.goto(recv.at(20))
    alone.goto(f"{saved(recv, tmp_path).as_uri()}#step=20")
    for each in (page, alone):
        at(each, 20)
        title = each.locator("#replay-lesson h2")
        expect(title).to_have_text(plain(english["title"]))
        each.get_by_role("button", name="中文").click()
        expect(title).to_have_text(plain(chinese["title"]))
        at(each, 20)
        expect(each.locator(".passage").first).to_contain_text(plain(chinese["passages"][0]["words"]))
        expect(each.locator("html")).to_have_attribute("lang", "zh-CN")
        each.get_by_role("button", name="English").click()
        expect(title).to_have_text(plain(english["title"]))


def test_a_page_opens_in_the_language_that_it_was_saved_in(alone: Page, recv: Shown, tmp_path: Path) -> None:
    alone.goto(saved(recv, tmp_path, "zh").as_uri())
    at(alone, recv.lesson["passages"][0]["step"])
    expect(alone.locator("html")).to_have_attribute("lang", "zh-CN")


def test_the_panel_saves_the_page(page: Page, alone: Page, recv: Shown, tmp_path: Path) -> None:
    page.goto(recv.at(5))
    at(page, 5)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a page").click()
    assert download.value.suggested_filename == "greenscope-recv.html"
    expect(page.locator(".lesson-saved")).to_have_text("Saved as greenscope-recv.html: one file that needs no network.")
    download.value.save_as(tmp_path / "saved.html")
    alone.goto(f"{(tmp_path / 'saved.html').as_uri()}#step=5")
    at(alone, 5)
    expect(alone.get_by_role("button", name="Save as a page")).to_be_hidden()


def test_a_viewer_without_a_lesson_is_not_asked_for_one(page: Page, recv: Shown, tmp_path: Path) -> None:
    ring, program = tmp_path / "app.gsr", tmp_path / "app.py"
    program.write_text("from greenscope.runtime import sleep\nsleep(0.001)\n")
    record = (sys.executable, "-m", "greenscope", "record", "--detail", "teach", "-o", str(ring), str(program))
    subprocess.run(record, check=True, capture_output=True, timeout=60)
    serve = (sys.executable, "-m", "greenscope", "serve", "--port", "0", str(ring))
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stderr is not None
        found = re.search(r"http://[\d.:]+", viewer.stderr.readline())
        assert found is not None
        errors = watched(page)
        try:
            page.goto(found[0])
            page.get_by_role("tab", name="Replay").click()
            page.locator("#panel-replay[data-step]").wait_for(timeout=20 * SECONDS)
            expect(page.locator("#replay-lesson")).to_be_hidden()
            page.keyboard.press("n")
            assert errors == []
        finally:
            ended(viewer)


# -- one's own program -----------------------------------------------------------------------------

HOSTILE = "</script><script>window.hit=1</script><!--<img src=x onerror=window.hit=1>"


def test_what_a_program_has_in_its_names_and_its_source_is_text_in_its_page(alone: Page, tmp_path: Path) -> None:
    program, out = tmp_path / "own.py", tmp_path / "own.html"
    program.write_text(
        "from greenscope.runtime import sleep, spawn\nfrom greenscope.trace import set_name\n"
        f"def named():\n    set_name({HOSTILE!r})\n    sleep(0.001)  # {HOSTILE}\nspawn(named).join()\n"
    )
    done = subprocess.run([*LEARN, "-o", str(out), str(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    page = alone
    errors = watched(page)
    page.goto(f"{out.as_uri()}#step=0")
    at(page, 0)
    expect(page.locator(".code")).to_contain_text(HOSTILE)
    page.keyboard.press("End")
    expect(page.locator(".strip-names li").last).to_contain_text("</script>")
    assert page.evaluate("window.hit") is None
    assert errors == []


def test_a_run_too_long_for_a_page_is_refused_in_words_by_the_panel(page: Page, tmp_path: Path) -> None:
    program = tmp_path / "long.py"
    program.write_text("from greenscope.runtime import sleep\nfor _ in range(1000):\n    sleep(0)\n")
    with shown(str(program)) as found:
        page.goto(found.at())
        at(page, 0)
        page.get_by_role("button", name="Save as a page").click()
        said = page.locator(".lesson-saved")
        expect(said).to_contain_text(
            re.compile(r"Not saved: this recording has [\d,]+ steps, and a page holds at most")
        )
