"""A record as Cloud Logging's JSON: its special fields, who says it and in which trace, and what the app adds."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit.config import Config
from obskit.signals import context as contexts
from obskit.signals.context import RequestState, bound
from obskit.signals.lines import MAX_LINE_BYTES, encode, json_text, moment, plain, quoted
from obskit.signals.redaction import Redactor

__all__ = ["Entries", "Record", "field_name", "is_reported"]

_PREFIX: Final = "logging.googleapis.com/"
# What Cloud Logging, Error Reporting and obskit give a meaning to; a field of the app moves out of the way.
_RESERVED: Final = frozenset(
    {"severity", "message", "time", "timestamp", "timestampSeconds", "timestampNanos", "service", "logger", "trace_id"}
    | {"httpRequest", "stack_trace", "traceback", "exception", "@type", "serviceContext", "endpoint", "latency_ms"}
)
_SPECIAL: Final = frozenset({"exc_info", "stack_info", "environment"})
_LEAST_INT: Final = -(2**63)
_MOST_INT: Final = 2**63 - 1
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_STACK_CHARS: Final = 64_000
_SHORT_CHARS: Final = 1000
_MOST_HEADS: Final = 5000
_MOST_CLEAN: Final = 2000
_MOST_CLEAN_CHARS: Final = 100
MOST_QUICK_CHARS: Final = 8000
"""Longer texts are put together in the way that counts bytes."""
LARGEST_QUICK_BYTES: Final = 128 * 1024
"""Most bytes of the others: message, fields and what is bound, whatever their characters."""
_bound: Final = contexts.BOUND.get


class NotOrdinary(Exception):
    """A line that cannot be put together from known parts."""


def refuse(is_odd: bool) -> None:  # noqa: FBT001 - says whether
    """Raise `NotOrdinary` if so."""
    if is_odd:
        raise NotOrdinary


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


def field_name(key: object) -> str:
    """Return the name under which a field of the app is written: its own, unless that has a meaning already."""
    name = plain(str(key))[:200]
    return f"{name}_" if name in _RESERVED or name.startswith(_PREFIX) else name


def is_reported(error: BaseException) -> bool:
    """Return whether an error report of that exception is out or on its way."""
    return bool(getattr(error, "__obskit_reported__", False))


class _Heads(dict[str, str]):
    """What stands before a field's value, by its name; what is new is made by `make`, and kept if there is room."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make

    def __missing__(self, key: str) -> str:
        head = self._make(key)
        if len(self) < _MOST_HEADS:
            self[key] = head
        return head


