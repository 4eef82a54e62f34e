"""What setting and getting an attribute of a local does: the twin in Python of ``_local.c``.

Owns ``Base``, of which ``local`` is made when the extension could not be built. The values of the current
greenlet are found by the number of its token; a greenlet that has none of this local is let in by
``enter``, which is ``local``'s business and the same for both.
"""

from __future__ import annotations

from typing import Any

from greenscope.runtime.waiter import running

__all__ = ["Base"]

_get = object.__getattribute__
_set = object.__setattr__
_delete = object.__delattr__


class Base:
    """An object whose attributes are looked up among the current greenlet's."""

    __slots__ = ("_local__values",)

    def __getattribute__(self, name: str) -> Any:
        try:
            mine = _values_of(self)[running()._locals.number]
        except (AttributeError, KeyError):
            mine = _values_of(self).enter(self)
        if name in mine:
            return mine[name]
        if name == "__dict__":
            return mine
        return _get(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            mine = _values_of(self)[running()._locals.number]
        except (AttributeError, KeyError):
            mine = _values_of(self).enter(self)
        if _is_shared(type(self), name):
            _set(self, name, value)
        else:
            mine[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            mine = _values_of(self)[running()._locals.number]
        except (AttributeError, KeyError):
            mine = _values_of(self).enter(self)
        if _is_shared(type(self), name):
            _delete(self, name)
        elif name in mine:
            del mine[name]
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)


_values_of: Any = Base._local__values.__get__  # type: ignore[attr-defined]


def _is_shared(kind: type, name: str) -> bool:
    """Whether the class has something to say when this is set: a property, a slot."""
    if name == "__dict__":
        raise AttributeError(f"{kind.__name__!r} object attribute '__dict__' is read-only")
    return hasattr(type(getattr(kind, name, None)), "__set__")
