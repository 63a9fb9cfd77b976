"""What serves a request: the compiled module or Python, and how often the garbage collector interrupts it."""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from typing import Any, Final

from obskit.config import Resolved
from obskit.doctor.findings import Finding, Kind, info, ok, problem
from obskit.middleware.asgi import MARK_OF_OTHERS
from obskit.middleware.requests import CURRENT, Observer
from obskit.signals import native
from obskit.signals.gentle import collected_seldom

__all__ = ["describe"]

_IN_PYTHON: Final = "requests are served in Python: "
_BUILD: Final = (
    "Where a C compiler and Python's headers are, build it: pip install --force-reinstall --no-cache-dir "
    "--no-binary obskit obskit; or set OBSKIT_NATIVE=false to mean it"
)


def describe(app: Any, framework: str, resolved: Resolved, observer: Observer | None) -> list[Finding]:
    """Return what serves the app's requests, and the collector's threshold where obskit has set it.

    Args:
        app: the framework's own app; None for the environment alone.
        framework: its name, empty where there is none.
        resolved: the settings in force.
        observer: of this process.
    """
    found = [_of_native(app, framework, resolved, observer)]
    if threshold := collected_seldom():
        text = f"the garbage collector waits for {threshold:,} new objects instead of 700"
        found.append(info(Kind.APP, "garbage collector", f"{text} (gc_threshold: {resolved.sources['gc_threshold']})"))
    return found


def _of_native(app: Any, framework: str, resolved: Resolved, observer: Observer | None) -> Finding:
    config, source = resolved.config, resolved.sources["native"]
    if not config.native:
        way_out = "" if native.MODULE is None else "Remove the setting native, or set it to true"
        return info(Kind.APP, "native", f"{_IN_PYTHON}native is off ({source})", way_out)
    if native.MODULE is None:
        why, way_out = _why_missing()
        if source != "default":  # somebody has asked for it
            return problem(Kind.APP, "native", f"native is on ({source}), and {_IN_PYTHON}{why}", way_out)
        return info(Kind.APP, "native", f"{_IN_PYTHON}{why}", way_out)
    if framework == "Flask":
        return info(Kind.APP, "native", f"{_IN_PYTHON}the compiled module is for ASGI, not for Flask")
    why, way_out = _why_unused(app, observer)
    if why:
        return info(Kind.APP, "native", f"{_IN_PYTHON}{why}", way_out)
    return ok(Kind.APP, "native", "plain ASGI requests are served by the compiled module")


def _why_missing() -> tuple[str, str]:
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        platform = f"{sys.implementation.name} on {sys.platform}"
        return f"the compiled module is for CPython on Linux, and this is {platform}", "Set OBSKIT_NATIVE=false"
    return native.WHY_NOT, _BUILD


def _why_unused(app: Any, observer: Observer | None) -> tuple[str, str]:
    """Return why the module is there and serves nothing, and what to do about it."""
    if app is not None and getattr(app, MARK_OF_OTHERS, False):
        return "OpenTelemetry's own instrumentation is on the app", "Remove it, unless its spans are wanted"
    spans = observer.spans if observer is not None else None
    if observer is not None and spans is None:
        return "the app has a TracerProvider of its own, whose spans they are", ""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED=true leaves no spans to make", ""
    if spans is not None and not spans.provider.is_plain:
        return "another span processor is on obskit's provider, and waits for the SDK's own spans", ""
    if observer is not None and type(observer) is not Observer:
        return "there are hooks, which see every request (obskit.on_request, obskit.on_response)", ""
    if not isinstance(CURRENT, ContextVar):
        return "OTEL_PYTHON_CONTEXT names another context than Python's own", "Remove it"
    return "", ""
