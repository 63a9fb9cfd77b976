"""Runs something when a module is imported, and at once when it already is."""

from __future__ import annotations

import _thread
import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from obskit.signals.gentle import short_turns, without_full_collection

__all__ = ["awaited", "forget", "import_aside", "no_fork_within", "when_imported"]

_log = logging.getLogger("obskit")
_wanted: Final[dict[str, Callable[[ModuleType], None]]] = {}


_FORK_WAIT_S: Final = 10.0

_no_fork: _thread.RLock = _thread.RLock()  # gevent leaves this kind alone: it is between threads, not greenlets
_forking: Final[set[int]] = set()


@contextmanager
def no_fork_within() -> Iterator[None]:
    """Let a fork wait until this thread has imported what it imports here, for ten seconds at most.

    The lock of a module that another thread is importing stays locked in the child for good, where nobody goes on with
    the import: whoever needs that module there waits for ever.
    """
    with _no_fork:
        yield


def _before_fork() -> None:
    if _no_fork.acquire(timeout=_FORK_WAIT_S):
        _forking.add(_thread.get_ident())


def _after_fork_in_parent() -> None:
    me = _thread.get_ident()
    if me in _forking:
        _forking.discard(me)
        _no_fork.release()


def _after_fork_in_child() -> None:
    global _no_fork
    _forking.clear()
    _no_fork = _thread.RLock()
    _forget_half_imports()


def _forget_half_imports() -> None:
    """Let modules be imported anew that another thread of the parent was importing all the same."""
    if _has_greenlets():  # which go on in the child
        return
    # The name is not public: where another version calls it otherwise, nothing is forgotten.
    locks = getattr(importlib._bootstrap, "_module_locks", {})  # noqa: SLF001
    me = _thread.get_ident()
    for name, reference in tuple(locks.items()):
        if getattr(reference(), "owner", None) not in {None, me}:
            locks.pop(name, None)
            module = sys.modules.get(name)
            if getattr(getattr(module, "__spec__", None), "_initializing", False):
                del sys.modules[name]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def import_aside(name: str) -> ModuleType:
    """Import a module that takes long, so that others go on meanwhile.

    Where gevent has replaced threads, one of its own would hold up every greenlet for as long as the import takes.
    """
    with short_turns(), without_full_collection():
        return _import_aside(name)


def _import_aside(name: str) -> ModuleType:
    if _has_greenlets():
        with suppress(RuntimeError):  # the interpreter ends, and has no more threads
            importlib.import_module("gevent").get_hub().threadpool.apply(_try_import, (name,))
    with no_fork_within():
        return importlib.import_module(name)


def _has_greenlets() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


def _try_import(name: str) -> None:
    """Import a module as far as that goes in a thread outside of gevent's loop, where no process can be started."""
    # Whatever it was, the import that follows meets it again if it is not of the thread.
    with suppress(Exception), no_fork_within():
        importlib.import_module(name)


def when_imported(name: str, then: Callable[[ModuleType], None]) -> None:
    """Call `then` with the module `name`, now or as soon as it has been imported.

    A second call for the same name replaces the first. What `then` raises is logged and goes no further.
    """
    _wanted[name] = then
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        _tell(name, module)


def awaited() -> frozenset[str]:
    """Return the names of the modules whose import is, or was, waited for."""
    return frozenset(_wanted)


def forget(*names: str) -> None:
    """Wait for the import of these modules no more."""
    for name in names:
        _wanted.pop(name, None)
    if not _wanted and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def _tell(name: str, module: ModuleType) -> None:
    then = _wanted.get(name)
    if then is None:
        return
    try:
        then(module)
    except Exception as error:  # noqa: BLE001 - the app's import must not fail for our sake
        _log.warning("obskit cannot follow calls through %s: %s: %s", name, type(error).__name__, error)


class _Finder(MetaPathFinder):
    """Finds nothing itself; wraps the loader that the other finders give for a wanted module."""

    def __init__(self) -> None:
        self._busy = threading.local()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        if fullname not in _wanted or getattr(self._busy, "name", None) == fullname:
            return None
        self._busy.name = fullname
        try:
            spec = importlib.util.find_spec(fullname)
        except (ImportError, ValueError):
            return None  # the import itself will say what is wrong
        finally:
            self._busy.name = None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads as the wrapped loader does, and tells when it is done."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _tell(module.__name__, module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_finder: Final = _Finder()
