"""Which destinations the settings choose, and what makes each of them; nothing is loaded before it is made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from obskit.config import Config
from obskit.signals.places import machine_sign, service_sign

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

__all__ = ["EXPORTERS", "chosen", "destinations"]

EXPORTERS: Final[Mapping[str, str]] = {
    "gcp": "obskit.exporters.gcp:create",
    "otlp": "obskit.exporters.otlp:create",
    "console": "obskit.exporters.console:create",
    "memory": "obskit.exporters.memory:create",
    "sentry": "obskit.exporters.sentry:create",
}
_OTLP_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")


def destinations(config: Config, environ: Mapping[str, str]) -> Mapping[str, Callable[[Resource], Any]]:
    """Return what makes each destination that these settings choose, by name; nothing is loaded yet."""
    names = [name for name in chosen(config, environ) if name != "none"]
    if config.sentry_dsn:
        names.append("sentry")
    return {name: partial(_create, EXPORTERS[name], config) for name in names}


def chosen(config: Config, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the exporters, with ``auto`` replaced by what fits the place."""
    return tuple(_auto(config, environ) if name == "auto" else name for name in config.exporters)


def _auto(config: Config, environ: Mapping[str, str]) -> str:
    if config.local_endpoint:
        return "gcp"
    if config.otlp_endpoint or any(environ.get(name) for name in _OTLP_ENDPOINTS):
        return "otlp"
    if service_sign(environ):
        return "gcp"
    if "pytest" in sys.modules or environ.get("PYTEST_CURRENT_TEST"):
        return "memory"
    return "gcp" if machine_sign(environ) else "console"


def _create(path: str, config: Config, resource: Resource) -> Any:
    gentle, imports = import_module("obskit.signals.gentle"), import_module("obskit.signals.imports")
    module, _, name = path.partition(":")
    with gentle.short_turns(), gentle.without_full_collection():
        if path == EXPORTERS["gcp"]:  # the others take little time, and what Sentry imports may start a process
            with import_module("obskit.signals.libraries").loaded_ahead():
                imports.import_aside(module)
        with imports.no_fork_within():
            return getattr(import_module(module), name)(config, resource)
