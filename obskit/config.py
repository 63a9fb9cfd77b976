"""The settings: one table of names, defaults and help, resolved into one frozen `Config`.

Code wins over the environment (`OBSKIT_*`, then the names that OpenTelemetry, Cloud Run and Sentry
define), which wins over ``[tool.obskit]`` in ``pyproject.toml``, which wins over the default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from obskit.errors import Problem, nearest

__all__ = ["SETTINGS", "Config", "Resolved", "Setting", "parse_duration", "resolve"]


# --------------------------------------------------------------------------- values

MAX_LINE_BYTES: Final = 256 * 1024
"""Largest log entry that Cloud Logging takes. Source: Cloud Logging's quotas, "Size of a LogEntry"."""
LEAST_LINE_BYTES: Final = 2048
"""A line of fewer bytes would have no room for what obskit itself says."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART: Final = r"(\d+(?:\.\d+)?)(ms|[smhdw])"


def parse_duration(value: object) -> timedelta:
    """Return a timedelta from ``"5m"``, ``"1h30m"``, ``"250ms"``, a number of seconds, or a timedelta.

    Raises:
        ValueError: the text is not a duration.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    if not re.fullmatch(rf"({_PART})+", text):
        raise ValueError(f'{text!r} is not a duration, write for example "90s", "5m" or "1h30m"')
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, text)))


def _text(value: object) -> str:
    return str(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"{value!r} is not true or false")


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word for word in (part.strip() for part in value.split(",")) if word)
    if not isinstance(value, Sequence):
        raise TypeError(f"{value!r} is not a list of words")
    return tuple(str(word) for word in value)


def _share(value: object) -> float:
    number = float(str(value))
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{value!r} is not between 0 and 1")
    return number


def _positive(value: object) -> int:
    number = int(str(value))
    if number <= 0:
        raise ValueError(f"{value!r} is not a positive whole number")
    return number


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        text = str(value).strip().lower()
        if text not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        return text

    return parse


def _by_logger(value: object, parse: Callable[[str], Any]) -> Mapping[str, Any]:
    """Return a table by logger from a table, from ``"httpx=10/s,*=500/s"``, or from one value for all loggers."""
    if not isinstance(value, Mapping):
        pairs = [word.rpartition("=") for word in (_words(value) if isinstance(value, str) else (str(value),))]
        value = {name.strip() or "*": text for name, _, text in pairs}
    return {str(name): parse(str(text).strip()) for name, text in value.items()}


def _max_bytes(value: object) -> Mapping[str, int]:
    return {"*": MAX_LINE_BYTES, **_by_logger(value, _line_bytes)}


def _line_bytes(text: str) -> int:
    number = int(text)
    if not LEAST_LINE_BYTES <= number <= MAX_LINE_BYTES:
        raise ValueError(f"{text} is not between {LEAST_LINE_BYTES} and {MAX_LINE_BYTES} bytes")
    return number


def _rates(value: object) -> Mapping[str, tuple[int, timedelta]]:
    return _by_logger(value, _rate)


def _rate(text: str) -> tuple[int, timedelta]:
    count, slash, period = text.partition("/")
    if not (slash and count.strip().isdigit()):
        raise ValueError(f'{text!r} is not a rate, write for example "100/s" or "600/10m"')
    of = parse_duration(period if period[:1].isdigit() else f"1{period}")
    if of <= timedelta(0):
        raise ValueError(f"{text!r} has no period")
    return int(count), of


def _prices(value: object) -> Mapping[str, Mapping[str, float]]:
    if not isinstance(value, Mapping):
        raise TypeError("prices are a table: model = {input = USD per million tokens, output = …}")
    known = {"input", "output", "cached", "thinking", "tool_use"}
    table: dict[str, Mapping[str, float]] = {}
    for model, row in value.items():
        if not isinstance(row, Mapping) or not row or not set(row) <= known:
            raise ValueError(
                f"price of {model!r} must have some of {', '.join(sorted(known))}, in USD per million tokens"
            )
        table[str(model)] = {str(kind): float(price) for kind, price in row.items()}
    return table


