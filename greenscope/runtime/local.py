"""Attributes of which every greenlet sees values of its own: the green ``threading.local``.

Owns ``local``. A local owns the values, by the number of the greenlet's *token*, so that they go with it
and can be part of a cycle that the collector frees; a greenlet owns its token (in ``_locals``), whose end
takes the values of that greenlet out of every local. It works for every greenlet of every thread, the main
ones and bare ones too, and needs no hub.

As the standard library's: ``__init__`` is called again, with the same arguments, for every greenlet that
comes to it; ``__dict__`` is the greenlet's own; what a subclass has in ``__slots__`` is shared by all.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import ref

from greenscope.runtime.waiter import running

if TYPE_CHECKING:
    from greenscope.runtime.local_base import Base
else:
    try:
        from greenscope.runtime._local import Base
    except ImportError:
        from greenscope.runtime.local_base import Base

__all__ = ["local"]

_numbers = count(1)


class _Token:
    """Lives as long as its greenlet runs, and knows which locals have values of it."""

    __slots__ = ("locals", "many", "number")

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.locals: set[ref[_Values]] = set()
        self.many = 64

    def add(self, values: _Values) -> None:
        """Note that ``values`` has some of this greenlet."""
        known = self.locals
        if len(known) >= self.many:  # the locals that are gone do not count: a main greenlet may see many
            self.locals = known = {one for one in known if one() is not None}
            self.many = max(64, 2 * len(known))
        known.add(ref(values))

    def __del__(self) -> None:
        for one in self.locals:
            values = one()
            if values is not None:
                values.pop(self.number, None)


class _Values(dict[int, dict[str, Any]]):
    """The values that a local has, by the number of the greenlet's token; and how the local was made."""

    __slots__ = ("__weakref__", "arguments", "keywords")

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    __hash__ = object.__hash__  # type: ignore[assignment]  # its identity: two empty ones are not the same
    __eq__ = object.__eq__

    def begin(self) -> tuple[int, dict[str, Any]]:
        """The current greenlet's number, and its values, none yet."""
        me = running()
        token = getattr(me, "_locals", None)
        if token is None:
            token = me._locals = _Token()
        token.add(self)
        mine = self[token.number] = {}
        return token.number, mine

    def enter(self, one: local) -> dict[str, Any]:
        """The current greenlet comes to this local for the first time; its values, when ``__init__`` is done."""
        number, mine = self.begin()
        kind = type(one)
        if kind.__init__ is not object.__init__:
            try:
                kind.__init__(one, *self.arguments, **self.keywords)
            except BaseException:
                self.pop(number, None)
                raise
        return mine


class local(Base):  # noqa: N801  (threading's name)
    """An object whose attributes have values for each greenlet.

    Args:
        arguments, keywords: for a subclass's ``__init__``.

    Raises:
        TypeError: arguments, and no ``__init__`` that takes them.
    """

    __slots__ = ("__dict__", "__weakref__")

    def __new__(cls, /, *arguments: Any, **keywords: Any) -> Any:
        if (arguments or keywords) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = super().__new__(cls)
        values = _Values()
        values.arguments = arguments
        values.keywords = keywords
        _values_descriptor.__set__(self, values)
        values.begin()
        return self


_values_descriptor: Any = local._local__values  # type: ignore[attr-defined]
