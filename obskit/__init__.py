"""Logs, traces, metrics, AI token costs and error reports for FastAPI and Flask apps, in one call.

    import obskit

    obskit.instrument(app)

Importing this package loads nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from obskit._version import __version__

if TYPE_CHECKING:
    from obskit._handle import Handle
    from obskit._serving import on_request, on_response, wrap
    from obskit._setup import instrument
    from obskit.llm.reported import record_usage
    from obskit.signals.context import bind, set_route
    from obskit.signals.jobs import job
    from obskit.signals.logs import get_logger
    from obskit.signals.reports import report_error
    from obskit.signals.traces import span

__all__ = [
    "Handle",
    "__version__",
    "bind",
    "get_logger",
    "instrument",
    "job",
    "on_request",
    "on_response",
    "record_usage",
    "report_error",
    "set_route",
    "span",
    "wrap",
]

_HOME = {
    "Handle": "obskit._handle",
    "bind": "obskit.signals.context",
    "get_logger": "obskit.signals.logs",
    "instrument": "obskit._setup",
    "job": "obskit.signals.jobs",
    "on_request": "obskit._serving",
    "on_response": "obskit._serving",
    "record_usage": "obskit.llm.reported",
    "report_error": "obskit.signals.reports",
    "set_route": "obskit.signals.context",
    "span": "obskit.signals.traces",
    "wrap": "obskit._serving",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
