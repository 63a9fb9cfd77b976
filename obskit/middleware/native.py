"""The compiled way of plain ASGI requests, where it could be compiled; Python serves all others, and all without it.

What it does is what `ASGIMiddleware` and `Observer` do, for a request without anything out of the ordinary; the
setting `native` switches it off.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any, cast

from opentelemetry.context import Context

from obskit.middleware.requests import Observer
from obskit.signals import context, logs, loops
from obskit.signals.context import RequestState
from obskit.signals.durations import Cell
from obskit.signals.incoming import caller_of
from obskit.signals.native import MODULE
from obskit.signals.spans import NativeSpan, RequestSpans

__all__ = ["parts", "way"]

_log = logging.getLogger("obskit")


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
        span_type=NativeSpan,
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
        excluded=observer.excluded,
        takes_all=observer.takes_all,
        thick_s=thick_s,
    )
