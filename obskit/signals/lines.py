"""Values of log lines: whatever it is, as valid JSON, without its secrets, and of limited size."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import date, datetime
from datetime import time as clock_time
from enum import Enum
from json import JSONEncoder
from json.encoder import encode_basestring as escaped
from typing import Any, Final

from obskit.config import MAX_LINE_BYTES
from obskit.signals.redaction import REDACTED, Redactor

__all__ = ["MAX_LINE_BYTES", "encode", "escaped", "json_text", "moment", "plain", "quoted"]

_MOST_DEPTH: Final = 6
_MOST_ITEMS: Final = 1000
_MOST_CHARS: Final = 100_000
_PATIENCE_S: Final = 5.0
_encoder: Final = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)
# What JSON lets stand as it is, but a terminal may obey, or a reader of lines take for the end of one.
_MORE_CONTROLS: Final = {code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), 0x2028, 0x2029)}


# --------------------------------------------------------------------------- values


def plain(text: str) -> str:
    """Return the text with every lone surrogate replaced, so that it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def quoted(text: str) -> str:
    """Return the text as a JSON string: quotes, control characters and line ends are escaped."""
    return escaped(text) if text.isascii() else escaped(plain(text)).translate(_MORE_CONTROLS)


def described(value: object) -> str:
    """Return `str(value)`, or a note that it failed."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the value's own code, which may do anything
        return f"<{type(value).__name__}: str() raised {type(error).__name__}>"


def encode(key: str, value: Any, redactor: Redactor) -> Any:
    """Return a JSON-safe copy of a field's value, with secrets replaced. Never raises, whatever the value is."""
    try:
        return REDACTED if redactor.hides(key, value) else _safe(value, redactor, (), 0)
    except Exception as error:  # noqa: BLE001 - a mapping or sequence whose own methods raise
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _safe(value: Any, redactor: Redactor, around: tuple[int, ...], depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value, redactor)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _text(hex(value), redactor)
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str | bytes | bytearray):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str.__str__(value)
        return _text(text, redactor)
    if isinstance(value, Enum):
        return _safe(value.value, redactor, around, depth + 1) if depth < _MOST_DEPTH else described(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _nested(value, redactor, around, depth)
    if isinstance(value, datetime | date | clock_time):
        return value.isoformat()
    if isinstance(value, BaseException):
        return _text(f"{type(value).__name__}: {described(value)}", redactor)
    return _text(described(value), redactor)


def _text(text: str, redactor: Redactor) -> str:
    if len(text) > _MOST_CHARS:
        text = f"{text[:_MOST_CHARS]}… ({len(text) - _MOST_CHARS} more characters)"
    return redactor.text(text if text.isascii() else plain(text))


def _nested(value: Any, redactor: Redactor, around: tuple[int, ...], depth: int) -> Any:
    if id(value) in around:
        return "<cycle>"
    if depth >= _MOST_DEPTH:
        return f"<{type(value).__name__}>"
    inside = (*around, id(value))
    if isinstance(value, Mapping):
        fields = {}
        for number, (key, held) in enumerate(value.items()):
            if number >= _MOST_ITEMS:
                fields["…"] = f"{len(value) - _MOST_ITEMS} more"
                break
            name = _text(described(key), redactor)[:200]
            hidden = redactor.hides(name, held)
            fields[name] = REDACTED if hidden else _safe(held, redactor, inside, depth + 1)
        return fields
    items = []
    for number, held in enumerate(value):
        if number >= _MOST_ITEMS:
            items.append(f"… {len(value) - _MOST_ITEMS} more")
            break
        items.append(_safe(held, redactor, inside, depth + 1))
    return items


def json_text(value: Any) -> str:
    """Return JSON-safe data, as `encode` gives it, as JSON."""
    text = _encoder.encode(value)
    return text if text.isascii() else text.translate(_MORE_CONTROLS)


THREE_DIGITS: Final = tuple(f"{number:03d}" for number in range(1000))
"""The texts of 0 to 999; formatting a number costs more."""
_second: tuple[int, str] = (0, "1970-01-01T00:00:00.")


def moment(time_ns: int) -> str:
    """Return nanoseconds since the epoch as RFC 3339 in UTC, with microseconds."""
    begin_ns, text = _second
    micros = (time_ns - begin_ns) // 1000
    if not 0 <= micros < 1_000_000:
        text, micros = _next_second(time_ns)
    return f"{text}{THREE_DIGITS[micros // 1000]}{THREE_DIGITS[micros % 1000]}Z"


def _next_second(time_ns: int) -> tuple[str, int]:
    global _second
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))
    _second = (seconds * 1_000_000_000, text)
    return text, nanos // 1000
