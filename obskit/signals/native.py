"""The compiled module, where it could be compiled; Python does all that it does, too.

The setting `native` switches it off.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Final

__all__ = ["MODULE", "WHY_NOT"]

_SEED_BYTES: Final = 32
_SOURCES: Final = ("_native.c", "_native_export.c")


def _load() -> tuple[ModuleType | None, str]:
    try:
        module = import_module("obskit.signals._native")
    except ModuleNotFoundError:
        return None, "this installation was built without a C compiler, or for another Python"
    except ImportError as error:
        return None, f"the compiled module does not load: {error}"
    return (None, "the compiled module is older than its source") if _is_old(module) else (module, "")


def _is_old(module: ModuleType) -> bool:
    """Return whether the source has changed since; it is beside the module in an editable installation only."""
    made = module.__file__ or ""
    folder = os.path.dirname(made)  # noqa: PTH120 - quicker
    try:
        made_ns = os.stat(made).st_mtime_ns  # noqa: PTH116
        return any(os.stat(f"{folder}/{source}").st_mtime_ns > made_ns for source in _SOURCES)  # noqa: PTH116
    except OSError:
        return False


MODULE, WHY_NOT = _load()
"""The compiled module; None, and why, without it."""


def _seed() -> None:
    if MODULE is not None:
        MODULE.seed(os.urandom(_SEED_BYTES))


_seed()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_seed)
