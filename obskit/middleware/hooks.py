"""What the app adds to each request's span and log line when the request begins, and when it ends.

Nothing of it is on the way of a request as long as there is no hook.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import trace

from obskit.middleware.requests import ENDED_BY_CLIENT, Entered, Observer
from obskit.signals.context import RequestState

__all__ = ["AT_BEGIN", "AT_END", "OnRequest", "OnResponse", "add", "follow", "remove"]

OnRequest = Callable[[trace.Span, Mapping[str, Any]], object]
OnResponse = Callable[[trace.Span, Mapping[str, Any], int], object]

_log = logging.getLogger("obskit")
AT_BEGIN: Final[list[OnRequest]] = []
"""Called when a request begins, with its span and its ASGI scope or WSGI environment."""
AT_END: Final[list[OnResponse]] = []
"""Called before a request's span ends, with the status too."""
_failed: Final[set[object]] = set()


def add(hooks: list[Any], hook: Callable[..., object]) -> None:
    """Call `hook` too.

    Args:
        hooks: `AT_BEGIN` or `AT_END`.
        hook: as there.
    """
    if hook not in hooks:
        hooks.append(hook)


def remove(hook: Callable[..., object]) -> None:
    """Call `hook` no more."""
    for hooks in (AT_BEGIN, AT_END):
        if hook in hooks:
            hooks.remove(hook)


def follow(observer: Observer) -> None:
    """Call the hooks for the requests of this observer, if there are any."""
    observer.__class__ = _Hooked if AT_BEGIN or AT_END else Observer


class _Hooked(Observer):
    """An observer that calls the hooks."""

    def begin(self, state: RequestState, *given: Any, **more: Any) -> Entered | None:
        """As without hooks, which are called when all is in place."""
        source = state.source
        entered = super().begin(state, *given, **more)
        if entered is not None:
            for hook in tuple(AT_BEGIN):
                _call(hook, state.span or trace.get_current_span(), source)
        return entered

    def _end(self, state: RequestState) -> None:
        status = state.status or (ENDED_BY_CLIENT if state.is_disconnected and state.error is None else 500)
        for hook in tuple(AT_END):
            _call(hook, state.span or trace.get_current_span(), state.source, status)
        super()._end(state)


def _call(hook: Callable[..., object], span: trace.Span, source: Any, *more: int) -> None:
    try:
        hook(span, {} if source is None else source, *more)
    except Exception as error:  # noqa: BLE001 - the app's request must be served whatever its hook does
        if hook not in _failed:
            _failed.add(hook)
            name = getattr(hook, "__qualname__", repr(hook))
            _log.warning("obskit: the hook %s failed: %s: %s", name, type(error).__name__, error)
