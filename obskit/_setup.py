"""`obskit.instrument`: one call that sets everything up, once a process, and never raises into the app."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from obskit._destinations import destinations
from obskit._handle import Duration, Handle
from obskit.config import Config, Resolved, resolve
from obskit.errors import Problem
from obskit.middleware.frameworks import installer_of
from obskit.signals.gentle import collect_seldom, without_collection
from obskit.signals.places import machine_sign, service_sign

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from obskit.middleware.requests import Observer

__all__ = ["Handle", "instrument"]

_log = logging.getLogger("obskit")

Words = str | Sequence[str]


class _Process:
    """What is set up in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.handle: Handle | None = None
        self.config: Config | None = None
        self.observer: Observer | None = None
        self.problems: list[Problem] = []
        self.is_rehearsal = False
        self.switched_off: Resolved | None = None


_process: Final = _Process()


def instrument(
    app: Any = None,
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    project: str | None = None,
    enabled: bool | None = None,
    exporters: Words | None = None,
    otlp_endpoint: str | None = None,
    local_endpoint: str | None = None,
    sentry_dsn: str | None = None,
    sample_ratio: float | None = None,
    trust_incoming_sampling: bool | None = None,
    slow_request: Duration | None = None,
    kept_per_minute: int | None = None,
    excluded_urls: Words | None = None,
    redact_keys: Words | None = None,
    capture_prompts: bool | None = None,
    instrument_clients: bool | None = None,
    instrument_ai: bool | None = None,
    ai_stream_usage: str | None = None,
    genai_semconv: str | None = None,
    propagate_hosts: Words | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
    access_log: bool | None = None,
    log_max_bytes: int | str | Mapping[str, int] | None = None,
    log_rate_limits: str | Mapping[str, str] | None = None,
    log_buffer_bytes: int | None = None,
    metric_export_interval: Duration | None = None,
    trace_export_interval: Duration | None = None,
    queue_bytes: int | None = None,
    spool_directory: str | None = None,
    spool_bytes: int | None = None,
    flush_timeout: Duration | None = None,
    native: bool | None = None,
    gc_threshold: int | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    **unknown: Any,
) -> Handle:
    """Make an app observable: logs, traces, metrics, AI costs and error reports.

    Safe to call again: the same app is observed once, and another app joins what the first call has set up. What
    goes wrong is logged as a warning and shown by `Handle.status`; nothing is raised. Each setting may also come
    from ``OBSKIT_<NAME>`` in the environment or from ``[tool.obskit]`` in ``pyproject.toml``;
    ``docs/configuration.md`` says what each of them does.

    Args:
        app: a FastAPI, Starlette or Flask app; None sets up the process only, for scripts and workers.
        service_name: name of the service in every signal.
        service_version: version or revision of the service.
        environment: deployment environment, e.g. ``prod``.
        project: Google Cloud project id.
        enabled: False makes this call do nothing at all.
        exporters: ``auto``, or some of ``gcp``, ``otlp``, ``console``, ``memory``, ``none``.
        otlp_endpoint: base URL of an OTLP/HTTP receiver.
        local_endpoint: HOST:PORT of the local backend's gRPC services.
        sentry_dsn: sends errors to Sentry too.
        sample_ratio: share of requests whose trace is exported, 0 to 1.
        trust_incoming_sampling: whether a caller's sampled flag decides instead.
        slow_request: a request that takes as long is exported though its trace was not sampled.
        kept_per_minute: how many failed or slow unsampled requests of one route are all exported in a minute.
        excluded_urls: regular expressions, searched in the path; a request that matches is not recorded.
        redact_keys: more names of fields whose values are secret.
        capture_prompts: whether prompts and replies of AI calls are put on spans.
        instrument_clients: whether outgoing HTTP and gRPC calls carry the trace and make spans.
        instrument_ai: whether calls of AI SDKs are recorded.
        ai_stream_usage: whether OpenAI's streams are asked for their usage: ``auto``, ``always`` or ``never``.
        genai_semconv: names of AI metrics and attributes: ``default``, ``latest`` or ``both``.
        propagate_hosts: hosts that may receive trace headers; empty means all.
        log_level: least severity that is written.
        log_format: ``json``, ``console`` or ``auto``.
        access_log: whether each request ends with a line.
        log_max_bytes: largest log line, 2048 to 262144 bytes; one number or a table by logger.
        log_rate_limits: most lines by logger, as in ``{"httpx": "10/s", "*": "500/s"}``.
        log_buffer_bytes: most bytes of log lines that wait for a reader.
        metric_export_interval: time between two exports of metrics, in seconds or as ``"30s"``.
        trace_export_interval: longest time that a finished span waits.
        queue_bytes: most bytes of spans and error reports that wait.
        spool_directory: folder for what cannot be delivered in time; it survives a restart.
        spool_bytes: most bytes of that folder's files.
        flush_timeout: longest time that the end of the process waits for delivery.
        native: False serves plain ASGI requests in Python too, at several times the cost.
        gc_threshold: how many new objects the garbage collector waits for, where that is still 700; 0 leaves it.
        prices: USD per million tokens by model and kind.
        unknown: anything else is warned of, with the setting that was probably meant.

    Returns:
        The process's handle.
    """
    given = {name: value for name, value in locals().items() if name not in {"app", "unknown"}} | unknown
    try:
        with _process.lock, without_collection():
            return _instrument(app, given)
    except Exception as error:  # noqa: BLE001 - the app must start whatever goes wrong here
        problem = Problem(
            place="obskit.instrument()",
            problem=f"failed: {type(error).__name__}: {error}",
            way_out="The app runs without obskit; please report it as a bug",
        )
        _log.warning("%s", problem)
        return Handle(None, Resolved(config=Config(), sources={}, problems=(problem,)), lambda: (problem,))


