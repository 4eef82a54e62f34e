"""From when on something is called wrong, as the user says.

Options come before the environment, and that before ``greenscope.toml`` in the working directory.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.thresholds import Thresholds

__all__ = ["THRESHOLD_OPTION", "thresholds_of"]

_FILE = "greenscope.toml"
_MOST = 10**9

THRESHOLD_OPTION = click.option(
    "--threshold",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="From when on something is wrong; docs/diagnoses.md lists the names. May be repeated.",
)


def thresholds_of(given: tuple[str, ...], stall_ms: int | None = None) -> Thresholds:
    """All thresholds.

    Args:
        given: what the options said, each ``NAME=VALUE``.
        stall_ms: what an option of its own said of this one.

    Raises:
        GreenscopeError: one of them is not known, or not a number.
    """
    names = Thresholds.names()
    found: dict[str, int] = {}
    for name, value in _of_file(Path(_FILE)).items():
        found[_known(name, names, _FILE)] = _number(value, f"{_FILE}: {name}")
    for name in names:
        variable = f"GREENSCOPE_{name.upper()}"
        if os.environ.get(variable, "0") != "0":  # GREENSCOPE_STALL_MS=0 is for the traced process: no watchdog
            found[name] = _number(os.environ[variable], variable)
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise GreenscopeError(f"--threshold {text!r}: give NAME=VALUE, as --threshold wait_ms=5000")
        found[_known(name, names, "--threshold")] = _number(value, f"--threshold {name}")
    if stall_ms is not None:
        found["stall_ms"] = stall_ms
    return Thresholds(**found)


def _of_file(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise GreenscopeError(f"{path} is not text in UTF-8") from None
    try:
        table = tomllib.loads(text).get("diagnose", {})
    except tomllib.TOMLDecodeError as error:
        raise GreenscopeError(f"{path} is not TOML: {error}") from None
    if not isinstance(table, dict):
        raise GreenscopeError(f"{path}: diagnose is {table!r}; it is a table of thresholds, headed [diagnose]")
    return table


def _known(name: str, names: Mapping[str, str], where: str) -> str:
    if name not in names:
        raise GreenscopeError(f"{where}: there is no threshold {name!r}; there are {', '.join(names)}")
    return name


def _number(value: object, what: str) -> int:
    number = value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < len(str(_MOST)) + 1:
        number = int(value)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= _MOST:
        raise GreenscopeError(f"{what} is {value!r}: give a whole number from 1 to {_MOST}")
    return number