class Entries:
    """Makes the JSON of records.

    Args:
        config: the settings in force.
        redactor: knows what is secret.
        max_bytes: says the largest line of a logger, in bytes.
    """

    def __init__(
        self, config: Config, redactor: Redactor, max_bytes: Callable[[str], int] = lambda _: MAX_LINE_BYTES
    ) -> None:
        self.redactor = redactor
        self.heads: dict[str, str] = _Heads(self._head)
        self._clean: dict[str, str] = {}
        self._max_bytes = max_bytes
        self._service = f',"service":{quoted(config.service_name)}'
        self._environment = f',"environment":{quoted(config.environment)}' if config.environment else ""
        self._trace_start = f"projects/{quoted(config.project)[1:-1]}/traces/" if config.project else ""
        self._outside: tuple[Any, Any, str] | None = None

    def use_project(self, project: str) -> None:
        """Name a trace by this project from here on."""
        self._trace_start = f"projects/{quoted(project)[1:-1]}/traces/"

    # ------------------------------------------------------------------ parts that hold for many lines

    def _head(self, key: str) -> str:
        """Return what stands before a field's value.

        Raises:
            NotOrdinary: the field needs a closer look.
        """
        if key in _SPECIAL or field_name(key) != key or self.redactor.is_secret(key):
            raise NotOrdinary
        return f",{quoted(key)}:"

    def longer(self, text: str, head: str, key: str, value: object) -> str:
        """Return the text with one more field, without its secrets.

        Raises:
            NotOrdinary: it is too long by now.
        """
        kind = type(value)
        if kind is str:
            shown = self._clean.get(value) or self._text(value)  # type: ignore[call-overload,arg-type]
        elif kind is int and _LEAST_INT <= value <= _MOST_INT:  # type: ignore[operator]
            shown = str(value)
        else:
            shown = json_text(encode(key, value, self.redactor))
        text = f"{text}{head}{shown}"
        refuse(len(text) > MOST_QUICK_CHARS)
        return text

    def tail(self, logger: str, location: tuple[str, int, str] | None, environment: str | None = None) -> str:
        """Return the JSON after a line's time: who says it, and where in the code."""
        environment = self._environment if environment is None else environment
        named = f',"logger":{quoted(logger)}' if logger else ""
        placed = ""
        if location is not None:
            file, line, function = location
            place = f'{{"file":{quoted(file)},"line":"{line}","function":{quoted(function)}}}'
            placed = f',"{_PREFIX}sourceLocation":{place}'
        return f"{self._service}{named}{environment}{placed}"

    def _text(self, text: str) -> str:
        """Return a text as JSON, and remember it where it holds no secret: ids, names and the like come again."""
        shown = self.text(text)
        if len(text) <= _MOST_CLEAN_CHARS and shown[1:-1] == text:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean[text] = shown
        return shown

    def text(self, text: object) -> str:
        """Return a text as JSON, without its secrets.

        Raises:
            NotOrdinary: it is none.
        """
        if type(text) is not str or len(text) > MOST_QUICK_CHARS:
            raise NotOrdinary
        return quoted(self.redactor.text(text if text.isascii() else plain(text)))

    def message(self, text: object) -> str:
        """Return a message as JSON, likewise, without the line ends after it."""
        return self.text(text.rstrip("\n") if isinstance(text, str) else text)

    def around(self, context: Any, state: RequestState | None) -> str:
        """Return the JSON of the trace and of the bound fields, and remember it where it cannot change.

        Args:
            context: OpenTelemetry's current one.
            state: of the current request, if there is one.
        """
        if state is not None and not state.bound and not _bound():
            trace_id = state.trace_id
            if trace_id and context.get(_SPAN_KEY) is state.span:
                text = (
                    f',"trace_id":"{trace_id}","logging.googleapis.com/trace":"{self._trace_start}{trace_id}"'
                    f',"logging.googleapis.com/spanId":"{state.span_id}"'
                    f',"logging.googleapis.com/trace_sampled":{"true" if state.sampled else "false"}'
                )
            else:
                text = self._trace(context)
            state.log_fields = (context, text)
            return text
        fields = bound()
        if state is None and self._outside is not None and self._outside[0] is context and self._outside[1] is fields:
            return self._outside[2]
        text = self._trace(context)
        is_constant = True
        for key, value in fields.items():
            text += self.field(key, value)
            is_constant = is_constant and type(value) in _SCALARS
        if len(text) > MOST_QUICK_CHARS:
            raise NotOrdinary
        if is_constant and state is not None:
            state.log_fields = (context, text)
        elif is_constant:
            self._outside = (context, fields, text)
        return text

    def field(self, key: object, value: object) -> str:
        """Return one field as JSON, with a comma before it."""
        name = str(key)
        return f",{quoted(field_name(name))}:{json_text(encode(name, value, self.redactor))}"

    def _trace(self, context: Any) -> str:
        """Return the JSON of the current trace, with a comma before it."""
        current = context.get(_SPAN_KEY)
        span = current.get_span_context() if current is not None else None
        if span is None or not span.is_valid:
            return ""
        trace_id = f"{span.trace_id:032x}"
        return (
            f',"trace_id":"{trace_id}","logging.googleapis.com/trace":"{self._trace_start}{trace_id}"'
            f',"logging.googleapis.com/spanId":"{span.span_id:016x}"'
            f',"logging.googleapis.com/trace_sampled":{"true" if span.trace_flags.sampled else "false"}'
        )

    # ------------------------------------------------------------------ one record, whatever is in it

    def line(self, record: Record, time_ns: int) -> str:
        """Return a record as one line of JSON, without its end, of at most as many bytes as its logger may write."""
        message, safe, stack = self.parts(record)
        when = moment(time_ns)
        start = f'{{"severity":"{record.severity}","message":'
        tail = self.tail(record.logger, record.location, "" if "environment" in safe else None)
        known = f',"time":"{when}","timestamp":"{when}"{tail}'
        known += self._trace(otel_context.get_current())
        rest: dict[str, Any] = {}
        if record.error is not None:
            rest["error_type"] = type(record.error).__qualname__
            # Error Reporting makes an event of a field `stack_trace`; an error that is reported already has one.
            rest["traceback" if is_reported(record.error) else "stack_trace"] = stack
        rest |= safe
        most = self._max_bytes(record.logger)
        text = f"{start}{quoted(message)}{known}{_more(rest)}}}"
        if len(text) * 4 < most or len(text.encode()) < most:
            return text
        return _shortened(start, message, known, rest, most - 1)

    def parts(self, record: Record) -> tuple[str, dict[str, Any], str]:
        """Return message, fields and stack of a record, JSON-safe and without secrets."""
        message = self.redactor.text(plain(record.message.rstrip("\n")))
        around = bound()
        fields = {**around, **record.fields} if around else record.fields
        safe = {field_name(key): encode(str(key), value, self.redactor) for key, value in fields.items()}
        return message, safe, self._stack(record.error) if record.error is not None else ""

    def _stack(self, error: BaseException) -> str:
        try:
            text = "".join(traceback.format_exception(error))
        except Exception as problem:  # noqa: BLE001 - an exception whose own methods raise
            text = f"{type(error).__name__} (its traceback could not be written: {type(problem).__name__})"
        if len(text) > _STACK_CHARS:
            text = f"{text[: _STACK_CHARS // 2]}\n…\n{text[-_STACK_CHARS // 2 :]}"
        return self.redactor.text(plain(text))


