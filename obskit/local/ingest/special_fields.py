"""Special fields of structured payloads, moved to their place in the entry as the agent on Cloud Run moves them.

Source: "Structured logging" and "Special fields in structured payloads" in Cloud Logging's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from google.cloud.logging_v2.types import LogEntryOperation, LogEntrySourceLocation
from google.logging.type.http_request_pb2 import HttpRequest  # type: ignore[import-untyped]
from google.protobuf import json_format

__all__ = ["lift", "severity_of", "time_ns_of"]

_PREFIX: Final = "logging.googleapis.com/"
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:?\d\d)")
_SEVERITIES: Final = {
    **{name: name for name in ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT")},
    "EMERGENCY": "EMERGENCY",
    "TRACE": "DEBUG",
    "INFORMATION": "INFO",
    "WARN": "WARNING",
    "ERR": "ERROR",
    "FATAL": "CRITICAL",
}
_BY_NUMBER: Final = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")


def time_ns_of(text: object) -> int | None:
    """Return nanoseconds since the epoch of an RFC 3339 text, None when it is not one."""
    match = _TIME.fullmatch(str(text))
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[4].upper().replace('Z', '+00:00')}")
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000 + int((match[3] or "0").ljust(9, "0"))


def severity_of(value: object) -> str | None:
    """Return the severity that a name, in any case, or a number stands for; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _BY_NUMBER[min(max(value, 0) // 100, len(_BY_NUMBER) - 1)]
    return _SEVERITIES.get(value.strip().upper()) if isinstance(value, str) else None


def _text(value: Any) -> Any:
    return value if isinstance(value, str) and value else None


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _labels(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return None
    return {str(key): item if isinstance(item, str) else str(item) for key, item in value.items()}


def _moment(value: Any) -> Any:
    return value if time_ns_of(value) is not None else None


def _shaped(message: type[Any]) -> Callable[[Any], Any]:
    """Return a check that a value has the shape of a message, so that the API can give it back."""

    def check(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return None
        try:
            json_format.ParseDict(dict(value), message(), ignore_unknown_fields=True)
        except (json_format.ParseError, ValueError):
            return None
        return value

    return check


# field of the payload → field of the entry, and what makes of a value what the entry holds, None when it does not fit
_SPECIAL: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "severity": ("severity", severity_of),
    "time": ("timestamp", _moment),
    "httpRequest": ("httpRequest", _shaped(HttpRequest)),
    _PREFIX + "insertId": ("insertId", _text),
    _PREFIX + "labels": ("labels", _labels),
    _PREFIX + "operation": ("operation", _shaped(LogEntryOperation.pb())),
    _PREFIX + "sourceLocation": ("sourceLocation", _shaped(LogEntrySourceLocation.pb())),
    _PREFIX + "spanId": ("spanId", _text),
    _PREFIX + "trace": ("trace", _text),
    _PREFIX + "trace_sampled": ("traceSampled", _flag),
}


def lift(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the entry with its payload's special fields in their place; a field of a wrong shape is left alone.

    What the entry says itself goes before what its payload says, but labels are joined. The other way round, a field
    of the entry that has a wrong shape becomes one of the payload: an entry is never lost for it.
    """
    payload = entry.get("jsonPayload")
    kept = dict(payload) if isinstance(payload, Mapping) else {}
    for name, (target, fitted) in _SPECIAL.items():
        given = entry.pop(target, None)
        own = fitted(given)
        theirs = fitted(kept[name]) if name in kept else None
        if own is None and given not in (None, "", {}):
            kept.setdefault(name, given)
        elif theirs is not None and (own is None or target == "labels"):
            own = {**theirs, **(own or {})} if target == "labels" else theirs
            del kept[name]
        if own is not None:
            entry[target] = own
    _lift_seconds(entry, kept)
    if kept and "textPayload" in entry:
        kept["message"] = entry.pop("textPayload")  # an entry has one payload
    if kept or isinstance(payload, Mapping):
        entry["jsonPayload"] = kept
    return entry


def _lift_seconds(entry: dict[str, Any], payload: dict[str, Any]) -> None:
    """Take the time from ``timestamp: {seconds, nanos}`` or from ``timestampSeconds`` and ``timestampNanos``."""
    if "timestamp" in entry:
        return
    pair = payload.get("timestamp")
    source = pair if isinstance(pair, Mapping) else payload
    names = ("timestampSeconds", "timestampNanos") if source is payload else ("seconds", "nanos")
    seconds, nanos = source.get(names[0]), source.get(names[1], 0)
    if not str(seconds).isdecimal() or not str(nanos).isdecimal() or int(str(seconds)) > 253_402_300_799:
        return
    whole = datetime.fromtimestamp(int(str(seconds)), tz=UTC)
    entry["timestamp"] = f"{whole:%Y-%m-%dT%H:%M:%S}.{int(str(nanos)):09d}Z"
    for name in names if source is payload else ("timestamp",):
        payload.pop(name, None)
