"""Traps that others have stepped into: settings of other tools, the order of patches, how the server is started."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from obskit.config import Config
from obskit.doctor.findings import Finding, Kind, info, ok, problem, warning
from obskit.doctor.platforms import Platform

__all__ = ["of_environment", "of_logs", "of_process", "of_start_commands"]

_MOST_BYTES: Final = 200_000
_AUTO: Final = "opentelemetry/instrumentation/auto_instrumentation"
_OTHERS: Final = {
    "ddtrace": "Datadog's ddtrace",
    "newrelic.agent": "New Relic's agent",
    "elasticapm": "Elastic APM",
    "logfire": "Logfire",
    "prometheus_fastapi_instrumentator": "prometheus-fastapi-instrumentator",
}
_SERVERS: Final = re.compile(r"uvicorn|gunicorn|hypercorn|opentelemetry-instrument")
_START_FILES: Final = (
    "Procfile",
    "Dockerfile*",
    "docker-compose*.y*ml",
    "compose*.y*ml",
    "render.yaml",
    "app.yaml",
    "fly.toml",
    "Makefile",
    "*.sh",
    "scripts/*.sh",
)


# --------------------------------------------------------------------------- the environment


def of_environment(environ: Mapping[str, str]) -> list[Finding]:
    """Return what variables of other tools do to obskit, or do not do."""
    found: list[Finding] = []
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        text = "OTEL_SDK_DISABLED=true switches OpenTelemetry's SDK off: there are no spans and no metrics"
        found.append(
            problem(Kind.TRAPS, "OTEL_SDK_DISABLED", text, "Remove it, or set OBSKIT_ENABLED=false to mean it")
        )
    sampler = environ.get("OTEL_TRACES_SAMPLER", "")
    if sampler:
        text = f"OTEL_TRACES_SAMPLER={sampler} is not read: obskit's own sampling decides, by sample_ratio"
        way_out = "Set OBSKIT_SAMPLE_RATIO, and OBSKIT_TRUST_INCOMING_SAMPLING=true for a parent-based one"
        found.append(warning(Kind.TRAPS, "OTEL_TRACES_SAMPLER", text, way_out))
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_PROPAGATORS"):
        if environ.get(name):
            text = f"{name}={environ[name]} is not read by obskit"
            way_out = "Set OBSKIT_EXPORTERS" if name.endswith("EXPORTER") else ""
            found.append(info(Kind.TRAPS, name, text, way_out))
    return found


# --------------------------------------------------------------------------- the process that has imported the app


def of_process(modules: Mapping[str, Any], environ: Mapping[str, str], warned: Iterable[str]) -> list[Finding]:
    """Return what else is at work in the process.

    Args:
        modules: that are imported.
        environ: the environment.
        warned: the texts of the warnings that the app's import has raised.
    """
    found = [*_auto_instrumentation(modules, environ), *_gevent(modules, warned), *_sentry(modules), *_loggers()]
    for module, title in _OTHERS.items():
        if module in modules:
            text = f"{title} is imported too: each request is measured, and perhaps traced, twice"
            found.append(info(Kind.TRAPS, module, text))
    return found


def _auto_instrumentation(modules: Mapping[str, Any], environ: Mapping[str, str]) -> list[Finding]:
    is_active = _AUTO in environ.get("PYTHONPATH", "") or any(
        name.startswith("opentelemetry.instrumentation.auto_instrumentation") for name in modules
    )
    if not is_active:
        return []
    text = (
        "opentelemetry-instrument is active: it makes the server spans of a framework that it knows, and exports "
        "everything beside obskit"
    )
    way_out = "Start the app without opentelemetry-instrument, or drop obskit.instrument(app)"
    return [warning(Kind.TRAPS, "opentelemetry-instrument", text, way_out)]


def _gevent(modules: Mapping[str, Any], warned: Iterable[str]) -> list[Finding]:
    late = [text for text in warned if "Monkey-patching" in text and "after" in text]
    if late:
        text = f"gevent has patched too late: {late[0].partition(' may lead')[0]}"
        way_out = "Make `from gevent import monkey; monkey.patch_all()` the first line, before obskit and the framework"
        return [warning(Kind.TRAPS, "gevent", text, way_out)]
    monkey = modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return []
    if not monkey.is_module_patched("threading"):
        text = "gevent has patched sockets and not threads: the export thread then blocks the whole hub"
        return [warning(Kind.TRAPS, "gevent", text, "Patch all: monkey.patch_all()")]
    if "grpc" in modules and "grpc.experimental.gevent" not in modules:
        text = (
            "gevent is at work and gRPC has not been told: a call through a channel of the app's stops all greenlets "
            "(obskit tells it, but not before it first exports to Google)"
        )
        return [warning(Kind.TRAPS, "gevent", text, "Call grpc.experimental.gevent.init_gevent() after patching")]
    return [ok(Kind.TRAPS, "gevent", "gevent has patched sockets and threads before they were used")]


def _sentry(modules: Mapping[str, Any]) -> list[Finding]:
    sentry = modules.get("sentry_sdk")
    client = sentry.get_client() if sentry is not None else None
    if client is None or not client.is_active():
        return []
    if client.options.get("traces_sample_rate"):
        text = "sentry_sdk.init has traces_sample_rate: requests are traced twice, once for Sentry"
        return [info(Kind.TRAPS, "sentry", text, "Leave traces_sample_rate out, unless Sentry's own traces are wanted")]
    return []


def _loggers() -> list[Finding]:
    names = {type(handler).__name__ for handler in logging.getLogger().handlers}
    ours = names & {"CloudLoggingHandler", "StructuredLogHandler"}
    if not ours:
        return []
    text = f"google-cloud-logging's {' and '.join(sorted(ours))} is on the root logger: each line is logged twice"
    return [warning(Kind.TRAPS, "google-cloud-logging", text, "Remove setup_logging(); obskit writes JSON to stdout")]


# --------------------------------------------------------------------------- logs


def of_logs(config: Config, platform: Platform, *, is_terminal: bool) -> list[Finding]:
    """Return in which format log lines will be, and who takes them.

    Args:
        config: the settings in force.
        platform: where this runs.
        is_terminal: whether stdout is a terminal.
    """
    takers = f"; {platform.collects_stdout} takes them from there" if platform.collects_stdout else ""
    if config.log_format == "console" or (config.log_format == "auto" and is_terminal):
        if platform.is_deployed:
            why = "log_format=console" if config.log_format == "console" else "stdout is a terminal (a container's tty)"
            text = f"log lines are for people, as {why}: severity and trace are lost on {platform.title}"
            return [warning(Kind.LOGS, "format", text, "Set OBSKIT_LOG_FORMAT=json")]
        return [info(Kind.LOGS, "format", "lines for people on this terminal; JSON where stdout is none")]
    return [ok(Kind.LOGS, "format", f"JSON lines on stdout{takers}")]


# --------------------------------------------------------------------------- how the server is started


def of_start_commands(directory: Path, environ: Mapping[str, str]) -> list[Finding]:
    """Return what the folder's start commands do that costs telemetry."""
    found: list[Finding] = []
    if environ.get("UVICORN_LIFESPAN") == "off":
        found.append(_lifespan("UVICORN_LIFESPAN=off"))
    for place, command in _commands(directory, environ):
        if re.search(r"--lifespan[ =\"',]+off\b", command):
            found.append(_lifespan(f"{place}: --lifespan off"))
        if "opentelemetry-instrument" in command:
            text = f"{place} starts with opentelemetry-instrument, which exports everything beside obskit"
            found.append(warning(Kind.TRAPS, "start command", text, "Leave it out of the command"))
        if place.startswith(("Dockerfile", "Procfile")) and re.search(r"--reload\b", command):
            text = f"{place}: --reload is for development: it watches the files, and ends the worker when one changes"
            found.append(warning(Kind.TRAPS, "start command", text, "Leave --reload out in production"))
    return found


def _lifespan(where: str) -> Finding:
    text = f"{where}: the app's own start-up and shutdown code does not run; obskit delivers all the same"
    return info(Kind.TRAPS, "lifespan", text)


def _commands(directory: Path, environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    if environ.get("GUNICORN_CMD_ARGS"):
        yield "GUNICORN_CMD_ARGS", environ["GUNICORN_CMD_ARGS"]
    for pattern in _START_FILES:
        for path in sorted(directory.glob(pattern)):
            try:
                if path.stat().st_size > _MOST_BYTES or not path.is_file():
                    continue
                text = path.read_text(encoding="utf-8")
            except (OSError, ValueError):
                continue
            for number, line in _whole_lines(text):
                if _SERVERS.search(line) and not line.lstrip().startswith("#"):
                    yield f"{path.name}:{number}", line


def _whole_lines(text: str) -> Iterable[tuple[int, str]]:
    """Return the lines, those that end in a backslash joined with what follows, each with its first line's number."""
    first, gathered = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        first = first or number
        gathered += line.removesuffix("\\") + " "
        if not line.endswith("\\"):
            yield first, gathered
            first, gathered = 0, ""
    if gathered:
        yield first, gathered
