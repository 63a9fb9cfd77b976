"""The settings: one table of names, defaults and help, and the frozen `Config` that holds their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from obskit.config import values
from obskit.frozen import Frozen

__all__ = ["OTHER_ENVIRONMENT", "SETTINGS", "Config", "Setting"]


class Setting(Frozen):
    """One setting.

    Attributes:
        name: the keyword of `obskit.instrument` and the key in ``[tool.obskit]``.
        parse: turns what was given into the value; raises ValueError with the reason.
        default: the value when nothing is given.
        help: one sentence for the reference.
        other_env: environment variables defined by others that are read after ``OBSKIT_<NAME>``.
        is_secret: whether the value must never be printed.
    """

    name: str
    parse: Callable[[object], Any]
    default: Any
    help: str
    other_env: tuple[str, ...] = ()
    is_secret: bool = False

    @property
    def env(self) -> str:
        """The setting's own environment variable."""
        return f"OBSKIT_{self.name.upper()}"


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        name="service_name",
        parse=values.text,
        default="unknown_service",
        other_env=("OTEL_SERVICE_NAME", "K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_RUN_WORKER_POOL"),
        help="Name of the service in every signal.",
    ),
    Setting(
        name="service_version",
        parse=values.text,
        default="",
        other_env=("K_REVISION",),
        help="Version or revision of the service.",
    ),
    Setting(
        name="environment",
        parse=values.text,
        default="",
        help="Deployment environment, e.g. `prod`.",
    ),
    Setting(
        name="project",
        parse=values.text,
        default="",
        other_env=("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"),
        help="Google Cloud project id; joins log lines to traces, and is where `gcp` writes. On Google Cloud the "
        "metadata server is asked for it.",
    ),
    Setting(
        name="enabled",
        parse=values.flag,
        default=True,
        help="Off makes `instrument` do nothing at all.",
    ),
    Setting(
        name="exporters",
        parse=values.exporters,
        default=("auto",),
        help="Where signals go: `auto`, or some of `gcp`, `otlp`, `console`, `memory`, `none`. `auto` is `otlp` where "
        "the standard environment names an endpoint, `gcp` on Google Cloud (Compute Engine and GKE included, CI "
        "runs not) and under `obskit run`, `memory` under pytest, else `console`.",
    ),
    Setting(
        name="otlp_endpoint",
        parse=values.text,
        default="",
        other_env=("OTEL_EXPORTER_OTLP_ENDPOINT",),
        help="Base URL of an OTLP/HTTP receiver.",
    ),
    Setting(
        name="local_endpoint",
        parse=values.text,
        default="",
        help="HOST:PORT of the local backend's gRPC services; `obskit run` sets it. Google's clients then go there, "
        "unauthenticated.",
    ),
    Setting(
        name="sentry_dsn",
        parse=values.text,
        default="",
        other_env=("SENTRY_DSN",),
        is_secret=True,
        help="Sends errors to Sentry too.",
    ),
    Setting(
        name="sample_ratio",
        parse=values.share,
        default=1.0,
        other_env=("OTEL_TRACES_SAMPLER_ARG",),
        help="Share of requests whose trace is exported, 0 to 1. Errors are always kept; metrics and logs are not "
        "sampled.",
    ),
    Setting(
        name="trust_incoming_sampling",
        parse=values.flag,
        default=False,
        help="On: a caller's sampled flag decides. Off: the service's own `sample_ratio` does.",
    ),
    Setting(
        name="slow_request",
        parse=values.parse_duration,
        default=timedelta(seconds=5),
        help="A request that takes this long is exported though its trace was not sampled; 0 switches that off.",
    ),
    Setting(
        name="kept_per_minute",
        parse=values.positive,
        default=60,
        help="How many failed or slow requests of one route, in a minute and a process, are all exported though their "
        "traces were not sampled; of more only a part is, with its share in `obskit.sample_ratio`.",
    ),
    Setting(
        name="excluded_urls",
        parse=values.words,
        default=(),
        other_env=("OTEL_PYTHON_EXCLUDED_URLS",),
        help="Regular expressions, searched in the path; a request that matches is not recorded at all.",
    ),
    Setting(
        name="redact_keys",
        parse=values.words,
        default=(),
        help="More field names whose values are replaced by `[REDACTED]`, beside the built-in ones.",
    ),
    Setting(
        name="capture_prompts",
        parse=values.flag,
        default=False,
        help="On: prompts and replies of AI calls are put on spans. They may hold personal data.",
    ),
    Setting(
        name="instrument_clients",
        parse=values.flag,
        default=True,
        help="Send `traceparent` and make client spans through httpx, requests, aiohttp and gRPC where installed.",
    ),
    Setting(
        name="instrument_ai",
        parse=values.flag,
        default=True,
        help="Record calls of the AI SDKs that are installed.",
    ),
    Setting(
        name="ai_stream_usage",
        parse=values.one_of("auto", "always", "never"),
        default="auto",
        help="Ask for the usage of streams in OpenAI's chats, which are silent on it otherwise; the app does not see "
        "the answer. `auto`: where the host is OpenAI's or Azure's; `always`; `never`.",
    ),
    Setting(
        name="genai_semconv",
        parse=values.one_of("default", "latest", "both"),
        default="default",
        help="Names of the metrics and span attributes of AI calls: `default`, those in wide use; `latest`, those of "
        "OpenTelemetry's GenAI conventions in development; `both`.",
    ),
    Setting(
        name="propagate_hosts",
        parse=values.words,
        default=(),
        help="Hosts (`*.example.com` allowed) that may receive trace headers; empty means all.",
    ),
    Setting(
        name="log_level",
        parse=values.one_of("debug", "info", "warning", "error", "critical"),
        default="info",
        help="Least severity that is written.",
    ),
    Setting(
        name="log_format",
        parse=values.one_of("auto", "json", "console"),
        default="auto",
        help="`json` for Cloud Logging, `console` for people; `auto` is `console` on a terminal, else `json`.",
    ),
    Setting(
        name="access_log",
        parse=values.flag,
        default=True,
        help="Write one line per request.",
    ),
    Setting(
        name="log_max_bytes",
        parse=values.max_bytes,
        default={"*": values.MAX_LINE_BYTES},
        help="Largest log line in bytes, at least 2048: one number, or a table by logger (`*` is any other). A longer "
        "line is cut and marked with `obskit_truncated`.",
    ),
    Setting(
        name="log_rate_limits",
        parse=values.rates,
        default={},
        help="Most lines of a logger in a period, such as `httpx=10/s,*=500/s`: a name holds for the loggers below it "
        "too, `*` for each other one by itself. Lines at ERROR and above are counted apart. What is dropped is "
        "counted and told once a period.",
    ),
    Setting(
        name="log_buffer_bytes",
        parse=values.positive,
        default=8 * 1024 * 1024,
        help="Most bytes of log lines that wait while standard output takes nothing; what comes then is dropped, "
        "counted and told.",
    ),
    Setting(
        name="metric_export_interval",
        parse=values.parse_duration,
        default=timedelta(seconds=30),
        help="Time between two exports of metrics; at least 5 s towards Google.",
    ),
    Setting(
        name="trace_export_interval",
        parse=values.parse_duration,
        default=timedelta(seconds=2),
        help="Longest time that a finished span waits for its export.",
    ),
    Setting(
        name="queue_bytes",
        parse=values.positive,
        default=32 * 1024 * 1024,
        help="Most bytes of finished spans and error reports that wait for export; what comes then is dropped and "
        "counted.",
    ),
    Setting(
        name="spool_directory",
        parse=values.text,
        default="",
        help="Folder for what cannot be delivered at the end of the process, or while memory is full; it is delivered "
        "after a restart, by any process that shares the folder. Empty: it is dropped and counted.",
    ),
    Setting(
        name="spool_bytes",
        parse=values.positive,
        default=64 * 1024 * 1024,
        help="Most bytes of all files in `spool_directory` together.",
    ),
    Setting(
        name="flush_timeout",
        parse=values.parse_duration,
        default=timedelta(seconds=6),
        help="Longest time that the end of the process waits for all signals together (Cloud Run kills after 10 s).",
    ),
    Setting(
        name="native",
        parse=values.flag,
        default=True,
        help="Whether plain ASGI requests are served by the compiled module, where this installation has it; Python "
        "does the same, at several times the cost.",
    ),
    Setting(
        name="gc_threshold",
        parse=values.whole,
        default=2000,
        help="How many more objects than before may be there until Python's garbage collector looks at the young ones, "
        "set only where the app has left CPython's 700; 2,000 is what CPython has from 3.13 on. 0: it stays.",
    ),
    Setting(
        name="prices",
        parse=values.prices,
        default=None,
        help="Prices that override the built-in list, by model (`*`: every other): `input`, `output`, `cached`, "
        "`cache_write`, `thinking`, `tool_use` in USD per million tokens; any other name in USD per unit (`images`, "
        "`seconds`, `minutes`, `characters`; `cache_token_hours` per million); `long_context` = tokens from "
        "which `long_input`, `long_output`, … hold; `batch`, `flex`, `priority` = factors; `discount` = share off, "
        "also off the list.",
    ),
)