EXPORTERS: Final = ("auto", "gcp", "otlp", "console", "memory", "none")


def _exporters(value: object) -> tuple[str, ...]:
    words = tuple(word.lower() for word in _words(value))
    unknown = [word for word in words if word not in EXPORTERS]
    if unknown or not words:
        raise ValueError(f"{', '.join(unknown) or 'an empty list'} is not among {', '.join(EXPORTERS)}")
    return words


# --------------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
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
        parse=_text,
        default="unknown_service",
        other_env=("OTEL_SERVICE_NAME", "K_SERVICE"),
        help="Name of the service in every signal.",
    ),
    Setting(
        name="service_version",
        parse=_text,
        default="",
        other_env=("K_REVISION",),
        help="Version or revision of the service.",
    ),
    Setting(
        name="environment",
        parse=_text,
        default="",
        help="Deployment environment, e.g. `prod`.",
    ),
    Setting(
        name="project",
        parse=_text,
        default="",
        other_env=("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"),
        help="Google Cloud project id; joins log lines to traces, and is where `gcp` writes.",
    ),
    Setting(
        name="enabled",
        parse=_flag,
        default=True,
        help="Off makes `instrument` do nothing at all.",
    ),
    Setting(
        name="exporters",
        parse=_exporters,
        default=("auto",),
        help="Where signals go: `auto`, or some of `gcp`, `otlp`, `console`, `memory`, `none`. `auto` is `otlp` where "
        "the standard environment names an endpoint, `gcp` on Google Cloud and under `obskit run`, `memory` under "
        "pytest, else `console`.",
    ),
    Setting(
        name="otlp_endpoint",
        parse=_text,
        default="",
        other_env=("OTEL_EXPORTER_OTLP_ENDPOINT",),
        help="Base URL of an OTLP/HTTP receiver.",
    ),
    Setting(
        name="local_endpoint",
        parse=_text,
        default="",
        help="HOST:PORT of the local backend's gRPC services; `obskit run` sets it. Google's clients then go there, "
        "unauthenticated.",
    ),
    Setting(
        name="sentry_dsn",
        parse=_text,
        default="",
        other_env=("SENTRY_DSN",),
        is_secret=True,
        help="Sends errors to Sentry too.",
    ),
    Setting(
        name="sample_ratio",
        parse=_share,
        default=1.0,
        other_env=("OTEL_TRACES_SAMPLER_ARG",),
        help="Share of requests whose trace is exported, 0 to 1. Errors are always kept; metrics and logs are not "
        "sampled.",
    ),
    Setting(
        name="trust_incoming_sampling",
        parse=_flag,
        default=False,
        help="On: a caller's sampled flag decides. Off: the service's own `sample_ratio` does.",
    ),
    Setting(
        name="slow_request",
        parse=parse_duration,
        default=timedelta(seconds=5),
        help="A request that takes this long is exported though its trace was not sampled; 0 switches that off.",
    ),
    Setting(
        name="kept_per_minute",
        parse=_positive,
        default=60,
        help="How many failed or slow requests of one route, in a minute and a process, are all exported though their "
        "traces were not sampled; of more only a part is, with its share in `obskit.sample_ratio`.",
    ),
    Setting(
        name="excluded_urls",
        parse=_words,
        default=(),
        other_env=("OTEL_PYTHON_EXCLUDED_URLS",),
        help="Regular expressions, searched in the path; a request that matches is not recorded at all.",
    ),
    Setting(
        name="redact_keys",
        parse=_words,
        default=(),
        help="More field names whose values are replaced by `[REDACTED]`, beside the built-in ones.",
    ),
    Setting(
        name="capture_prompts",
        parse=_flag,
        default=False,
        help="On: prompts and replies of AI calls are put on spans. They may hold personal data.",
    ),
    Setting(
        name="instrument_clients",
        parse=_flag,
        default=True,
        help="Send `traceparent` and make client spans through httpx, requests, aiohttp and gRPC where installed.",
    ),
    Setting(
        name="instrument_ai",
        parse=_flag,
        default=True,
        help="Record calls of the AI SDKs that are installed.",
    ),
    Setting(
        name="propagate_hosts",
        parse=_words,
        default=(),
        help="Hosts (`*.example.com` allowed) that may receive trace headers; empty means all.",
    ),
    Setting(
        name="log_level",
        parse=_one_of("debug", "info", "warning", "error", "critical"),
        default="info",
        help="Least severity that is written.",
    ),
    Setting(
        name="log_format",
        parse=_one_of("auto", "json", "console"),
        default="auto",
        help="`json` for Cloud Logging, `console` for people; `auto` is `console` on a terminal, else `json`.",
    ),
    Setting(
        name="access_log",
        parse=_flag,
        default=True,
        help="Write one line per request.",
    ),
    Setting(
        name="log_max_bytes",
        parse=_max_bytes,
        default={"*": MAX_LINE_BYTES},
        help="Largest log line in bytes, at least 2048: one number, or a table by logger (`*` is any other). A longer "
        "line is cut and marked with `obskit_truncated`.",
    ),
    Setting(
        name="log_rate_limits",
        parse=_rates,
        default={},
        help="Most lines of a logger in a period, such as `httpx=10/s,*=500/s`: a name holds for the loggers below it "
        "too, `*` for each other one by itself. Lines at ERROR and above are counted apart. What is dropped is "
        "counted and told once a period.",
    ),
    Setting(
        name="log_buffer_bytes",
        parse=_positive,
        default=8 * 1024 * 1024,
        help="Most bytes of log lines that wait while standard output takes nothing; what comes then is dropped, "
        "counted and told.",
    ),
    Setting(
        name="metric_export_interval",
        parse=parse_duration,
        default=timedelta(seconds=30),
        help="Time between two exports of metrics; at least 5 s towards Google.",
    ),
    Setting(
        name="trace_export_interval",
        parse=parse_duration,
        default=timedelta(seconds=2),
        help="Longest time that a finished span waits for its export.",
    ),
    Setting(
        name="queue_bytes",
        parse=_positive,
        default=32 * 1024 * 1024,
        help="Most bytes of finished spans and error reports that wait for export; what comes then is dropped and "
        "counted.",
    ),
    Setting(
        name="spool_directory",
        parse=_text,
        default="",
        help="Folder for what cannot be delivered at the end of the process, or while memory is full; it is delivered "
        "after a restart, by any process that shares the folder. Empty: it is dropped and counted.",
    ),
    Setting(
        name="spool_bytes",
        parse=_positive,
        default=64 * 1024 * 1024,
        help="Most bytes of all files in `spool_directory` together.",
    ),
    Setting(
        name="flush_timeout",
        parse=parse_duration,
        default=timedelta(seconds=6),
        help="Longest time that the end of the process waits for all signals together (Cloud Run kills after 10 s).",
    ),
    Setting(
        name="prices",
        parse=_prices,
        default=None,
        help="Prices that override the built-in list: model = {input, output, cached, thinking, tool_use} in USD per "
        "million tokens.",
    ),
)

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, parsed. Field by field the same as `SETTINGS`; see there for meaning and units."""

    service_name: str = "unknown_service"
    service_version: str = ""
    environment: str = ""
    project: str = ""
    enabled: bool = True
    exporters: tuple[str, ...] = ("auto",)
    otlp_endpoint: str = ""
    local_endpoint: str = ""
    sentry_dsn: str = field(default="", repr=False)
    sample_ratio: float = 1.0
    trust_incoming_sampling: bool = False
    slow_request: timedelta = timedelta(seconds=5)
    kept_per_minute: int = 60
    excluded_urls: tuple[str, ...] = ()
    redact_keys: tuple[str, ...] = ()
    capture_prompts: bool = False
    instrument_clients: bool = True
    instrument_ai: bool = True
    propagate_hosts: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "auto"
    access_log: bool = True
    log_max_bytes: Mapping[str, int] = field(default_factory=lambda: {"*": MAX_LINE_BYTES})
    log_rate_limits: Mapping[str, tuple[int, timedelta]] = field(default_factory=dict)
    log_buffer_bytes: int = 8 * 1024 * 1024
    metric_export_interval: timedelta = timedelta(seconds=30)
    trace_export_interval: timedelta = timedelta(seconds=2)
    queue_bytes: int = 32 * 1024 * 1024
    spool_directory: str = ""
    spool_bytes: int = 64 * 1024 * 1024
    flush_timeout: timedelta = timedelta(seconds=6)
    prices: Mapping[str, Mapping[str, float]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A `Config`, and how it came about.

    Attributes:
        config: the values in force.
        sources: for each setting, ``code``, the environment variable's name, ``pyproject.toml`` or ``default``.
        problems: unknown names and unusable values; each such value was passed over for the next source.
    """

    config: Config
    sources: Mapping[str, str]
    problems: tuple[Problem, ...]


