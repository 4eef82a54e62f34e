"""A lesson's page: what it holds and how it is called; what a program has in its names and its source is text in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import greenscope.web.lesson_page as module
from greenscope.trace.replaying import Replaying
from greenscope.web.lesson_page import TooManySteps, lesson_page, page_name
from tests.web.test_packed_json import unpacked

HOSTILE = "</script><script>hit()</script><!--\u2028"
PROGRAM = f"""
from greenscope.runtime import sleep, spawn
from greenscope.trace import set_name
def named():
    set_name({HOSTILE!r})
    sleep(0.001)  # {HOSTILE.strip()}
spawn(named).join()
"""
LESSON: dict[str, Any] = {"name": "own", "title": "`<b>` & co", "summary": "", "passages": [], "questions": []}


@pytest.fixture(scope="module")
def replaying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    directory = tmp_path_factory.mktemp("private")
    (directory / "app.py").write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "GREENSCOPE_DIR": str(directory / "rings"), "GREENSCOPE_DETAIL": "teach"}
    subprocess.run([sys.executable, str(directory / "app.py")], env=environment, check=True, timeout=60)
    (ring,) = (directory / "rings").glob("*.gsr")
    with closing(Replaying(ring)) as opened:
        yield opened


class Parts(HTMLParser):
    """The scripts of a page, and the policy that names them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[tuple[str, str]] = []
        self.policy = ""
        self._open: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert not {"src", "href"} & set(found), "nothing is loaded"
        if tag == "script":
            self._open = found.get("type") or ""
        elif found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.scripts.append((self._open, data))
            self._open = None

    @property
    def held(self) -> Any:
        (data,) = [text for kind, text in self.scripts if kind == "application/json"]
        return unpacked(json.loads(data))


def test_a_page_holds_every_step_in_every_language(replaying: Replaying) -> None:
    page = lesson_page(replaying, lambda language: {**LESSON, "summary": language}, "4711-1", "zh")
    held = Parts(page).held
    assert list(held) == ["en", "zh"]
    for language, one in held.items():
        steps = one["overview"]["steps"]
        assert one["lesson"]["summary"] == language
        assert [frame["step"] for frame in one["frames"]["frames"]] == list(range(steps))
        assert len(one["causes"]) == steps
        assert one["strip"]["to"] == steps - 1
        assert one["id"] == "4711-1"
        assert one["overview"]["complete"]
    assert held["en"]["frames"]["frames"][0]["words"] != held["zh"]["frames"]["frames"][0]["words"]
    assert 'data-lang="zh"' in page


def test_what_a_program_is_called_and_holds_is_text(replaying: Replaying) -> None:
    parts = Parts(lesson_page(replaying, lambda _: LESSON, "4711-1", "en"))
    assert len(parts.scripts) == 4, "theme, language, data, and the page's own"
    (file,) = parts.held["en"]["overview"]["files"]
    assert HOSTILE.strip() in file["text"]
    assert any("</script><script>hit()" in name for name in parts.held["en"]["frames"]["names"].values())


def test_the_policy_lets_nothing_be_loaded(replaying: Replaying) -> None:
    policy = Parts(lesson_page(replaying, lambda _: LESSON, "4711-1", "en")).policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert len(re.findall(r"'sha256-[\w+/]{43}='", rules["script-src"])) == len(rules["script-src"].split()) == 3
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["style-src"])
    assert set(rules) == {"default-src", "base-uri", "form-action", "script-src", "style-src"}


def test_nobody_learns_in_which_directories_the_program_was(replaying: Replaying) -> None:
    page = lesson_page(replaying, lambda _: LESSON, "4711-1", "en")
    held = Parts(page).held
    assert [file["file"] for file in held["en"]["overview"]["files"]] == ["app.py"]
    assert {frame["site"]["file"] for frame in held["en"]["frames"]["frames"] if frame["site"]} == {"app.py"}
    assert str(Path(replaying.info.argv[0]).parent) not in page


def test_files_of_the_same_name_are_told_by_more_of_their_paths() -> None:
    assert module._names({"/a/b/app.py", "/a/c/app.py", "/a/c/other.py"}) == {
        "/a/b/app.py": "b/app.py",
        "/a/c/app.py": "c/app.py",
        "/a/c/other.py": "other.py",
    }
    assert module._names({"app.py", "/x/app.py", "<string>"}) == {
        "app.py": "app.py",
        "/x/app.py": "x/app.py",
        "<string>": "<string>",
    }


def test_a_title_is_text(replaying: Replaying) -> None:
    assert "<title>&lt;b&gt; &amp; co</title>" in lesson_page(replaying, lambda _: LESSON, "4711-1", "en")


def test_too_many_steps_are_refused_with_what_to_do(replaying: Replaying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STEPS", 5)
    with pytest.raises(TooManySteps, match=r"has \d+ steps, and a page holds at most 5: let the program do less"):
        lesson_page(replaying, lambda _: LESSON, "4711-1", "en")


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/python3", "/home/me/recv.py"], "greenscope-recv.html"),
        (["python", "my program.py", "-x"], "greenscope-my-program.html"),
        (["python", "-m", "greenscope.runtime.monkey", "own.py"], "greenscope-own.html"),
        (["python", "-m", "some.package"], "greenscope-some-package.html"),
        (["python", "-m"], "greenscope-lesson.html"),
        (["python", "七.py"], "greenscope-lesson.html"),
        ([""], "greenscope-lesson.html"),
        ([], "greenscope-lesson.html"),
    ],
)
def test_a_page_is_called_as_its_program(argv: list[str], name: str) -> None:
    assert page_name(argv) == name
