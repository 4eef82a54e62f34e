"""greenscope learn: lessons listed, run and served; one's own program; and what is no lesson."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
import httpx
import pytest

from greenscope.cli.learn import language_of
from greenscope.cli.learn import learn as command
from greenscope.errors import GreenscopeError
from greenscope.learn import LESSONS

COMMAND = (sys.executable, "-m", "greenscope", "learn")


def learn(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, args)], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


class Shown:
    """A lesson that is served: what was printed until it was, and where it is."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        assert child.stderr is not None
        self.child = child
        self.said: list[str] = []
        for line in child.stderr:
            self.said.append(line)
            if "http://" in line:
                break
        else:
            raise AssertionError("".join(self.said))
        self._rest = threading.Thread(target=self._read, args=(child.stderr,))
        self._rest.start()
        found = re.search(r"(http://[\d.:]+)/(\S*)#ring=(\S+)&step=(\d+) ", self.said[-1])
        assert found is not None, self.said[-1]
        self.url, self.query, self.ring, step = found.groups()
        self.step = int(step)

    def _read(self, stream: IO[str]) -> None:
        self.said += stream

    def get(self, path: str, **params: str) -> httpx.Response:
        return httpx.get(f"{self.url}/api/rings/{self.ring}{path}", params=params)

    def end(self, number: int = signal.SIGINT) -> int:
        """Ask for the end, and wait for it."""
        self.child.send_signal(number)
        code = self.child.wait(20)
        self._rest.join()
        return code


@contextlib.contextmanager
def shown(*args: object) -> Iterator[Shown]:
    with subprocess.Popen([*COMMAND, "--port", "0", *map(str, args)], stdout=-1, stderr=-1, text=True) as child:
        try:
            yield Shown(child)
        finally:
            if child.poll() is None:
                child.kill()


# -- lessons ---------------------------------------------------------------------------------------


def test_without_a_name_the_lessons_are_listed_in_order() -> None:
    done = learn(LC_ALL="C")
    assert done.returncode == 0
    listed = re.findall(r"^ *(\d+)  (\w+) +(\S.*)$", done.stdout, re.MULTILINE)
    assert listed == [(str(n), one.name, one.title("en")) for n, one in enumerate(LESSONS, 1)]