def _instrument(app: Any, given: Mapping[str, object]) -> Handle:
    resolved = resolve(given)
    if not resolved.config.enabled:
        _process.switched_off = resolved
        return Handle(None, resolved, lambda: resolved.problems)
    if _process.handle is None:
        _start(resolved)
        for problem in resolved.problems:
            tell(problem)
    else:
        _compare(resolved, given)
    assert _process.config is not None  # noqa: S101 - for the type checker; `_start` has set both
    assert _process.handle is not None  # noqa: S101
    # Each time, as somebody may have uninstalled them in between.
    if _process.config.instrument_clients:
        _follow("obskit.clients", _process.config)
    _follow("obskit.llm", _process.config)
    if app is not None:
        _install(app)
    return _process.handle


def tell(problem: Problem) -> None:
    """Remember a problem, and log it once."""
    if problem not in _process.problems:
        _process.problems.append(problem)
        _log.warning("%s", problem)


def _compare(resolved: Resolved, given: Mapping[str, object]) -> None:
    for problem in resolved.problems:
        tell(problem)
    asked = [name for name, value in given.items() if value is not None and hasattr(resolved.config, name)]
    differing = [name for name in asked if getattr(resolved.config, name) != getattr(_process.config, name)]
    if differing:
        tell(
            Problem(
                place="obskit.instrument()",
                problem=f"called again with another {', '.join(differing)}; the first call's settings hold",
                way_out="Give the settings to the first call, or shut its handle down before",
            )
        )


def _forget(handle: Handle) -> None:
    with _process.lock:
        if _process.handle is handle:
            _process.handle = _process.config = None


# --------------------------------------------------------------------------- the process


