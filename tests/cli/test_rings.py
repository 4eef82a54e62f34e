"""``greenscope rings``: the list as a person and as a program reads it, and what ``prune`` removes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trace.rings import begin, new_ring
from tests.trace.test_ring_pruning import make, names


def greenscope_rings(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenscope", "rings", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def directory(trace_directory: Path) -> Path:
    trace_directory.mkdir(mode=0o700)
    return trace_directory


def test_the_list_says_of_each_ring_whose_it_is_and_whether_it_lives(directory: Path) -> None:
    ring, live = new_ring("c", directory / f"{os.getpid()}-1.gsr")
    begin(ring)
    make(directory / "17-1.gsr", 3)
    done = greenscope_rings()
    assert (done.returncode, done.stderr) == (0, "")
    head, died, lives, total = done.stdout.splitlines()
    assert head.split()[:3] == ["PID", "Hub", "State"]
    assert "  died   " in died
    assert "17-1.gsr" in died
    assert "3:00 h ago" in died
    assert f" {os.getpid()}-1.gsr " in lives
    assert "live" in lives
    assert total == f"2 rings, {total.split()[2]} MiB in {directory}, 1 of them live"
    live.release()


def test_the_list_as_json(directory: Path) -> None:
    _, file = new_ring("c", directory / "17-1.gsr")
    file.close()
    file.release()
    done = greenscope_rings("--json")
    said = json.loads(done.stdout)
    (ring,) = said["rings"]
    assert said["directory"] == str(directory)
    assert (ring["state"], ring["pid"], ring["hub"], ring["thread"]) == ("ended", os.getpid(), 1, "MainThread")
    assert 0 <= time.time() - ring["seen"] < 60
    assert ring["disk_bytes"] == (directory / "17-1.gsr").stat().st_blocks * 512
    assert len(ring["boot_id"]) == 32
    assert ring["process_start"] > 0


def test_where_there_is_no_directory_there_are_no_rings(trace_directory: Path) -> None:
    done = greenscope_rings()
    assert (done.returncode, done.stdout) == (0, f"0 rings, 0.0 MiB in {trace_directory}, 0 of them live\n")
    done = greenscope_rings("prune")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"greenscope: there is no directory {str(trace_directory)!r}; GREENSCOPE_DIR names another\n"


def test_prune_removes_what_is_asked_and_says_so(directory: Path) -> None:
    live = make(directory / "1-1.gsr", 50, living=True)
    for hours in (1, 5, 30, 50):
        make(directory / f"{hours + 100}-1.gsr", hours)
    done = greenscope_rings("prune", "--older-than", "40h", "--dry-run")
    assert done.stdout.splitlines()[-1].startswith("would remove 1 ring, ")
    assert len(names(directory)) == 5
    done = greenscope_rings("prune", "--older-than", "40h")
    assert done.stdout.splitlines()[-1].startswith("removed 1 ring, ")
    assert "150-1.gsr" in done.stdout
    assert greenscope_rings("prune").returncode == 0  # older than a day
    assert names(directory) == ["1-1.gsr", "101-1.gsr", "105-1.gsr"]
    assert greenscope_rings("prune", "--keep-mb", "1").stdout == "removed 0 rings, 0.0 MiB\n"
    assert greenscope_rings("prune", "--all").returncode == 0
    assert names(directory) == ["1-1.gsr"]
    live.release()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("prune", "--older-than", "soon"), "'soon' is no time: give a whole number and s, m, h or d"),
        (("prune", "--older-than", "-1h"), "'-1h' is no time"),
        (("prune", "--keep-mb", "-1"), "-1 is not in the range"),
        (("prune", "--all", "--keep-mb", "1"), "--all leaves nothing for"),
        (("--json", "prune"), "--json is for the list"),
        (("burn",), "No such command 'burn'"),
    ],
)
def test_what_makes_no_sense_is_said_and_removes_nothing(args: tuple[str, ...], says: str, directory: Path) -> None:
    make(directory / "1-1.gsr", 50)
    done = greenscope_rings(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert names(directory) == ["1-1.gsr"]


def test_a_setting_that_makes_no_sense_is_said(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENSCOPE_KEEP_HOURS", "long")
    done = greenscope_rings("prune")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "greenscope: GREENSCOPE_KEEP_HOURS is 'long': give whole hours, 0 to 1048576\n"


@pytest.mark.parametrize("command", ["rings", "ps"])
def test_who_only_lists_waits_for_no_web_server_to_be_imported(command: str, directory: Path) -> None:
    script = f"""
import sys
sys.argv = ["greenscope", {command!r}]
from greenscope.cli import main
try:
    main()
finally:
    assert not {{"fastapi", "uvicorn", "plotly", "asyncio"}} & set(sys.modules), sorted(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