def test_the_titles_are_in_the_language_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--lang", "zh"], standalone_mode=False)
    assert all(one.title("zh") in capsys.readouterr().out for one in LESSONS[:1])


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({"LANG": "zha_XX"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_locale_says_which_language(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


def test_a_lesson_is_run_and_served_in_both_languages_until_it_is_interrupted() -> None:
    with shown("recv") as lesson:
        assert "lesson 2, recv on an empty socket" in lesson.said[-1]
        english, chinese = (lesson.get("/lesson", lang=lang).json() for lang in ("en", "zh"))
        overview = lesson.get("/replay").json()
        assert overview["lesson"] is True
        steps = overview["steps"]
        assert english["name"] == chinese["name"] == "recv"
        assert chinese["title"] == LESSONS[1].title("zh")
        assert [one["kind"] for one in english["questions"]] == ["number", "choice", "step"]
        assert all(0 <= one["step"] < steps for one in english["passages"])
        assert lesson.step == english["passages"][0]["step"] > 0, "it opens where there is something to learn"
        frame = lesson.get("/replay/frames", **{"from": str(english["passages"][2]["step"]), "to": str(steps)})
        assert frame.json()["frames"][0]["kind"] == "greenlet_park"
        assert lesson.get("/lesson", lang="fr").status_code == 422
        assert httpx.get(f"{lesson.url}/api/rings/nothing/lesson").status_code == 404
        assert lesson.end() == 0
        assert lesson.child.stdout is not None
        assert lesson.child.stdout.read().startswith("reader: got b'hello'\n")


def test_a_lesson_goes_by_its_number_and_options_may_follow_it() -> None:
    with shown("8", "--lang", "zh") as lesson:
        assert LESSONS[7].title("zh") in lesson.said[-1]
        assert lesson.query == "?lang=zh"
        assert "LoopExit" in "".join(lesson.said[:-1])  # as its program means to end
        assert not any("ended with" in line for line in lesson.said)
        assert lesson.get("/lesson").json()["name"] == "deadlock"
        assert lesson.end(signal.SIGTERM) == 0


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with shown("sleep") as lesson:
        assert len(list(tmp_path.iterdir())) == 1
        assert lesson.end() == 0
    assert list(tmp_path.iterdir()) == []


# -- one's own program -----------------------------------------------------------------------------


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


def test_ones_own_program_gets_its_arguments_and_a_lesson(tmp_path: Path) -> None:
    program = script(tmp_path, "import sys\nfrom greenscope.runtime import sleep\nsleep(0.01)\nprint(sys.argv[1:])\n")
    with shown(program, "--lang", "-x", "y") as lesson:
        told = lesson.get("/lesson").json()
        assert (told["name"], told["title"]) == ("own", "mine.py, step by step")
        assert "mine.py:3" in " ".join(one["words"] for one in told["passages"])
        assert lesson.end() == 0
        assert lesson.child.stdout is not None
        assert lesson.child.stdout.read() == "['--lang', '-x', 'y']\n"


def test_a_program_that_fails_after_it_waited_is_worth_a_lesson(tmp_path: Path) -> None:
    program = script(tmp_path, "from greenscope.runtime import sleep\nsleep(0.01)\nraise SystemExit(3)\n")
    with shown(program) as lesson:
        assert "greenscope: mine.py ended with 3\n" in lesson.said
        assert lesson.get("/lesson").status_code == 200
        assert lesson.end() == 0


def test_a_program_without_end_is_ended_by_the_first_interrupt_and_then_shown(tmp_path: Path) -> None:
    text = "from greenscope.runtime import sleep\nsleep(0.01)\nprint('on', flush=True)\nsleep(600)\n"
    started = [*COMMAND, "--port", "0", str(script(tmp_path, text))]
    with subprocess.Popen(started, stdout=-1, stderr=-1, text=True, process_group=0) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "on\n"
            os.killpg(child.pid, signal.SIGINT)  # as a terminal does
            lesson = Shown(child)
            assert "greenscope: mine.py ended with 130\n" in lesson.said
            assert lesson.end() == 0
        finally:
            if child.poll() is None:
                child.kill()


def test_a_program_that_is_asked_to_end_is_not_shown(tmp_path: Path) -> None:
    text = "from greenscope.runtime import sleep\nsleep(0.01)\nprint('on', flush=True)\nsleep(600)\n"
    started = [*COMMAND, "--port", "0", str(script(tmp_path, text))]
    with subprocess.Popen(started, stdout=-1, stderr=-1, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "on\n"
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 128 + signal.SIGTERM
        finally:
            if child.poll() is None:
                child.kill()


@pytest.mark.parametrize("text", ["print('no hub')\n", "import greenscope.runtime\ngreenscope.runtime.get_hub()\n"])
def test_a_program_in_which_nobody_waits_is_said_to_be_that(tmp_path: Path, text: str) -> None:
    done = learn("--port", "0", script(tmp_path, text))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no greenlet waited in mine.py" in done.stderr
    assert "greenscope.runtime" in done.stderr


def test_a_script_whose_name_is_no_text_has_a_page_all_the_same(tmp_path: Path) -> None:
    program = tmp_path / os.fsdecode(b"\xff.py")
    program.write_text("from greenscope.runtime import sleep\nsleep(0.01)\n")
    done = learn("-o", tmp_path / "page.html", program)
    assert done.returncode == 0, done.stderr
    assert "?.py" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_gevent_script_is_told_to_be_followed_as_one_and_a_lesson_is_none(tmp_path: Path) -> None:
    done = learn("--port", "0", script(tmp_path, "import gevent\ngevent.sleep(0.01)\n"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "greenscope learn --gevent mine.py" in done.stderr
    done = learn("--gevent", "recv")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "'recv' runs on greenscope.runtime" in done.stderr


def test_a_program_that_fails_at_once_gives_its_own_code(tmp_path: Path) -> None:
    done = learn("--port", "0", script(tmp_path, "raise SystemExit(7)\n"))
    assert (done.returncode, done.stderr.count("\n")) == (7, 1)
    assert "mine.py ended with 7 before any greenlet waited" in done.stderr


# -- what is none ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["11"], "'11' is neither a lesson nor a script"),
        (["no/such.py"], "'no/such.py' is neither a lesson nor a script"),
        ([""], "'' is neither a lesson nor a script"),
        (["."], "is a directory without a __main__.py"),
        (["recv", "more"], "'more'"),
        (["-m"], "-m needs the name of a module"),
        (["recv", "--lang", "fr"], "'fr'"),
        (["recv", "--port"], "--port"),
    ],
)
def test_what_is_no_lesson_is_refused(args: list[str], said: str) -> None:
    with pytest.raises((GreenscopeError, click.UsageError)) as refused:
        command.main(args, standalone_mode=False)
    text = str(refused.value) if isinstance(refused.value, GreenscopeError) else refused.value.format_message()
    assert said in text


def test_near_misses_are_suggested_in_one_line() -> None:
    done = learn("recvv")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'recvv' is neither a lesson nor a script; did you mean recv?" in done.stderr


def test_a_port_that_is_taken_is_told_before_the_program_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(GreenscopeError, match="choose another"):
        command.main(["--port", str(taken.getsockname()[1]), "sleep"], standalone_mode=False)


# -- a page to hand out ----------------------------------------------------------------------------


def test_a_lesson_is_written_into_a_file_and_over_an_older_one(tmp_path: Path) -> None:
    out = tmp_path / "lesson.html"
    out.write_text("older")
    done = learn("sleep", "-o", out, "--lang", "zh")
    assert done.returncode == 0, done.stderr
    assert re.search(
        rf"^greenscope: wrote {re.escape(str(out))}, \d+ kB; open it in a browser$", done.stderr, re.MULTILINE
    )
    page = out.read_text(encoding="utf-8")
    assert LESSONS[0].title("zh").replace("`", "") in page
    assert 'data-lang="zh"' in page
    assert list(tmp_path.iterdir()) == [out]  # nothing is left beside it


def test_what_the_lesson_on_stalls_is_about_is_there_whatever_a_stall_is_elsewhere(tmp_path: Path) -> None:
    done = learn("hog", "-o", tmp_path / "hog.html", "--lang", "en", GREENSCOPE_STALL_MS="0")
    assert done.returncode == 0, done.stderr
    assert "watchdog sees that hog" in (tmp_path / "hog.html").read_text()


def test_a_page_of_ones_own_program_is_in_the_language_of_who_opens_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("from greenscope.runtime import sleep\nsleep(0)\n")
    done = learn("-o", tmp_path / "own.html", tmp_path / "own.py")
    assert done.returncode == 0, done.stderr
    assert 'data-lang=""' in (tmp_path / "own.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["sleep", "-o", "nowhere/x.html"], "there is no directory"),
        (["-o", "", "sleep"], "-o needs the name of a file"),
        (["-o", "x.html"], "which lesson is to be written into 'x.html'? greenscope learn lists them"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_anything_runs(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = learn(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_went_to_the_program_is_told_how_to_write_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import sys\nfrom greenscope.runtime import sleep\nsleep(0)\nprint(sys.argv[1:])\n"
    )
    with shown(tmp_path / "own.py", "-o", "own.html") as served:
        said = "".join(served.said)
    assert (
        "what follows own.py is its own, and so is -o own.html; to write a page: greenscope learn -o own.html" in said
    )


def test_a_lesson_that_is_about_an_error_says_that_it_ends_with_one(tmp_path: Path) -> None:
    done = learn("deadlock", "-o", tmp_path / "deadlock.html")
    assert done.returncode == 0, done.stderr
    assert "the program of this lesson ends with an error, and that is what it is about" in done.stderr
    assert "ended with" not in done.stderr


def test_a_run_too_long_for_a_page_writes_none(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("from greenscope.runtime import sleep\nfor _ in range(1000):\n    sleep(0)\n")
    done = learn("-o", tmp_path / "long.html", tmp_path / "long.py")
    assert done.returncode == 2
    assert re.search(r"has \d,\d{3} steps, and a page holds at most 2,000: let the program do less", done.stderr)
    assert not (tmp_path / "long.html").exists()