def _more(fields: Mapping[str, Any]) -> str:
    return f",{json_text(fields)[1:-1]}" if fields else ""


# --------------------------------------------------------------------------- lines that are too long


def _shortened(start: str, message: str, known: str, rest: Mapping[str, Any], most_bytes: int) -> str:
    """Return a line with its texts cut, and said to be: first the message and the stack, then the app's fields too."""
    keep = most_bytes // 2
    while True:
        short = {key: _cut(key, value, keep) for key, value in rest.items()} | {"obskit_truncated": True}
        text = f"{start}{quoted(_cut('message', message, keep))}{known}{_more(short)}}}"
        if len(text.encode()) <= most_bytes:
            return text
        keep //= 2
        if keep < 8:
            return _core(start, message, known, most_bytes)
        if keep < _SHORT_CHARS:
            rest = {key: value for key, value in rest.items() if key in {"error_type", "stack_trace", "traceback"}}


def _core(start: str, message: str, known: str, most_bytes: int) -> str:
    """Return a line of its message's beginning only, however few bytes there are."""
    end = f'{known},"obskit_truncated":true}}'
    for keep in (most_bytes - len((start + end).encode()) - 40, 0):
        text = f"{start}{quoted(_ascii_start(message, keep))}{end}"
        if len(text.encode()) <= most_bytes:
            return text
    return f'{start}"…"{known.split(",", 3)[0]},"obskit_truncated":true}}'


def _ascii_start(text: str, most: int) -> str:
    return "".join(char for char in text[: max(0, most)] if " " <= char <= "~" and char not in '"\\')


def _cut(key: str, value: Any, keep: int) -> Any:
    most = keep if key in {"message", "stack_trace", "traceback"} else min(keep, _SHORT_CHARS)
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}… (truncated)"
    if not isinstance(value, dict | list):
        return value
    text = json_text({"": value})
    return value if len(text) <= most else f"{text[4:most]}… (truncated)"
