"""``python -m greenscope.runtime.monkey`` runs a program as Python itself does, but green."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

Result = subprocess.CompletedProcess[str]

ABOUT = """\
import json, os, sys, time
print(json.dumps([
    sys.argv, sys.path[0], __name__, __file__, __package__, __spec__ and __spec__.name,
    sys.modules["__main__"].__dict__ is globals(), time.sleep.__module__,
]))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the program is."""
    made = tmp_path / "program"
    made.mkdir()
    (made / "script.py").write_text(ABOUT, encoding="utf-8")
    package = made / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(ABOUT, encoding="utf-8")
    (package / "module.py").write_text(ABOUT, encoding="utf-8")
    with zipfile.ZipFile(made / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", ABOUT)
    return made


@pytest.fixture
def run(directory: Path) -> Callable[..., Result]:
    """Runs Python in the program's directory."""

    def run(*arguments: str) -> Result:
        command = [sys.executable, "-W", "error", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=directory, check=False)

    return run


MONKEY = ("-m", "greenscope.runtime.monkey")


@pytest.mark.parametrize(
    "program",
    ["script.py", "./script.py", "-m script", "-m package", "-m package.module", "package", "archive.pyz"],
)
def test_a_program_finds_everything_as_python_would_have_it(run, program):
    plain = run(*program.split(), "one", "--two")
    patched = run(*MONKEY, *program.split(), "one", "--two")
    assert (plain.returncode, patched.returncode) == (0, 0), plain.stderr + patched.stderr
    assert '"time"' in plain.stdout
    assert patched.stdout == plain.stdout.replace('"time"', '"greenscope.runtime.time"')


def test_parts_can_be_left_out(run, directory):
    (directory / "parts.py").write_text(
        "from greenscope.runtime.monkey import is_module_patched as p\nprint(p('time'), p('select'), p('socket'))\n",
        encoding="utf-8",
    )
    assert run(*MONKEY, "--no-time", "--no-select", "parts.py").stdout == "False False True\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "which program? Give -m MODULE or a script"),
        (("-m",), "which program?"),
        (("--no-such", "script.py"), "has no option --no-such"),
        (("absent.py",), "can't open file 'absent.py'"),
        (("-m", "absent"), "there is no module named absent"),
        (("-m", "absent.module"), "cannot find module absent.module"),
    ],
)
def test_what_cannot_be_run_is_said(run, arguments, message):
    result = run(*MONKEY, *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_help_says_how(run):
    result = run(*MONKEY, "--help")
    assert result.returncode == 0
    assert "--no-PART" in result.stdout


def test_a_program_ends_as_it_would(run, directory):
    (directory / "leaving.py").write_text("import sys\nsys.exit(7)\n", encoding="utf-8")
    (directory / "failing.py").write_text("def fail():\n    1 / 0\nfail()\n", encoding="utf-8")
    assert run(*MONKEY, "leaving.py").returncode == 7
    failed = run(*MONKEY, "failing.py")
    assert failed.returncode == 1
    assert 'File "failing.py", line 2, in fail' in failed.stderr or '/failing.py", line 2, in fail' in failed.stderr
    assert "ZeroDivisionError" in failed.stderr


@pytest.mark.parametrize("what", ["time.sleep(60)", "threading.Event().wait()", "thread.join()"])
def test_control_c_ends_a_program_that_waits(directory, what):
    (directory / "waiting.py").write_text(
        "import threading, time\n"
        "thread = threading.Thread(target=time.sleep, args=(60,), daemon=True)\n"
        "thread.start()\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        f"    {what}\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
        "    raise\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [sys.executable, *MONKEY, "waiting.py"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("interrupted\n", -signal.SIGINT)
    assert err.rstrip().endswith("KeyboardInterrupt")


def test_the_interpreters_own_tests_run_by_it(run):
    pytest.importorskip("test.test_threading_local")
    result = run(*MONKEY, "-m", "test", "test_threading_local", "test_timeout")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Result: SUCCESS" in result.stdout
