"""Log lines in one format, whoever writes them: obskit's own logger, the standard library's, structlog, the requests.

On Cloud Run and the like each record is one JSON line with Cloud Logging's special fields; on a terminal it is
a readable, coloured line.
"""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Mapping
from time import time_ns
from types import FrameType
from typing import Any, Final, Protocol, cast

from opentelemetry import context as otel_context

from obskit.config import Config
from obskit.signals import consoles, context
from obskit.signals.entries import Entries, Record, field_name, is_reported, refuse
from obskit.signals.levels import LEVELS, Level, severity_of
from obskit.signals.limits import Limits
from obskit.signals.lines import described, encode, escaped, json_text, moment
from obskit.signals.outputs import Output
from obskit.signals.redaction import HAS_SIGNS, SHORT, SHORTEST, Redactor

__all__ = [
    "LEVELS",
    "OUTPUT",
    "Logger",
    "Record",
    "configure",
    "field_name",
    "get_logger",
    "is_readable",
    "is_reported",
    "render",
    "severity_of",
    "structlog_processors",
    "write",
]

OUTPUT: Final = Output()
"""Where all lines of this process go."""


def _tell_dropped(lines: int, size_bytes: int) -> str:
    return _said_of_lost(f"{lines} log lines ({size_bytes} bytes) were dropped: standard output took nothing", lines)


def _tell_limited(logger: str, lines: int, limit: str) -> None:
    of = f"logger {logger!r}" if logger else "the logger without a name"
    OUTPUT.write(_said_of_lost(f"{lines} log lines of {of} were dropped: more than {limit}", lines))


def _said_of_lost(problem: str, lines: int) -> str:
    record = Record("WARNING", f"obskit: {problem}", {"obskit_dropped_lines": lines}, "obskit")
    return render(record) + "\n"


OUTPUT.tell = _tell_dropped
_limits = Limits(Config(), _tell_limited)
_entries = Entries(Config(), Redactor())
_level = logging.INFO
_is_readable: bool | None = None
_json_stream: Any = None  # the standard output to which lines are surely JSON
# Looked up once, without the layers in between, which cost more than they do.
_frame: Final = sys._getframe  # noqa: SLF001 - what logging itself uses
_request: Final = context.REQUEST.get
_runtime: Final = otel_context._RUNTIME_CONTEXT  # noqa: SLF001
_otel_context: Final = getattr(getattr(_runtime, "_current_context", None), "get", _runtime.get_current)


def configure(config: Config, redactor: Redactor) -> None:
    """Take the settings that lines depend on."""
    global _entries, _level, _is_readable, _json_stream, _limits
    _limits = Limits(config, _tell_limited)
    _entries = Entries(config, redactor, _limits.max_bytes)
    OUTPUT.buffer_bytes = config.log_buffer_bytes
    OUTPUT.use(is_native=config.native)
    _level = LEVELS[config.log_level]
    _is_readable = {"json": False, "console": True}.get(config.log_format)
    _json_stream = None
    for level in _levels:
        level.forget()


def use_project(project: str) -> None:
    """Name traces by this project from here on, which became known only after `configure`."""
    _entries.use_project(project)


def is_readable() -> bool:
    """Return whether lines are for people rather than for Cloud Logging."""
    return OUTPUT.is_terminal if _is_readable is None else _is_readable


def finish(timeout_s: float = 5.0) -> bool:
    """Say what was dropped, and wait until every line is out, as long as somebody reads; see `Output.finish`.

    Args:
        timeout_s: longest time to wait, in seconds.
    """
    _limits.tell()
    return OUTPUT.finish(timeout_s)


atexit.register(finish)


def is_wanted(record: Record) -> bool:
    """Return whether the record's logger may say one more line; if not, it is counted as dropped."""
    return _limits.takes(record.logger, record.severity)


def write(record: Record) -> None:
    """Write one record, unless its logger says too much. Never raises."""
    if not is_wanted(record):
        return
    try:
        line = render(record)
    except Exception as error:  # noqa: BLE001 - a record that cannot be shown must not break the app, nor be silent
        problem = f"a log record could not be written: {type(error).__name__}"
        line = json_text({"severity": "ERROR", "message": problem})
    OUTPUT.write(line + "\n")


def render(record: Record) -> str:
    """Return the record's line, without its end."""
    global _json_stream
    now_ns = record.time_ns or time_ns()
    if not is_readable():
        _json_stream = None if OUTPUT.is_terminal else sys.stdout
        return _entries.line(record, now_ns)
    message, fields, stack = _entries.parts(record)
    return consoles.line(record.severity, message, fields, logger=record.logger, time_ns=now_ns, stack=stack)


def safe(key: str, value: object) -> Any:
    """Return a JSON-safe copy of a field's value, without secrets."""
    return encode(key, value, _entries.redactor)


# --------------------------------------------------------------------------- obskit's own logger


_INFO: Final = """Say what happened.

        Args:
            event: a short text; with `args` it is a ``%`` format, as in the standard library.
            args: for the format.
            fields: what is known about it; ``exc_info`` shows an exception with its stack.
        """


