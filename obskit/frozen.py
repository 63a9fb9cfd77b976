"""A base for the few models that every app makes when it starts.

`dataclasses` writes six functions for each class and compiles them, which takes about a millisecond a class; that is
most of what such a module costs. These share their functions. Models that only definitions need are dataclasses.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, dataclass_transform

__all__ = ["Frozen"]


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
class Frozen:
    """A model whose fields are given by keyword, once; two of them are equal only if they are the same one.

    The annotations of a class that is derived from it are the fields, in order; a value there is the default.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    _required: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls.FIELDS = tuple(cls.__annotations__)
        cls._defaults = {name: vars(cls)[name] for name in cls.FIELDS if name in vars(cls)}
        cls._required = frozenset(cls.FIELDS) - cls._defaults.keys()

    def __init__(self, **values: Any) -> None:
        if not values.keys() >= self._required:
            raise TypeError(f"{type(self).__name__}() lacks {', '.join(sorted(self._required - values.keys()))}")
        if not values.keys() <= set(self.FIELDS):
            raise TypeError(f"{type(self).__name__}() has no {', '.join(sorted(values.keys() - set(self.FIELDS)))}")
        vars(self).update(self._defaults | values)

    def but(self, **values: Any) -> Self:
        """Return another one with these values, and the rest as here."""
        return type(self)(**vars(self) | values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.FIELDS)})"