def _start(resolved: Resolved) -> None:
    """Set the process up. Google's clients are not among what this imports: exporters load on their own thread."""
    from obskit.middleware.requests import Observer  # noqa: PLC0415 - `import obskit` must load nothing heavy
    from obskit.signals import cells, clientspans, logs, metrics, providers, reports, stdlib_logs, traces  # noqa: PLC0415
    from obskit.signals.durations import Durations  # noqa: PLC0415
    from obskit.signals.lifecycle import Pipeline  # noqa: PLC0415
    from obskit.signals.redaction import Redactor  # noqa: PLC0415
    from obskit.signals.resource import OwnResource  # noqa: PLC0415
    from obskit.signals.sampling import Keeper  # noqa: PLC0415
    from obskit.signals.shown import Shown  # noqa: PLC0415
    from obskit.signals.spans import RequestSpans  # noqa: PLC0415

    config = resolved.config
    redactor = Redactor(config.redact_keys)
    _process.problems.clear()
    logs.configure(config, redactor)
    stdlib_logs.install(level=config.log_level, access_log=config.access_log)
    resource = OwnResource(config)
    factories = [] if _process.is_rehearsal else _factories(config, resource)
    shown = Shown(redactor)
    pipeline = Pipeline(config, resource, factories, shown)
    tracers = providers.tracer_provider(config, resource, lambda: pipeline.span_processor)
    meters = providers.meter_provider(resource, lambda: pipeline.metric_reader, tell=tell)
    traces.use_provider(tracers, redactor)
    metrics.use_provider(meters)
    is_own = type(meters) is providers.OwnMeterProvider
    durations = Durations(resource, is_own=is_own, is_native=config.native)
    others = cells.begin(resource, is_own=is_own)
    if type(meters) is providers.OwnMeterProvider:
        meters.when_shared = partial(_share, durations, others)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true":  # which no SDK of ours reads for them
        pipeline.keep(durations, others)
    keeper = Keeper(config)
    spans = None
    if type(tracers) is providers.OwnTracerProvider:
        spans = RequestSpans(tracers, pipeline.ended, pipeline.submit_request, tracers.policy, keeper, shown)
        clientspans.begin(tracers, pipeline.ended, pipeline.submit_request)
    pipeline.prepare = partial(_prepare, tracers)
    reports.configure(config, redactor)
    reports.set_sink(pipeline.submit_error)
    pipeline.start()
    collect_seldom(config.gc_threshold)
    _process.config = config
    _process.observer = Observer(config, redactor, pipeline.flush, durations, keeper, spans)
    if (hooks := sys.modules.get("obskit.middleware.hooks")) is not None:
        hooks.follow(_process.observer)
    _process.handle = Handle(pipeline, resolved, _all_problems, _forget)
    is_asked_for = not (config.project or config.local_endpoint or _process.is_rehearsal)
    if is_asked_for and (service_sign(os.environ) or machine_sign(os.environ)):
        projects = import_module("obskit.signals.projects")
        projects.find(os.environ, partial(providers.know_project, resource, tracers, meters))


def _share(*kept: Any) -> None:
    for each in kept:
        each.share()


def _all_problems() -> tuple[Problem, ...]:
    llm = sys.modules.get("obskit.llm")
    return (*_process.problems, *(llm.problems() if llm is not None else ()))


def _follow(package: str, config: Config) -> None:
    try:
        import_module(package).install(config)
    except Exception as error:  # noqa: BLE001 - one broken part must not take the others along
        tell(
            Problem(
                place=package,
                problem=f"cannot be set up: {type(error).__name__}: {error}",
                way_out="Its calls are not recorded; everything else is",
            )
        )


def _factories(config: Config, resource: Callable[[], Resource]) -> list[Callable[[], Any]]:
    return [partial(_make, make, resource) for make in destinations(config, os.environ).values()]


def _make(make: Callable[[Resource], Any], resource: Callable[[], Resource]) -> Any:
    return make(resource())


def _prepare(tracers: Any) -> None:
    """Import beside the requests what one of them may need later, for a span of the app's or an error."""
    for name in ("obskit.signals.reported", "obskit.signals.sdk"):
        import_module("obskit.signals.imports").import_aside(name)
    if type(tracers).__name__ == "OwnTracerProvider":
        tracers.whole()


# --------------------------------------------------------------------------- what `obskit doctor` asks


def rehearse() -> None:
    """Let `instrument` set everything up from here on, and send nothing."""
    _process.is_rehearsal = True


def in_force() -> tuple[Resolved, tuple[Problem, ...]] | None:
    """Return the settings that this process was set up with, or switched off by, and what went wrong.

    None where `instrument` was not called, or has failed.
    """
    handle, off = _process.handle, _process.switched_off
    if handle is None:
        return None if off is None else (off, off.problems)
    return handle._resolved, _all_problems()  # noqa: SLF001 - the same module


def observer() -> Observer | None:
    """Return what observes the requests of this process, None where nothing is set up."""
    return _process.observer if _process.handle is not None else None


# --------------------------------------------------------------------------- the app


def _install(app: Any) -> None:
    path = installer_of(app)
    if path is not None:
        module, _, name = path.partition(":")
        getattr(import_module(module), name)(app, _process.observer)
        _warn_of_others(app)
        return
    tell(
        Problem(
            place="obskit.instrument()",
            problem=f"{type(app).__module__}.{type(app).__qualname__} is not a FastAPI, Starlette or Flask app",
            way_out="Give the framework's own app object, or serve what `obskit.wrap` returns for it",
        )
    )


def _warn_of_others(app: Any) -> None:
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        tell(
            Problem(
                place="obskit.instrument()",
                problem="OpenTelemetry's own instrumentation of this framework is active and makes the server spans",
                way_out="Remove it to have obskit's spans, which cover streamed bodies and carry users and sessions",
            )
        )
