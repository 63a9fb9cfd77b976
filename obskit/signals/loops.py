"""What of asyncio the request path needs, where the app has loaded it: a WSGI app need not do so for obskit's sake."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from obskit.signals.imports import when_imported

__all__ = ["is_cancelled", "running_loop"]


class _Never(BaseException):
    """Stands for an error that nobody can have raised yet."""


_cancelled: type[BaseException] = _Never


def is_cancelled(error: BaseException | None) -> bool:
    """Return whether that is how a task ends that was cancelled."""
    return isinstance(error, _cancelled)


def running_loop() -> Any:
    """Return the event loop of this thread, None where there is none."""
    return None


def _take(asyncio: ModuleType) -> None:
    global _cancelled, running_loop
    _cancelled, running_loop = asyncio.CancelledError, asyncio._get_running_loop  # noqa: SLF001 - half the cost of the public one


when_imported("asyncio", _take)
