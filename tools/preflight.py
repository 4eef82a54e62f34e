"""Can this interpreter build greenscope? Run with it, before a virtual environment is made.

A missing compiler otherwise shows as a hundred lines of pip's, and a missing ``ensurepip`` as a
virtual environment without pip that the next run takes for a good one.
"""

import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator


def problems() -> Iterator[str]:
    """What is missing, each with what to do about it."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.hexversion < 0x030B0000:
        # Written so that old interpreters reach this line: no annotations, no f-strings' newer forms.
        yield f"{sys.executable} is Python {version}, 3.11 or later is needed: make PYTHON=python3.13 build"
        return
    python_h = os.path.join(sysconfig.get_path("include"), "Python.h")  # noqa: PTH118  (see above)
    if importlib.util.find_spec("ensurepip") is None:
        yield f"{sys.executable} cannot make virtual environments: apt-get install python3-venv"
    if not os.path.exists(python_h):  # noqa: PTH110
        yield f"{python_h} is missing, and pyuv has to be compiled: apt-get install python3-dev"
    compiler = os.environ.get("CC", sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        yield (
            f"there is no C compiler ({compiler}), and pyuv has to be compiled: apt-get install gcc; "
            "or install wheels that `make wheels` left elsewhere: "
            "pip install --find-links DIRECTORY greenscope"
        )


if __name__ == "__main__":
    found = list(problems())
    for problem in found:
        print("make:", problem, file=sys.stderr)
    sys.exit(1 if found else 0)
