"""Loads large shared libraries right before their import, while other threads run.

The import of an extension module keeps the interpreter to itself until the system has read the library, mapped it and
resolved its symbols, which takes tens of milliseconds where it is not in memory yet. What is loaded already it finds at
once.
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

from obskit.signals.native import MODULE

__all__ = ["LARGE", "loaded_ahead"]

LARGE: Final = frozenset({"_ssl", "cryptography.hazmat.bindings._rust", "google._upb._message", "grpc._cython.cygrpc"})
"""Those of Google's clients. Others may not bear it: what a library does when it is loaded it does without Python."""


@contextmanager
def loaded_ahead() -> Iterator[None]:
    """Load the libraries of `LARGE` ahead that this thread imports here.

    Nobody may fork meanwhile, as with `imports.import_aside`: the loader's lock would stay locked in the child.
    """
    if MODULE is None:
        yield
        return
    finder = _Ahead(MODULE.load_library)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with suppress(ValueError):  # somebody has put others there meanwhile
            sys.meta_path.remove(finder)


class _Ahead(MetaPathFinder):
    """Finds nothing itself."""

    def __init__(self, load: Callable[[str], bool]) -> None:
        self._load = load
        self._thread = _thread.get_ident()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        if fullname in LARGE and _thread.get_ident() == self._thread:
            spec = PathFinder.find_spec(fullname, path)
            if spec is not None and spec.origin and isinstance(spec.loader, ExtensionFileLoader):
                self._load(spec.origin)  # if it cannot be, the import says why
        return None
