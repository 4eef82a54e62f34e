"""``greenscope diagnose``: of a process that hangs, one that is dead, a copy, and what is no ring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCKED = """
import greenscope.runtime as g
def tick():
    while True:
        g.sleep(0.01)
def hog():
    g.sleep(0.05)
    print("ready", flush=True)
    while True: pass
g.spawn(tick)
g.spawn(hog).join()
"""
HEALTHY = """
import greenscope.runtime as g
def tick():
    while True:
        g.sleep(0.01)
g.spawn(tick)
print("ready", flush=True)
g.sleep(1000)
"""
FORTY_RUNS = """
import time
import greenscope.runtime as g
g.sleep(0)
for _ in range(40):
    time.sleep(0.02)
    g.sleep(0)
"""

# For a machine that is too busy to say that a program is well.
PATIENT = ("--threshold", "stall_ms=60000", "--threshold", "starved_ms=60000", "--threshold", "hog_slice_ms=60000")


@contextmanager
def service(source: str) -> Iterator[subprocess.Popen[str]]:
    """A program that has said that it is ready."""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def diagnose(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenscope", "diagnose", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd)


def found_in(pid: int) -> list[dict[str, object]]:
    """The findings, as soon as there are some."""
    by = time.monotonic() + 30
    while time.monotonic() < by:
        done = diagnose(pid, "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["version"] == 1
        if answer["findings"]:
            return answer["findings"]
    raise AssertionError("nothing was found")


@pytest.mark.usefixtures("default_stalls")
def test_who_blocks_the_hub_is_named_with_its_line_and_still_is_when_it_is_dead():
    with service(BLOCKED) as process:
        (finding,) = found_in(process.pid)
        text = diagnose(process.pid).stdout
    assert finding["id"] == "hub-blocked"
    assert finding["severity"] == "critical"
    assert finding["greenlet"]["name"].startswith("hog #")
    assert (finding["site"]["line"], finding["site"]["function"]) == (9, "hog")
    assert finding["pid"] == process.pid
    assert finding["going_on"] is True
    assert finding["duration_ms"] > 100
    assert [one["name"].split(" #")[0] for one in finding["others"]] == ["tick"]
    assert "critical: hub-blocked" in text
    assert "has kept the hub for" in text
    assert "<string>:9 in hog" in text
    assert "What to do: " in text
    done = diagnose(process.pid)
    assert f"{process.pid}/1" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[0].endswith(", died")
    assert "kept the hub for" in done.stdout


@pytest.mark.usefixtures("default_stalls")
def test_the_exit_code_says_whether_what_was_asked_for_was_found():
    with service(BLOCKED) as process:
        found_in(process.pid)
        codes = [
            diagnose(process.pid, *arguments).returncode
            for arguments in (
                [],
                ["--fail-on", "any"],
                ["--fail-on", "hub-blocked"],
                ["--fail-on", "wait-no-deadline"],
                ["--fail-on", "wait-no-deadline", "--fail-on", "hub-blocked", "--json"],
            )
        ]
    assert codes == [0, 1, 1, 0, 1]


def test_who_is_well_is_said_to_be():
    with service(HEALTHY) as process:
        done = diagnose(process.pid, "--fail-on", "any")
        answer = diagnose(process.pid, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "  nothing is wrong"
    assert json.loads(answer.stdout) == {"version": 1, "findings": []}


def test_forty_runs_at_one_line_are_one_finding(tmp_path: Path):
    (tmp_path / "app.py").write_text(FORTY_RUNS)
    command = [sys.executable, "-m", "greenscope", "record", "-o", "a.gsr", "app.py"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "GREENSCOPE_STALL_MS": "4"}, check=True, timeout=60)
    done = diagnose("a.gsr", "--json", "--threshold", "stall_ms=4", cwd=tmp_path)
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["id"], finding["site"]["line"], finding["going_on"]) == ("blocking-call", 6, False)
    assert finding["count"] == 40
    assert "the longest of 40 such runs" in finding["sentence"]


@pytest.mark.usefixtures("default_stalls")
def test_a_threshold_comes_from_the_option_or_the_environment_or_the_file_in_that_order(tmp_path: Path):
    (tmp_path / "app.py").write_text(FORTY_RUNS)
    subprocess.run([sys.executable, "-m", "greenscope", "record", "-o", "a.gsr", "app.py"], cwd=tmp_path, check=True)

    def stalls(*arguments: str, **environment: str) -> bool:
        command = [sys.executable, "-m", "greenscope", "diagnose", "a.gsr", "--fail-on", "hub-blocked", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True)
        assert done.returncode in {0, 1}
        return bool(done.returncode)

    assert not stalls()
    (tmp_path / "greenscope.toml").write_text("[diagnose]\nstall_ms = 4\n")
    assert stalls()
    assert not stalls(GREENSCOPE_STALL_MS="5000")
    assert stalls("--threshold", "stall_ms=4", GREENSCOPE_STALL_MS="5000")


@pytest.mark.usefixtures("default_stalls")
def test_run_says_at_the_end_what_was_wrong_and_gives_the_programs_exit_code(tmp_path: Path):
    (tmp_path / "app.py").write_text(f"{FORTY_RUNS}time.sleep(0.2)\ng.sleep(0)\nraise SystemExit(7)\n")
    command = [sys.executable, "-m", "greenscope", "run", "--port", "0", "--diagnose", "app.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 7
    assert "critical: blocking-call" in done.stderr
    assert "at app.py:8 in <module>" in done.stderr


def test_run_says_when_nothing_was_wrong(tmp_path: Path):
    (tmp_path / "app.py").write_text("import greenscope.runtime as g\ng.sleep(0.05)\n")
    command = [sys.executable, "-m", "greenscope", "run", "--port", "0", "--diagnose", *PATIENT, "app.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.endswith("  nothing is wrong\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[diagnose]\nstall_ms = 'long'\n", "greenscope.toml: stall_ms is 'long': give a whole number"),
        ("[diagnose]\nstall_ms = true\n", "greenscope.toml: stall_ms is True: give a whole number"),
        ("[diagnose]\nboredom_ms = 3\n", "greenscope.toml: there is no threshold 'boredom_ms'"),
        ("diagnose = 3\n", "greenscope.toml: diagnose is 3; it is a table of thresholds"),
        ("what?", "greenscope.toml is not TOML: "),
    ],
)
def test_a_bad_file_of_thresholds_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "greenscope.toml").write_text(text)
    (tmp_path / "empty.gsr").touch()
    done = diagnose("empty.gsr", cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.gsr"], "'nothing.gsr' is neither the number of a process nor a file"),
        (["4194305"], "process 4194305 has no ring in"),
        (["empty.gsr"], "empty.gsr is not a ring: it has 0 bytes"),
        (["empty.gsr", "--fail-on", "boredom"], "there is no diagnosis 'boredom'; there are hub-blocked,"),
        (["empty.gsr", "--threshold", "stall_ms"], "--threshold 'stall_ms': give NAME=VALUE"),
        (["empty.gsr", "--threshold", "boredom_ms=3"], "there is no threshold 'boredom_ms'; there are stall_ms,"),
        (["empty.gsr", "--threshold", "stall_ms=0"], "--threshold stall_ms is '0': give a whole number from 1 to"),
        (["empty.gsr", "--threshold", "stall_ms=-5"], "--threshold stall_ms is '-5': give a whole number"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str):
    (tmp_path / "empty.gsr").touch()
    done = diagnose(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
