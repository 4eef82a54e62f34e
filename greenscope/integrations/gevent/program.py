"""A gevent program, recorded: what ``greenscope run --gevent`` starts.

The program becomes the main module, with its own arguments and its own directory first on the path, as if Python had
been started with it.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from greenscope.errors import GreenscopeError
from greenscope.integrations.gevent import install

__all__ = ["main"]

_US = "greenscope.integrations.gevent"


def main() -> None:
    """Install, and become the program that ``sys.argv`` names; exits with 2 and one line if that cannot be."""
    arguments = sys.argv[1:]
    try:
        if not arguments or arguments == ["-m"]:
            raise GreenscopeError("nothing to run: give a script, or -m and a module")
        install()
    except GreenscopeError as error:
        sys.stderr.write(f"greenscope: {error}\n")
        sys.exit(2)
    at = sys.orig_argv.index(_US) if _US in sys.orig_argv else 0
    if at:  # what a ring says was run
        del sys.orig_argv[at - 1 : at + 1]
    if arguments[0] == "-m":
        sys.argv[:] = arguments[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    script = arguments[0]
    sys.argv[:] = arguments
    if Path(script).is_dir():
        runpy.run_path(script, run_name="__main__")
        return
    sys.path[0] = str(Path(script).resolve().parent)
    script = os.path.abspath(script)  # noqa: PTH100  (as python has it, with links in it)
    code = compile(Path(script).read_bytes(), script, "exec", dont_inherit=True)
    # In the module that is main already, so that what the program leaves running finds its names at the end.
    names = sys.modules["__main__"].__dict__
    for name in [name for name in names if name not in {"__builtins__", "__name__"}]:
        del names[name]
    names.update(__file__=script, __package__=None, __spec__=None, __loader__=None, __doc__=None, __cached__=None)
    exec(code, names)  # noqa: S102  (it is what was asked for)
