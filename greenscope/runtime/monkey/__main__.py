"""Run a program that knows nothing of greenlets, green.

usage: python -m greenscope.runtime.monkey [OPTIONS] [-m MODULE | SCRIPT] [ARGS...]

  --no-PART      leave a part out: socket, dns, time, select, thread, os, ssl, subprocess, signal,
                 queue, Event, builtins, contextvars
  --sys          standard input and output too
  -m MODULE      run a module, as python -m does; otherwise a script, a directory or a zip file

``sys.argv``, ``sys.path[0]`` and ``__main__`` are what they would be without us.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import os
import pkgutil
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from greenscope.runtime.monkey.everything import patch_all

_PARTS = (
    "socket", "dns", "time", "select", "thread", "os", "ssl", "subprocess",
    "signal", "queue", "Event", "builtins", "contextvars",
)  # fmt: skip


def main(arguments: list[str]) -> None:
    """Patch, and run what the command line asks for."""
    options: dict[str, bool] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] not in {"-m", "-"}:
        option = rest.pop(0)
        name = option.removeprefix("--no-")
        if option in {"-h", "--help"}:
            print(__doc__)
            return
        if option == "--":
            break
        if option == "--sys":
            options["sys"] = True
        elif option.startswith("--no-") and name in _PARTS:
            options[name] = False
        else:
            sys.exit(f"greenscope.runtime.monkey has no option {option}; --help lists them")
    if not rest or rest == ["-m"]:
        sys.exit("greenscope.runtime.monkey: which program? Give -m MODULE or a script; --help says more")
    patch_all(**options)
    if rest[0] == "-m":
        run_module(rest[1], rest[2:])
    else:
        run_script(rest[0], rest[1:])


def run_module(name: str, arguments: list[str]) -> None:
    """As ``python -m name arguments``."""
    sys.argv[:] = ["-m", *arguments]
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        sys.exit(f"{sys.executable}: cannot find module {name}: {error}")
    if spec is None:
        sys.exit(f"{sys.executable}: there is no module named {name}, or it is a package without __main__")
    loader: Any = spec.loader
    code = loader.get_code(spec.name)
    if code is None:
        sys.exit(f"{sys.executable}: module {name} has no Python code to run")
    sys.argv[0] = spec.origin or name
    _run(code, spec=spec, loader=loader, file=spec.origin, cached=spec.cached, package=spec.parent)


def run_script(path: str, arguments: list[str]) -> None:
    """As ``python path arguments``; a directory or a zip file has a ``__main__``."""
    sys.argv[:] = [path, *arguments]
    named = path
    if not Path(path).is_absolute():
        path = f"{Path.cwd()}{os.sep}{path}"  # and no shorter: ./script.py stays that
    importer: Any = pkgutil.get_importer(path)
    if importer is not None and Path(path).suffix != ".py":
        spec = importer.find_spec("__main__")
        if spec is None:
            sys.exit(f"{sys.executable}: can't find '__main__' in {named!r}")
        _first_path(path)
        loader = spec.loader
        _run(loader.get_code("__main__"), spec=spec, loader=loader, file=spec.origin, cached=spec.cached, package="")
        return
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        sys.exit(f"{sys.executable}: can't open file {named!r}: {error}")
    _first_path(str(Path(path).resolve().parent))
    _run(compile(source, path, "exec", dont_inherit=True), spec=None, loader=None, file=path, cached=None, package=None)


def _first_path(directory: str) -> None:
    # Python put the working directory there, for -m; with -P it put nothing.
    if not sys.flags.safe_path:
        sys.path[0] = directory


def _run(code: CodeType, *, spec: Any, loader: Any, file: str | None, cached: str | None, package: str | None) -> None:
    module = ModuleType("__main__")
    vars(module).update(
        __spec__=spec,
        __loader__=loader,
        __file__=file,
        __cached__=cached,
        __package__=package,
        __builtins__=builtins,
    )
    sys.modules["__main__"] = module
    exec(code, vars(module))  # noqa: S102  (running a program is what this is for)


if __name__ == "__main__":
    main(sys.argv[1:])