def resolve(
    given: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Resolved:
    """Resolve all settings. Bad values never raise: they become problems, and the next source decides.

    Args:
        given: keywords of the call; a value of None counts as not given.
        environ: the environment, ``os.environ`` by default.
        directory: where the search for ``pyproject.toml`` starts (it goes upwards), the working directory by default.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (given or {}).items() if value is not None}
    table, table_place, problems = _read_table(Path.cwd() if directory is None else directory)
    problems += _unknown(given, "obskit.instrument()", _BY_NAME)
    problems += _unknown(table, table_place, _BY_NAME)
    problems += _unknown_env(environ)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        for source, raw in _candidates(setting, given, environ, table, table_place):
            try:
                values[setting.name] = setting.parse(raw)
            except (ValueError, TypeError) as error:
                shown = "the value is not usable" if setting.is_secret else str(error)
                problems.append(
                    Problem(
                        place=source,
                        problem=f"setting {setting.name!r}: {shown}",
                        way_out=f"See: {setting.help.rstrip('.')}",
                    )
                )
                continue
            sources[setting.name] = source
            break
        else:
            values[setting.name] = setting.default
            sources[setting.name] = "default"
    return Resolved(config=Config(**values), sources=sources, problems=tuple(problems))


def _candidates(
    setting: Setting,
    given: Mapping[str, object],
    environ: Mapping[str, str],
    table: Mapping[str, object],
    table_place: str,
) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    if setting.name in given:
        found.append(("code", given[setting.name]))
    found += [(name, environ[name]) for name in (setting.env, *setting.other_env) if environ.get(name)]
    if setting.name in table:
        found.append((table_place, table[setting.name]))
    return found


def _read_table(directory: Path) -> tuple[Mapping[str, object], str, list[Problem]]:
    for folder in (directory, *directory.parents):
        path = folder / "pyproject.toml"
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            return (
                {},
                str(path),
                [Problem(place=str(path), problem=f"cannot be read: {error}", way_out="Mend the file")],
            )
        table = document.get("tool", {}).get("obskit", {})
        return (table if isinstance(table, Mapping) else {}), str(path), []
    return {}, "pyproject.toml", []


# Read by other parts of obskit than `instrument`: the command line and the local backend.
OTHER_ENVIRONMENT: Final = {
    "OBSKIT_LOCAL_URL": "Base URL of the local backend's HTTP services; `obskit run` sets it.",
    "OBSKIT_WEBHOOK_SECRET": "What `obskit local` signs webhooks with; empty leaves them unsigned.",
}


def _unknown_env(environ: Mapping[str, str]) -> list[Problem]:
    known = {setting.env for setting in SETTINGS} | set(OTHER_ENVIRONMENT)
    return _unknown({name: "" for name in environ if name.startswith("OBSKIT_")}, "environment", known)


def _unknown(names: Mapping[str, object], place: str, known: Mapping[str, object] | set[str]) -> list[Problem]:
    problems = []
    for name in names:
        if name in known:
            continue
        guess = nearest(name, known)
        problems.append(
            Problem(
                place=place,
                problem=f"unknown setting {name!r}",
                way_out=f"Did you mean {guess!r}" if guess else "Remove it, or see the configuration reference",
            )
        )
    return problems


if {f.name for f in dataclass_fields(Config)} != set(_BY_NAME):  # pragma: no cover - a slip in this file
    raise AssertionError("Config and SETTINGS differ")
