"""Which exporters will be used, why, and what of their settings cannot work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from obskit.config import Config
from obskit.doctor.findings import Finding, Kind, info, problem, warning
from obskit.doctor.platforms import Platform
from obskit.signals.places import machine_sign, service_sign
from obskit.signals.redaction import Redactor

__all__ = ["describe", "otlp_endpoints"]

_SIGNALS: Final = {"TRACES": "v1/traces", "METRICS": "v1/metrics", "LOGS": "v1/logs"}
_BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_GRPC_PORT: Final = 4317


def describe(
    names: tuple[str, ...],
    config: Config,
    sources: Mapping[str, str],
    environ: Mapping[str, str],
    platform: Platform,
    project: str,
) -> list[Finding]:
    """Return what there is to say about the exporters.

    Args:
        names: of those that are chosen.
        config: the settings in force.
        sources: where each setting came from.
        environ: the environment.
        platform: where this runs.
        project: that the exporter gcp will write to, empty where none is known.
    """
    if not names:
        text = f"none, as {_asked(sources)} says so: nothing is exported, log lines are written"
        return [info(Kind.EXPORTERS, "none", text)]
    found: list[Finding] = []
    for name in names:
        why = _why(name, config, sources, environ)
        found.append(info(Kind.EXPORTERS, name, f"{name} → {_where(name, config, environ, project)}; {why}"))
    if "otlp" in names:
        found += _otlp(config, sources, environ)
    if platform.is_deployed and names == ("console",) and "auto" in config.exporters:
        text = "traces, metrics and errors go nowhere: auto chose console, as the environment names no backend"
        way_out = "Set OBSKIT_EXPORTERS=gcp" if platform.is_google else f"Set {_BASE} or OBSKIT_EXPORTERS=gcp"
        found.append(warning(Kind.EXPORTERS, "auto", text, way_out))
    if "memory" in names and "PYTEST_CURRENT_TEST" not in environ:
        text = "memory keeps everything in this process and is for tests"
        found.append(warning(Kind.EXPORTERS, "memory", text, "Choose gcp, otlp or console"))
    return found


def _asked(sources: Mapping[str, str]) -> str:
    source = sources["exporters"]
    return "the call of obskit.instrument" if source == "code" else source


def _why(name: str, config: Config, sources: Mapping[str, str], environ: Mapping[str, str]) -> str:
    if name == "sentry":
        return f"sentry_dsn is set ({sources['sentry_dsn']})"
    if name in config.exporters:
        return f"asked for by {_asked(sources)}"
    if config.local_endpoint:
        return f"auto, as local_endpoint is set ({sources['local_endpoint']})"
    if name == "otlp":
        found = [variable for signal in _SIGNALS if environ.get(variable := f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")]
        what = f"otlp_endpoint is set ({sources['otlp_endpoint']})" if config.otlp_endpoint else f"{found[0]} is set"
        return f"auto, as {what}"
    if name == "gcp":
        sign = service_sign(environ) or machine_sign(environ) or "the environment"
        return f"auto, as {sign} says Google Cloud"
    return "auto, under pytest" if name == "memory" else "auto, as nothing names a backend"


def _where(name: str, config: Config, environ: Mapping[str, str], project: str) -> str:
    if name == "gcp":
        if config.local_endpoint:
            return f"the local backend at {config.local_endpoint}"
        return f"Cloud Trace, Monitoring and Error Reporting of project {project or '(unknown)'}"
    if name == "otlp":
        urls = otlp_endpoints(config, environ)
        bases = {url.removesuffix(f"/{path}") for (_, path), url in zip(_SIGNALS.items(), urls.values(), strict=True)}
        return Redactor().text(", ".join(shown_url(base) for base in sorted(bases)))
    if name == "sentry":
        return urlsplit(config.sentry_dsn).hostname or "an unreadable DSN"
    return {"console": "failed steps and errors, one line each on stderr", "memory": "this process"}[name]


def shown_url(url: str) -> str:
    """Return the URL without the user, password and query that it may have."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"***@{netloc}" if "@" in parts.netloc else netloc, query="", fragment="").geturl()


def otlp_endpoints(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the URL of each signal, ``TRACES``, ``METRICS`` and ``LOGS``, as the exporter will make it."""
    base = config.otlp_endpoint or environ.get(_BASE) or "http://localhost:4318"
    return {
        signal: environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or f"{base.rstrip('/')}/{path}"
        for signal, path in _SIGNALS.items()
    }


def _otlp(config: Config, sources: Mapping[str, str], environ: Mapping[str, str]) -> list[Finding]:
    found: list[Finding] = []
    urls = otlp_endpoints(config, environ)
    place = sources["otlp_endpoint"] if config.otlp_endpoint else "the default endpoint"
    for signal, url in urls.items():
        own = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
        from_ = own if environ.get(own) else place
        if found_here := _unusable(url, from_):
            found.append(found_here)
            if from_ == place:
                break
    protocols = [environ.get(f"OTEL_EXPORTER_OTLP_{part}PROTOCOL", "") for part in ("", "TRACES_", "METRICS_")]
    if "grpc" in protocols and not any(found_here.name == "otlp port" for found_here in found):
        text = "OTEL_EXPORTER_OTLP_PROTOCOL asks for grpc; obskit sends OTLP over HTTP with protobuf"
        found.append(warning(Kind.EXPORTERS, "otlp protocol", text, "Give the receiver's HTTP endpoint (port 4318)"))
    if "http/json" in protocols:
        text = "OTEL_EXPORTER_OTLP_PROTOCOL asks for http/json; obskit sends protobuf"
        found.append(info(Kind.EXPORTERS, "otlp protocol", text))
    headers = environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    if headers:
        names = ", ".join(pair.partition("=")[0].strip() for pair in headers.split(",") if pair.strip())
        found.append(info(Kind.EXPORTERS, "otlp headers", f"otlp sends the headers {names} (values not shown)"))
    return found


def _unusable(url: str, source: str) -> Finding | None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        text = f"{source} is {shown_url(url)!r}, which is not an http or https URL"
        return problem(Kind.EXPORTERS, "otlp endpoint", text, "Write it as http://HOST:4318")
    try:
        port = parts.port
    except ValueError:
        text = f"{source} is {shown_url(url)!r}, whose port is not a number"
        return problem(Kind.EXPORTERS, "otlp endpoint", text, "Write it as http://HOST:4318")
    if port == _GRPC_PORT:
        text = f"{source} names port {_GRPC_PORT}, where receivers speak gRPC; obskit sends OTLP over HTTP"
        return warning(Kind.EXPORTERS, "otlp port", text, "Use the receiver's HTTP port, which is 4318 by default")
    doubled = [path for path in _SIGNALS.values() if parts.path.count("v1/") > 1 and path in parts.path]
    if doubled:
        text = f"{source} has a signal's path in it, so requests go to {parts.path}"
        return problem(Kind.EXPORTERS, "otlp endpoint", text, "Give the base URL, without /v1/traces")
    return None
