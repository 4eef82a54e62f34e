"""Who took originals before they were replaced.

``from socket import socket`` copies a reference that patching ``socket`` cannot reach. Where a module of
the standard library did that we replace the copy too: we know what it does with it. Anybody else's may be
meant (a debugger keeps the real ``threading.Lock`` on purpose), so it is left alone and warned of by name,
as is a class that was derived from an original.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from greenscope.runtime.monkey.saved import patch_item, saved

__all__ = ["MonkeyPatchWarning", "follow_copies", "once", "warn"]

# Their copies are originals on purpose: the import system's, and what the patching itself is made of.
_KEEP = frozenset({"importlib", "_frozen_importlib", "_frozen_importlib_external", "zipimport", "faulthandler"})
_OURS = ("greenscope", "gevent", "greenlet", "pyuv")
# Too small or too common to say anything about who has them: True is 1.
_WORTHLESS = (int, float, str, bytes, tuple, frozenset, type(None))


_INSIDE = ("greenscope.runtime.monkey", "contextlib")


class MonkeyPatchWarning(RuntimeWarning):
    """Something was patched in a way, or at a time, that does not reach everything."""


def warn(message: str) -> None:
    """Say it, at the line that called the outermost function of ours."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, MonkeyPatchWarning, stacklevel=level)


@contextmanager
def once() -> Iterator[None]:
    """Follow the copies once, at the end, whatever is patched inside."""
    global _postponed  # noqa: PLW0603  (patching is the whole process's)
    _postponed = True
    try:
        yield
    finally:
        _postponed = False
    follow_copies()


_postponed = False


def follow_copies() -> None:
    """Replace the copies of originals that the standard library took, and warn of everybody else's."""
    if _postponed:
        return
    originals: dict[int, tuple[str, str]] = {}
    for module_name, names in sorted(saved.items(), key=lambda pair: pair[0].startswith("_")):  # threading.Lock first
        for name, original in sorted(names.items(), key=lambda pair: pair[0].startswith("_")):
            if not isinstance(original, _WORTHLESS):
                originals.setdefault(id(original), (module_name, name))
    modules: dict[str, Any] = dict(sys.modules)
    for module_name, module in modules.items():
        if not isinstance(module, ModuleType):
            continue
        top = module_name.partition(".")[0]
        if top in _KEEP or top in _OURS:
            continue
        copies = {
            name: originals[id(value)]
            for name, value in list(vars(module).items())
            if id(value) in originals and not (name.startswith("__") and name.endswith("__"))
        }
        if not copies:
            continue
        if top in sys.stdlib_module_names:
            _follow(module, copies)
        else:
            _warn_of_copies(module_name, copies)
    _warn_of_subclasses(originals)


def _follow(module: ModuleType, copies: dict[str, tuple[str, str]]) -> None:
    if not (getattr(module, "__file__", None) or "").endswith(".py"):
        return  # in C: it is where the original comes from
    for name, (source, item) in copies.items():
        new = vars(sys.modules[source]).get(item)
        if new is not None:
            patch_item(module, name, new)


def _warn_of_copies(module_name: str, copies: dict[str, tuple[str, str]]) -> None:
    copies = {name: one for name, one in copies.items() if (module_name, name) not in _warned}
    if not copies:
        return
    _warned.update((module_name, name) for name in copies)
    listed = ", ".join(
        f"{source}.{item}" + (f" (as {name})" if name != item else "")
        for name, (source, item) in sorted(copies.items())
    )
    warn(
        f"module {module_name!r} took {listed} before it was patched, and goes on using the blocking one: "
        "call patch_all() before that module is imported"
    )


def _warn_of_subclasses(originals: dict[int, tuple[str, str]]) -> None:
    found: dict[str, list[str]] = {}
    for source, item in originals.values():
        original: Any = saved.get(source, {}).get(item)
        if not isinstance(original, type):
            continue
        subclasses: list[type] = type.__subclasses__(original)
        for derived in subclasses:
            owner = derived.__module__
            top = owner.partition(".")[0]
            if top not in _OURS and top not in sys.stdlib_module_names and (owner, derived) not in _warned:
                _warned.add((owner, derived))
                found.setdefault(owner, []).append(f"{derived.__qualname__} from {source}.{item}")
    for owner, derivations in found.items():
        warn(
            f"module {owner!r} derived {', '.join(sorted(derivations))} before it was patched, and goes on using "
            "the blocking one: call patch_all() before that module is imported"
        )


_warned: set[tuple[str, object]] = set()
