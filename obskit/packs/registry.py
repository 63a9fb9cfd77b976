"""All packs, by name. Each file of `obskit.packs.ready` is one."""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module
from typing import Any

from obskit.errors import DefinitionError, Problem, nearest
from obskit.packs import ready
from obskit.packs.packs import Pack

__all__ = ["pack_named", "pack_names", "packs"]


@lru_cache(maxsize=1)
def pack_names() -> tuple[str, ...]:
    """Return the names of all packs, without importing them."""
    names = (found.name for found in pkgutil.iter_modules(ready.__path__))
    return tuple(sorted(name.replace("_", "-") for name in names if not name.startswith("_")))


def pack_named(name: str) -> Pack[Any]:
    """Return the pack of a name, written with dashes or, as its module is, with underscores.

    Raises:
        DefinitionError: there is none.
    """
    name = name.replace("_", "-")
    if name not in pack_names():
        guess = nearest(name, pack_names())
        way_out = f'Did you mean "{guess}"? `obskit packs` lists them' if guess else "`obskit packs` lists them"
        raise DefinitionError(Problem(place="packs", problem=f'there is no pack "{name}"', way_out=way_out))
    found: Pack[Any] = import_module(f"{ready.__name__}.{name.replace('-', '_')}").PACK
    return found


def packs() -> tuple[Pack[Any], ...]:
    """Return all packs, in the order of their names."""
    return tuple(pack_named(name) for name in pack_names())