# Read by other parts of obskit than `instrument`: the command line and the local backend.
OTHER_ENVIRONMENT: Final = {
    "OBSKIT_LOCAL_URL": "Base URL of the local backend's HTTP services; `obskit run` sets it.",
    "OBSKIT_WEBHOOK_SECRET": "What `obskit local` signs webhooks with; empty leaves them unsigned.",
}


class Config(Frozen):
    """All settings, parsed. Field by field the same as `SETTINGS`; see there for meaning and units."""

    service_name: str = "unknown_service"
    service_version: str = ""
    environment: str = ""
    project: str = ""
    enabled: bool = True
    exporters: tuple[str, ...] = ("auto",)
    otlp_endpoint: str = ""
    local_endpoint: str = ""
    sentry_dsn: str = ""
    sample_ratio: float = 1.0
    trust_incoming_sampling: bool = False
    slow_request: timedelta = timedelta(seconds=5)
    kept_per_minute: int = 60
    excluded_urls: tuple[str, ...] = ()
    redact_keys: tuple[str, ...] = ()
    capture_prompts: bool = False
    instrument_clients: bool = True
    instrument_ai: bool = True
    ai_stream_usage: str = "auto"
    genai_semconv: str = "default"
    propagate_hosts: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "auto"
    access_log: bool = True
    log_max_bytes: Mapping[str, int] = MappingProxyType({"*": values.MAX_LINE_BYTES})
    log_rate_limits: Mapping[str, tuple[int, timedelta]] = MappingProxyType({})
    log_buffer_bytes: int = 8 * 1024 * 1024
    metric_export_interval: timedelta = timedelta(seconds=30)
    trace_export_interval: timedelta = timedelta(seconds=2)
    queue_bytes: int = 32 * 1024 * 1024
    spool_directory: str = ""
    spool_bytes: int = 64 * 1024 * 1024
    flush_timeout: timedelta = timedelta(seconds=6)
    native: bool = True
    gc_threshold: int = 2000
    prices: Mapping[str, Mapping[str, float]] | None = None

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in SETTINGS if not each.is_secret)
        return f"Config({', '.join(shown)})"


if set(Config.FIELDS) != {setting.name for setting in SETTINGS}:  # pragma: no cover - a slip in this file
    raise AssertionError("Config and SETTINGS differ")
