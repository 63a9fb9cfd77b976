"""Log lines in one format, whoever writes them: obskit's own logger, the standard library's, structlog, the requests.

On Cloud Run and the like each record is one JSON line with Cloud Logging's special fields; on a terminal it is
a readable, coloured line.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Mapping
from types import FrameType
from typing import Any, Final, NamedTuple

from opentelemetry import trace

from obskit.config import Config
from obskit.signals import consoles
from obskit.signals.context import bound
from obskit.signals.lines import MAX_LINE_BYTES, described, encode, json_text, moment, plain
from obskit.signals.outputs import Output
from obskit.signals.redaction import Redactor

__all__ = [
    "OUTPUT",
    "Logger",
    "Record",
    "configure",
    "get_logger",
    "is_readable",
    "render",
    "structlog_processors",
    "write",
]

OUTPUT: Final = Output()
"""Where all lines of this process go."""

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_SEVERITIES: Final = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_PREFIX: Final = "logging.googleapis.com/"
# What Cloud Logging, Error Reporting and obskit give a meaning to; a field of the app moves out of the way.
_RESERVED: Final = frozenset(
    {"severity", "message", "time", "timestamp", "timestampSeconds", "timestampNanos", "service", "logger", "trace_id"}
    | {"httpRequest", "stack_trace", "traceback", "exception", "@type", "serviceContext", "endpoint", "latency_ms"}
)
_STACK_CHARS: Final = 64_000
_SHORT_CHARS: Final = 1000

_config = Config()
_redactor = Redactor()
_level = logging.INFO
_is_readable: bool | None = None


def configure(config: Config, redactor: Redactor) -> None:
    """Take the settings that lines depend on."""
    global _config, _redactor, _level, _is_readable
    _config, _redactor = config, redactor
    _level = LEVELS[config.log_level]
    _is_readable = {"json": False, "console": True}.get(config.log_format)


def is_readable() -> bool:
    """Return whether lines are for people rather than for Cloud Logging."""
    return OUTPUT.is_terminal if _is_readable is None else _is_readable


def severity_of(level: int) -> str:
    """Return Cloud Logging's severity for a level of the standard library, in between ones included."""
    return _SEVERITIES.get(level) or _SEVERITIES[min(50, max(10, level // 10 * 10))]


class Record(NamedTuple):
    """One thing to say.

    Attributes:
        severity: as Cloud Logging spells it.
        message: the text, with secrets or not.
        fields: what else is known; any values.
        logger: the logger's name, may be empty.
        error: an exception to show with its stack.
        location: file, line and function that say it.
        time_ns: nanoseconds since the epoch; 0 for now.
    """

    severity: str
    message: str
    fields: Mapping[str, Any]
    logger: str = ""
    error: BaseException | None = None
    location: tuple[str, int, str] | None = None
    time_ns: int = 0


def write(record: Record) -> None:
    """Write one record. Never raises."""
    try:
        line = render(record)
    except Exception as error:  # noqa: BLE001 - a record that cannot be shown must not break the app, nor be silent
        line = _json_line(
            {"severity": "ERROR", "message": f"a log record could not be written: {type(error).__name__}"}
        )
    OUTPUT.write(line + "\n")


def render(record: Record) -> str:
    """Return the record's line, without its end."""
    fields = {**bound(), **record.fields}
    message = _redactor.text(plain(record.message.rstrip("\n")))
    safe = {field_name(key): encode(str(key), value, _redactor) for key, value in fields.items()}
    stack = _stack(record.error) if record.error is not None else ""
    time_ns = record.time_ns or time.time_ns()
    if is_readable():
        return consoles.line(record.severity, message, safe, logger=record.logger, time_ns=time_ns, stack=stack)
    when = moment(time_ns)
    document: dict[str, Any] = {"severity": record.severity, "message": message, "time": when, "timestamp": when}
    document |= _who(record)
    if record.error is not None:
        document["error_type"] = type(record.error).__qualname__
        # Error Reporting makes an event of a field `stack_trace`; an error that is reported already has one.
        document["traceback" if is_reported(record.error) else "stack_trace"] = stack
    document |= safe
    return _bounded(document)


def _who(record: Record) -> dict[str, Any]:
    facts: dict[str, Any] = {"service": _config.service_name}
    if record.logger:
        facts["logger"] = plain(record.logger)
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        facts["trace_id"] = trace_id = f"{context.trace_id:032x}"
        facts[f"{_PREFIX}trace"] = f"projects/{_config.project}/traces/{trace_id}" if _config.project else trace_id
        facts[f"{_PREFIX}spanId"] = f"{context.span_id:016x}"
        facts[f"{_PREFIX}trace_sampled"] = context.trace_flags.sampled
    if record.location is not None:
        file, line, function = record.location
        facts[f"{_PREFIX}sourceLocation"] = {"file": plain(file), "line": str(line), "function": function}
    if _config.environment:
        facts["environment"] = _config.environment
    return facts


def safe(key: str, value: object) -> Any:
    """Return a JSON-safe copy of a field's value, without secrets."""
    return encode(key, value, _redactor)


def field_name(key: object) -> str:
    """Return the name under which a field of the app is written: its own, unless that has a meaning already."""
    name = plain(str(key))[:200]
    return f"{name}_" if name in _RESERVED or name.startswith(_PREFIX) else name


def is_reported(error: BaseException) -> bool:
    """Return whether an error report of that exception is out or on its way."""
    return bool(getattr(error, "__obskit_reported__", False))


def _stack(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as problem:  # noqa: BLE001 - an exception whose own methods raise
        text = f"{type(error).__name__} (its traceback could not be written: {type(problem).__name__})"
    if len(text) > _STACK_CHARS:
        text = f"{text[: _STACK_CHARS // 2]}\n…\n{text[-_STACK_CHARS // 2 :]}"
    return _redactor.text(plain(text))


def _json_line(document: Mapping[str, Any]) -> str:
    return json_text(document)


def _bounded(document: dict[str, Any]) -> str:
    text = _json_line(document)
    if len(text) * 4 < MAX_LINE_BYTES or len(text.encode()) < MAX_LINE_BYTES:
        return text
    keep = MAX_LINE_BYTES // 2
    while True:
        short = {key: _shortened(key, value, keep) for key, value in document.items()} | {"obskit_truncated": True}
        text = _json_line(short)
        if len(text.encode()) < MAX_LINE_BYTES:
            return text
        keep //= 2
        if keep < _SHORT_CHARS:
            core = {key: value for key, value in short.items() if key in _RESERVED or key.startswith(_PREFIX)}
            document = (
                core if len(core) < len(short) else {"severity": "ERROR", "message": "a log record was too large"}
            )


def _shortened(key: str, value: Any, keep: int) -> Any:
    most = keep if key in {"message", "stack_trace", "traceback"} else _SHORT_CHARS
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}… (truncated)"
    if key in _RESERVED or key.startswith(_PREFIX) or not isinstance(value, dict | list):
        return value
    text = _json_line({"": value})
    return value if len(text) <= most else f"{text[5:most]}… (truncated)"


# --------------------------------------------------------------------------- obskit's own logger


class Logger:
    """A logger with structlog's calling convention: an event, and what is known about it as keywords.

    Args:
        name: shown as the field ``logger``; may be empty.
        fields: shown on each line.
    """

    __slots__ = ("_fields", "_logger_name")

    def __init__(self, name: str = "", fields: Mapping[str, Any] | None = None) -> None:
        self._logger_name = name
        self._fields = dict(fields or {})

    def bind(self, **fields: Any) -> Logger:
        """Return a logger that shows these fields on each line, beside those of this one."""
        return Logger(self._logger_name, {**self._fields, **fields})

    def unbind(self, *names: str) -> Logger:
        """Return a logger without these fields."""
        return Logger(self._logger_name, {key: value for key, value in self._fields.items() if key not in names})

    def new(self, **fields: Any) -> Logger:
        """Return a logger with these fields only."""
        return Logger(self._logger_name, fields)

    def debug(self, event: object = "", *args: Any, **fields: Any) -> None:
        """Say what only a developer wants to know."""
        self._say(10, event, args, fields)

    def info(self, event: object = "", *args: Any, **fields: Any) -> None:
        """Say what happened.

        Args:
            event: a short text; with `args` it is a ``%`` format, as in the standard library.
            args: for the format.
            fields: what is known about it; ``exc_info`` shows an exception with its stack.
        """
        self._say(20, event, args, fields)

    def warning(self, event: object = "", *args: Any, **fields: Any) -> None:
        """Say what may be wrong."""
        self._say(30, event, args, fields)

    warn = warning

    def error(self, event: object = "", *args: Any, **fields: Any) -> None:
        """Say what went wrong."""
        self._say(40, event, args, fields)

    def exception(self, event: object = "", *args: Any, **fields: Any) -> None:
        """Say what went wrong, with the exception that is being handled."""
        fields.setdefault("exc_info", True)
        self._say(40, event, args, fields)

    def critical(self, event: object = "", *args: Any, **fields: Any) -> None:
        """Say what stops the service."""
        self._say(50, event, args, fields)

    fatal = critical

    def log(self, level: int, event: object = "", *args: Any, **fields: Any) -> None:
        """Say it at a level of the standard library."""
        self._say(level, event, args, fields)

    def _say(self, level: int, event: object, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        if level < _level:
            return
        error = error_of(fields.pop("exc_info", None))
        fields.pop("stack_info", None)
        write(
            Record(
                severity=severity_of(level),
                message=formatted(event, args),
                fields={**self._fields, **fields} if self._fields else fields,
                logger=self._logger_name,
                error=error,
                location=_location(sys._getframe(2)),  # noqa: SLF001 - what logging itself uses
            )
        )


def formatted(event: object, args: Any) -> str:
    """Return ``event % args``, or both side by side where they do not fit."""
    text = described(event)
    if not args:
        return text
    try:
        return str(text % args)
    except Exception:  # noqa: BLE001 - a bad format, or an argument whose str() raises
        return f"{text} {json_text(encode('', args, _redactor))}"


def error_of(exc_info: Any) -> BaseException | None:
    """Return the exception that an ``exc_info`` in any of its forms means."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        error = exc_info[1] if len(exc_info) > 1 else None
        return error if isinstance(error, BaseException) else None
    return sys.exception() if exc_info else None


def _location(frame: FrameType) -> tuple[str, int, str]:
    code = frame.f_code
    return code.co_filename, frame.f_lineno, code.co_qualname


def get_logger(name: str = "", **fields: Any) -> Logger:
    """Return a logger that writes lines in the format of all others.

    Args:
        name: shown as the field ``logger``; pass ``__name__`` or nothing.
        fields: shown on each line.
    """
    return Logger(name, fields)


def structlog_processors() -> list[Any]:
    """Return the processors to end a structlog configuration of your own with; see `signals.stdlib_logs`."""
    from obskit.signals import stdlib_logs  # noqa: PLC0415 - it stands on this module

    return stdlib_logs.structlog_processors()
