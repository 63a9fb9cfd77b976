"""The standard library's logging and structlog, taken into obskit's format."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from types import ModuleType
from typing import Any, Final

from opentelemetry import context as otel_context

from obskit.signals import logs
from obskit.signals.imports import when_imported
from obskit.signals.logs import LEVELS, OUTPUT, Record, error_of, formatted, severity_of
from obskit.signals.patterns import Pattern

__all__ = ["Handler", "install", "structlog_processors"]

# Every record has these; what else it has came in by `extra`.
_COLOURS: Final = Pattern(r"\x1b\[[0-9;]{0,20}m")
"""What servers colour their messages with, whether or not a terminal is there."""
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SERVERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "hypercorn.error", "werkzeug")
# They tell of each request at INFO, which a client span does better; at DEBUG they may talk.
_CHATTY: Final = ("httpx", "httpx2")
_ACCESS: Final = ("uvicorn.access", "gunicorn.access", "hypercorn.access")


class Handler(logging.Handler):
    """Writes records of the standard library in obskit's format; those of the export thread are left out."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Never raises."""
        if _is_exporting():
            return
        extra = {key: value for key, value in vars(record).items() if key not in _OWN}
        logs.write(
            Record(
                severity=severity_of(record.levelno),
                message=_without_colours(formatted(record.msg, record.args)),
                fields=extra,
                logger=record.name if record.name != "root" else "",
                error=error_of(record.exc_info),
                location=(record.pathname, record.lineno, record.funcName or ""),
                time_ns=int(record.created * 1e9),
            )
        )


def _is_exporting() -> bool:
    return bool(otel_context.get_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY))  # noqa: SLF001 - their own packages do


class _Quiet(logging.Filter):
    """Keeps what exporting logs from the app's own handlers too."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the protocol's
        return not _is_exporting()


class _Redirect(logging.Filter):
    """Takes a server's records away from its own handlers, which it may set at any time, and writes them here."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _handler in logging.getLogger().handlers:
            if record.levelno >= _handler.level and not _is_access_line(record):
                _handler.handle(record)
            return False
        return True


class _Silence(logging.Filter):
    """Drops a server's access lines while obskit writes its own."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the protocol's
        return not (_silences_access and _handler in logging.getLogger().handlers)


def _is_access_line(record: logging.LogRecord) -> bool:
    if not (_silences_access and record.name == "werkzeug"):
        return False
    text = formatted(record.msg, record.args)
    return " - - [" in text and " HTTP/" in text


def _without_colours(text: str) -> str:
    return _COLOURS.sub("", text) if "\x1b" in text else text


_handler: Final = Handler()
_redirect: Final = _Redirect()
_silence: Final = _Silence()
_quiet: Final = _Quiet()
_silences_access = True


def install(*, level: str, access_log: bool) -> None:
    """Write what goes to the root logger, to servers' loggers and through structlog in obskit's format.

    Handlers of the root logger that write to the terminal's streams make way, others stay.

    Args:
        level: least level, as in the setting `log_level`.
        access_log: whether obskit writes a line per request, so that the server need not.
    """
    global _silences_access
    _silences_access = access_log
    root = logging.getLogger()
    for handler in tuple(root.handlers):
        if _writes_to_terminal(handler):
            root.removeHandler(handler)
        else:
            handler.addFilter(_quiet)
    _handler.setLevel(LEVELS[level])
    if _handler not in root.handlers:
        root.addHandler(_handler)
    if root.level in {logging.NOTSET, logging.WARNING} or root.level > LEVELS[level]:
        root.setLevel(LEVELS[level])
    for name in _SERVERS:
        logging.getLogger(name).addFilter(_redirect)
    for name in _ACCESS:
        logging.getLogger(name).addFilter(_silence)
    for name in _CHATTY:
        if LEVELS[level] == logging.INFO and logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)
    when_imported("structlog", _configure_structlog)


def uninstall() -> None:
    """Take the handler and the filters away again."""
    root = logging.getLogger()
    root.removeHandler(_handler)
    for handler in root.handlers:
        handler.removeFilter(_quiet)
    for name in _SERVERS:
        logging.getLogger(name).removeFilter(_redirect)
    for name in _ACCESS:
        logging.getLogger(name).removeFilter(_silence)


def _writes_to_terminal(handler: logging.Handler) -> bool:
    return type(handler) is logging.StreamHandler and handler.stream in {
        sys.stdout,
        sys.stderr,
        sys.__stdout__,
        sys.__stderr__,
    }


# --------------------------------------------------------------------------- structlog


def structlog_processors() -> list[Callable[[Any, str, MutableMapping[str, Any]], Any]]:
    """Return the processors that make structlog write obskit's format, to end a list of your own with.

    The last one returns the line as text, so any logger factory that prints does.
    """
    return [_render_event]


def _render_event(_logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    fields = {**_structlog_context(), **event}
    level = fields.pop("level", None) or method
    number = fields.pop("level_number", None) or LEVELS.get(str(level).lower().replace("exception", "error"), 20)
    record = Record(
        severity=severity_of(number if isinstance(number, int) else 20),
        message=formatted(fields.pop("event", ""), fields.pop("positional_args", ())),
        fields={key: value for key, value in fields.items() if key not in {"timestamp", "exc_info", "logger"}},
        logger=str(fields.get("logger", "")),
        error=error_of(fields.get("exc_info", method == "exception")),
    )
    if not logs.is_wanted(record):
        raise sys.modules["structlog"].DropEvent
    return logs.render(record)


def _structlog_context() -> dict[str, Any]:
    module = sys.modules.get("structlog.contextvars")
    return dict(module.get_contextvars()) if module is not None else {}


class _LineLogger:
    """What structlog calls with a rendered line."""

    def msg(self, line: str) -> None:
        OUTPUT.write(line + "\n")

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def _configure_structlog(structlog: ModuleType) -> None:
    if structlog.is_configured():
        return
    structlog.configure(
        processors=structlog_processors(),
        wrapper_class=structlog.make_filtering_bound_logger(_handler.level),
        logger_factory=lambda *_: _LineLogger(),
        cache_logger_on_first_use=False,
    )
