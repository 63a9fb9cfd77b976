"""The compiled way of plain ASGI requests, where it could be compiled; Python serves all others, and all without it.

What it does is what `ASGIMiddleware` and `Observer` do, for a request without anything out of the ordinary; the
setting `native` switches it off.
"""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType
from typing import Any, Final, cast

from opentelemetry.context import Context

from obskit.middleware.requests import Observer
from obskit.signals import context, logs, loops
from obskit.signals.context import RequestState
from obskit.signals.durations import Cell
from obskit.signals.incoming import caller_of
from obskit.signals.spans import RequestSpan, RequestSpans

__all__ = ["MODULE", "WHY_NOT", "parts", "way"]

_log = logging.getLogger("obskit")
_SEED_BYTES: Final = 32


def _load() -> tuple[ModuleType | None, str]:
    try:
        module = import_module("obskit.middleware._native")
    except ModuleNotFoundError:
        return None, "this installation was built without a C compiler, or for another Python"
    except ImportError as error:
        return None, f"the compiled module does not load: {error}"
    return (None, "the compiled module is older than its source") if _is_old(module) else (module, "")


def _is_old(module: ModuleType) -> bool:
    """Return whether the source has changed since; it is beside the module in an editable installation only."""
    made = module.__file__ or ""
    try:
        return os.stat(f"{os.path.dirname(made)}/_native.c").st_mtime_ns > os.stat(made).st_mtime_ns  # noqa: PTH116, PTH120 - quicker
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


def way(observer: Observer, exchange_type: type | None, current: Any, span_key: str, thick_s: float) -> Any:
    """Return what begins plain requests of an observer; None where Python must serve them all.

    Args:
        observer: of this process.
        exchange_type: what goes between a server and an app, a subclass of the compiled module's.
        current: where OpenTelemetry keeps the current context.
        span_key: of the span in it.
        thick_s: how soon after each other lines must come to share a write, in seconds.
    """
    if MODULE is None or exchange_type is None or not observer.is_native:
        return None
    if observer.spans is None or not isinstance(current, ContextVar):  # the app's own provider, or another context
        return None
    try:
        return MODULE.Path(**parts(observer, exchange_type, current, span_key, thick_s))
    except (TypeError, AttributeError) as error:  # it was compiled for other classes than these
        _log.warning("the compiled module does not fit, and Python serves its requests: %s", error)
        return None


def parts(observer: Observer, exchange_type: type, current: Any, span_key: str, thick_s: float) -> dict[str, Any]:
    """Return all that the compiled module works with; arguments as of `way`."""
    lines, spans = observer.lines, cast("RequestSpans", observer.spans)
    return dict(  # noqa: C408 - the names of its arguments
        observer=observer,
        observer_type=Observer,
        state_type=RequestState,
        span_type=RequestSpan,
        cell_type=Cell,
        exchange_type=exchange_type,
        context_type=Context,
        request_var=context.REQUEST,
        bound_var=context.BOUND,
        otel_var=current,
        span_key=span_key,
        spans=spans,
        provider=spans.provider,
        submit=spans.submit,
        series=observer.series,
        caller_of=caller_of,
        lines=lines,
        agents={} if lines is None else lines.agents,
        starts={} if lines is None else lines.starts,
        logs=logs,
        loops=loops,
        own_leave=context.leave,
        takes_all=observer.takes_all,
        thick_s=thick_s,
    )
