"""Log lines: any value as valid JSON, at most 256 KiB a line, and each line written whole."""

from __future__ import annotations

import fcntl
import math
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Mapping
from datetime import date, datetime
from datetime import time as clock_time
from enum import Enum
from json import JSONEncoder
from json.encoder import encode_basestring
from typing import Any, Final

from obskit import catalog
from obskit.signals.redaction import REDACTED, Redactor

__all__ = ["MAX_LINE_BYTES", "Output", "encode", "json_text", "moment", "plain", "quoted"]

MAX_LINE_BYTES: Final = 256 * 1024
"""Largest log entry that Cloud Logging takes. Source: Cloud Logging's quotas, "Size of a LogEntry"."""

_MOST_DEPTH: Final = 6
_MOST_ITEMS: Final = 1000
_MOST_CHARS: Final = 100_000
_PATIENCE_S: Final = 5.0
_encoder: Final = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


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
    return encode_basestring(text if text.isascii() else plain(text))


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
    return _encoder.encode(value)


_moment_cache: tuple[int, str] = (0, "")


def moment(time_ns: int) -> str:
    """Return nanoseconds since the epoch as RFC 3339 in UTC, with microseconds."""
    global _moment_cache
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    known, text = _moment_cache
    if known != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _moment_cache = (seconds, text)
    return f"{text}.{nanos // 1000:06d}Z"


# --------------------------------------------------------------------------- writing


class Output:
    """Standard output, taken as it is at each write, to which lines go whole even when processes share it.

    A pipe takes longer writes in pieces, between which another process may write. A record lock on the
    pipe, which the kernel drops when its holder dies, keeps those of obskit's processes apart.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._stream: Any = None
        self._fd = -1
        self._is_pipe = False
        self._is_torn = False
        self._asked: Any = None
        self._is_terminal = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    @property
    def is_terminal(self) -> bool:
        """Whether a person is looking."""
        stream = sys.stdout
        if stream is not self._asked:
            try:
                self._asked, self._is_terminal = stream, stream.isatty()
            except (AttributeError, ValueError):  # there is none, or it is closed
                return False
        return self._is_terminal

    def write(self, line: str) -> None:
        """Write one line, which ends in a newline, whole. What cannot be written is counted as lost."""
        stream = sys.stdout
        try:
            data = line.encode("utf-8", "replace")
            with self._lock:
                if stream is not self._stream:
                    self._look_at(stream)
                if self._fd >= 0:
                    self._write_fd(stream, data)
                else:
                    self._write_stream(stream, line)
        except (AttributeError, OSError, ValueError):  # there is none, it is closed, or its reader is gone
            _count_lost()

    def _look_at(self, stream: Any) -> None:
        self._stream = stream
        try:
            self._fd = stream.fileno()
            self._is_pipe = stat.S_ISFIFO(os.fstat(self._fd).st_mode)
        except (AttributeError, OSError, ValueError):
            self._fd, self._is_pipe = -1, False

    def _write_fd(self, stream: Any, data: bytes) -> None:
        stream.flush()
        if self._is_torn:
            data = b"\n" + data
        locked = self._is_pipe and _locked(self._fd, fcntl.LOCK_EX)
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                self._write_rest(memoryview(data)[written:])
            self._is_torn = False
        except BlockingIOError:
            self._write_rest(memoryview(data))
        finally:
            if locked:
                _locked(self._fd, fcntl.LOCK_UN)

    def _write_rest(self, rest: memoryview) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        self._is_torn = True
        while rest:
            if not select.select((), (self._fd,), (), max(0.0, deadline - time.monotonic()))[1]:
                raise OSError("standard output takes nothing more")
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                continue
        self._is_torn = False

    @staticmethod
    def _write_stream(stream: Any, line: str) -> None:
        stream.write(line)
        stream.flush()


def _locked(fd: int, how: int) -> bool:
    try:
        fcntl.lockf(fd, how)
    except OSError:  # not every kind of descriptor has locks; the line is then written without
        return False
    return True


def _count_lost() -> None:
    from obskit.signals.metrics import record  # noqa: PLC0415 - metrics log, so they come later

    record(catalog.TELEMETRY_LOST, 1, {"obskit.signal": "logs", "obskit.reason": "not_written"})
