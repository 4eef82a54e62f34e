"""Replacing one name of a module, and keeping what was there.

Owns ``saved``: module name → name → original. Whatever is replaced goes through ``patch_item``, so that
``get_original`` can always give the blocking one. Replacing a second time keeps the first original.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any, overload

__all__ = [
    "get_original",
    "is_anything_patched",
    "is_module_patched",
    "is_object_patched",
    "patch_item",
    "patch_module",
    "remove_item",
    "saved",
]

saved: dict[str, dict[str, Any]] = {}

_missing = object()


def patch_item(module: ModuleType, name: str, new: object) -> None:
    """Put ``new`` in the place of a module's name; a name it does not have is added."""
    old = vars(module).get(name, _missing)
    if old is new:
        return
    if old is not _missing:
        saved.setdefault(module.__name__, {}).setdefault(name, old)
    setattr(module, name, new)


def remove_item(module: ModuleType, name: str) -> None:
    """Take a name out of a module, if it has it."""
    old = vars(module).get(name, _missing)
    if old is not _missing:
        saved.setdefault(module.__name__, {}).setdefault(name, old)
        delattr(module, name)


def patch_module(target_module: ModuleType, source_module: ModuleType, items: Iterable[str] | None = None) -> bool:
    """Replace names of a module by those of its green twin.

    Args:
        target_module: whose names.
        source_module: where the new ones are.
        items: which; None for what the source lists in ``__implements__`` or else in ``__all__``, as far
            as the target has it.

    Returns:
        True, as gevent's.

    Raises:
        AttributeError: the source has no such item.
    """
    if items is None:
        listed: Iterable[str] = vars(source_module).get("__implements__") or vars(source_module).get("__all__", ())
        items = [name for name in listed if name in vars(target_module)]
    for name in items:
        patch_item(target_module, name, getattr(source_module, name))
    return True


@overload
def get_original(module_name: str, names: str) -> Any: ...
@overload
def get_original(module_name: str, names: list[str] | tuple[str, ...]) -> list[Any]: ...


def get_original(module_name: str, names: str | list[str] | tuple[str, ...]) -> Any:
    """What a module had under a name, or under several, before it was patched.

    Args:
        module_name: such as ``"socket"``.
        names: one, for its original; a list, for a list of originals.

    Raises:
        AttributeError: the module has no such name.
    """
    originals = saved.get(module_name, {})
    module = importlib.import_module(module_name)
    if isinstance(names, str):
        return originals[names] if names in originals else getattr(module, names)
    return [originals[name] if name in originals else getattr(module, name) for name in names]


def is_module_patched(module_name: str) -> bool:
    """Whether anything of a module was replaced."""
    return module_name in saved


def is_object_patched(module_name: str, name: str) -> bool:
    """Whether this name of a module was replaced."""
    return name in saved.get(module_name, {})


def is_anything_patched() -> bool:
    """Whether anything at all was replaced."""
    return bool(saved)
