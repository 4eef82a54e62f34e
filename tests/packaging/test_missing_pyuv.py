"""Plain pip cannot build pyuv, so to be without it is an ordinary state and deserves an answer."""

from __future__ import annotations

import subprocess
import sys


def run_without_pyuv(code: str) -> subprocess.CompletedProcess[str]:
    # None in sys.modules is how the import system itself spells "there is no such module".
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['pyuv'] = None\n{code}"],
        check=False,
        capture_output=True,
        text=True,
    )


def test_importing_the_runtime_without_pyuv_says_what_to_do():
    done = run_without_pyuv("import greenscope.runtime")
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith("greenscope.errors.MissingDependencyError: ")
    assert "pyuv" in message
    assert "make" in done.stderr


def test_it_is_an_import_error_for_those_who_can_do_without():
    code = "try:\n    import greenscope.runtime\nexcept ImportError:\n    print('went on without')"
    assert run_without_pyuv(code).stdout == "went on without\n"


def test_the_viewer_does_not_need_pyuv():
    done = run_without_pyuv("import greenscope.trace.reader, greenscope.web, greenscope.cli; print('ok')")
    assert (done.stdout, done.stderr) == ("ok\n", "")