class _Method(Protocol):
    """A method of a logger, as its users call it."""

    def __call__(self, event: object = "", *args: Any, **fields: Any) -> None: ...


_levels: Final[list[Level]] = []


def _method(number: int, name: str, doc: str) -> _Method:  # noqa: C901 - a call costs what three fields do
    """Return the method of a level, which puts ordinary lines together without calling anything of obskit's."""
    level = Level(number)
    known_site = level.by_event.get
    _levels.append(level)

    def say(self: Logger, event: object = "", *args: Any, **fields: Any) -> None:  # noqa: C901, PLR0912 - likewise
        if _level > number:
            return
        frame = _frame(1)
        if args or sys.stdout is not _json_stream:
            self._write(level.severity, event, args, fields, frame)
            return
        try:
            site = known_site(event)
            if site is None or site.at != frame.f_lasti or site.code is not frame.f_code:
                site = level.site(self, event, frame, _entries, _limits)
            head = site.head if event is site.event else f'{site.start}{_entries.message(event)},"time":"'
            shown = {**self.fields, **fields} if self.fields else fields
            heads, text = _entries.heads, ""
            for key in shown:
                value = shown[key]
                if type(value) is not str:
                    text = _entries.longer(text, heads[key], key, value)
                elif len(value) < SHORTEST and value.isascii():
                    text = f"{text}{heads[key]}{escaped(value)}"
                elif len(value) < SHORT and HAS_SIGNS(value) is None:
                    text = f'{text}{heads[key]}"{value}"'
                else:
                    text = _entries.longer(text, heads[key], key, value)
            current, state = _otel_context(), _request()
            if state is None:
                around = _entries.around(current, None)
            else:
                known = state.log_fields
                around = known[1] if known is not None and known[0] is current else _entries.around(current, state)
                if state.bound:
                    refuse(not state.bound.keys().isdisjoint(shown))
            if site.logger != self.name:
                refuse(True)
            when = moment(time_ns())
            line = f'{head}{when}","timestamp":"{when}"{site.tail}{around}{text}}}\n'
        except Exception:  # noqa: BLE001 - the other way takes whatever there is
            self._write(level.severity, event, args, fields, frame)
        else:
            OUTPUT.write(line)

    say.__name__, say.__qualname__, say.__doc__ = name, f"Logger.{name}", doc
    return cast("_Method", say)  # bound to a logger it is one


class Logger:
    """A logger with structlog's calling convention: an event, and what is known about it as keywords.

    Args:
        name: shown as the field ``logger``; may be empty.
        fields: shown on each line.

    Attributes:
        name: as given.
        fields: as given.
    """

    __slots__ = ("fields", "name")

    def __init__(self, name: str = "", fields: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.fields = dict(fields or {})

    def bind(self, **fields: Any) -> Logger:
        """Return a logger that shows these fields on each line, beside those of this one."""
        return Logger(self.name, {**self.fields, **fields})

    def unbind(self, *names: str) -> Logger:
        """Return a logger without these fields."""
        return Logger(self.name, {key: value for key, value in self.fields.items() if key not in names})

    def new(self, **fields: Any) -> Logger:
        """Return a logger with these fields only."""
        return Logger(self.name, fields)

    debug = _method(10, "debug", "Say what only a developer wants to know; arguments as of `info`.")
    info = _method(20, "info", _INFO)
    warn = warning = _method(30, "warning", "Say what may be wrong; arguments as of `info`.")
    error = _method(40, "error", "Say what went wrong; arguments as of `info`.")
    fatal = critical = _method(50, "critical", "Say what stops the service; arguments as of `info`.")

    def exception(self, event: object = "", *args: Any, **fields: Any) -> None:
        """Say what went wrong, with the exception that is being handled; arguments as of `info`."""
        if _level <= logging.ERROR:
            fields = {"exc_info": True, **fields}
            self._write("ERROR", event, args, fields, sys._getframe(1))  # noqa: SLF001

    def log(self, level: int, event: object = "", *args: Any, **fields: Any) -> None:
        """Say it at a level of the standard library."""
        if _level <= level:
            self._write(severity_of(level), event, args, fields, sys._getframe(1))  # noqa: SLF001

    def _write(
        self, severity: str, event: object, args: tuple[Any, ...], fields: dict[str, Any], frame: FrameType
    ) -> None:
        fields = {**self.fields, **fields}
        error = error_of(fields.pop("exc_info", None))
        fields.pop("stack_info", None)
        code = frame.f_code
        write(
            Record(
                severity=severity,
                message=formatted(event, args),
                fields=fields,
                logger=self.name,
                error=error,
                location=(code.co_filename, frame.f_lineno, code.co_qualname),
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
        return f"{text} {json_text(encode('', args, _entries.redactor))}"


def error_of(exc_info: Any) -> BaseException | None:
    """Return the exception that an ``exc_info`` in any of its forms means."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        error = exc_info[1] if len(exc_info) > 1 else None
        return error if isinstance(error, BaseException) else None
    return sys.exception() if exc_info else None


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
