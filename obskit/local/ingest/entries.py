"""Log entries in the JSON of ``entries:write``, as Cloud Logging takes them in."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from obskit.errors import Problem, QueryError
from obskit.local.store import EntryRow, ErrorEvent, Store

__all__ = ["MOST_BYTES", "EntryRefused", "time_ns_of", "write_entries"]

MOST_BYTES: Final = 256 * 1024
"""An entry's most bytes. Source: quotas of Cloud Logging."""

_REPORTED: Final = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
_HAS_STACK: Final = re.compile(r"^Traceback \(most recent call last\):$", re.MULTILINE)


class EntryRefused(QueryError):
    """An entry breaks a rule of Cloud Logging."""


def time_ns_of(text: object) -> int | None:
    """Return nanoseconds since the epoch of an RFC 3339 text, None when it is not one."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", str(text))
    if match is None:
        return None
    seconds = int(datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).timestamp())
    return seconds * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))


def write_entries(
    store: Store,
    entries: Sequence[Mapping[str, Any]],
    *,
    log_name: str = "",
    resource: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Store entries; the keywords are what the request gives to entries that lack it.

    Raises:
        EntryRefused: an entry is too large or has no log name. Nothing has been stored then.
    """
    rows, errors = [], []
    for index, given in enumerate(entries):
        entry = {**given, "labels": {**(labels or {}), **(given.get("labels") or {})}}
        entry.setdefault("logName", log_name)
        entry.setdefault("resource", dict(resource or {"type": "global", "labels": {}}))
        entry = _with_payload_fields(entry)
        _check(entry, index)
        row, error = _row(store, entry)
        rows.append(row)
        errors += [error] if error is not None else []
    store.logs.put(rows)
    for error in errors:
        store.errors.put(error)


def _check(entry: Mapping[str, Any], index: int) -> None:
    place = f"entries[{index}]"
    problems = []
    if not entry.get("logName"):
        problems.append(Problem(place=place, problem="has no logName", way_out="Set logName here or in the request"))
    size = len(json.dumps(entry, ensure_ascii=False, default=str).encode())
    if size > MOST_BYTES:
        problems.append(
            Problem(place=place, problem=f"has {size} bytes, more than {MOST_BYTES}", way_out="Send less in one entry")
        )
    if problems:
        raise EntryRefused(problems)


_SPECIAL: Final = {
    "logging.googleapis.com/trace": "trace",
    "logging.googleapis.com/spanId": "spanId",
    "logging.googleapis.com/trace_sampled": "traceSampled",
    "logging.googleapis.com/sourceLocation": "sourceLocation",
    "logging.googleapis.com/labels": "labels",
    "logging.googleapis.com/insertId": "insertId",
    "logging.googleapis.com/operation": "operation",
    "httpRequest": "httpRequest",
    "severity": "severity",
    "time": "timestamp",
}


def _with_payload_fields(entry: dict[str, Any]) -> dict[str, Any]:
    """Lift the special fields of a structured payload, for senders that do not do it themselves."""
    payload = entry.get("jsonPayload")
    if not isinstance(payload, Mapping) or not any(name in payload for name in _SPECIAL):
        return entry
    kept = dict(payload)
    for name, target in _SPECIAL.items():
        if name in kept and not entry.get(target):
            entry[target] = kept.pop(name)
    entry["jsonPayload"] = kept
    return entry


def _row(store: Store, entry: dict[str, Any]) -> tuple[EntryRow, ErrorEvent | None]:
    trace_id = str(entry.get("trace") or "").rpartition("/")[2]
    real_ns = time_ns_of(entry.get("timestamp")) or time.time_ns()
    shift = store.clock.trace_shift_ns(trace_id, real_ns) if trace_id else store.clock.to_backend_ns(real_ns) - real_ns
    time_ns = real_ns + shift
    payload = entry.get("jsonPayload") or {}
    entry["timestamp"] = _rfc3339(time_ns)
    entry.setdefault("severity", "DEFAULT")
    entry.setdefault("insertId", uuid.uuid4().hex[:16])
    row = EntryRow(
        time_ns=time_ns,
        severity=str(entry["severity"]),
        service=_service(entry, payload),
        message=_message(entry, payload),
        trace_id=trace_id,
        span_id=str(entry.get("spanId") or ""),
        log_name=str(entry["logName"]),
        insert_id=str(entry["insertId"]),
        entry=entry,
    )
    return row, _error(row, entry, payload)


def _rfc3339(time_ns: int) -> str:
    moment = time.gmtime(time_ns // 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{time_ns % 1_000_000_000:09d}Z"


def _service(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    resource = (entry.get("resource") or {}).get("labels") or {}
    context = payload.get("serviceContext") or {}
    return str(
        payload.get("service") or context.get("service") or resource.get("service_name") or resource.get("job") or ""
    )


def _message(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    if entry.get("textPayload") is not None:
        return str(entry["textPayload"])
    message = payload.get("message")
    if message is not None:
        return str(message)
    request = entry.get("httpRequest") or {}
    return f"{request.get('requestMethod', '')} {request.get('requestUrl', '')} {request.get('status', '')}".strip()


def _error(row: EntryRow, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> ErrorEvent | None:
    """Error Reporting makes an event of an entry that is marked as one, or holds a stack trace.

    Source: "Format errors in logs" in Error Reporting's documentation: stack_trace, exception, message, in this order.
    """
    texts = [str(payload.get(name) or "") for name in ("stack_trace", "exception", "message")]
    texts.append(str(entry.get("textPayload") or ""))
    stack = next((text for text in texts if _HAS_STACK.search(text)), "")
    is_marked = payload.get("@type") == _REPORTED
    if not is_marked and not stack:
        return None
    context = payload.get("context") or {}
    service = payload.get("serviceContext") or {}
    return ErrorEvent(
        time_ms=row.time_ns // 1_000_000,
        stack=stack or next((text for text in texts if text), row.message),
        service=str(service.get("service") or row.service),
        version=str(service.get("version") or ""),
        user=str(context.get("user") or payload.get("user_id") or ""),
        trace_id=row.trace_id,
        http=_http(context.get("httpRequest") or entry.get("httpRequest") or {}),
        location=context.get("reportLocation") or {},
    )


def _http(request: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "method": request.get("method") or request.get("requestMethod"),
        "url": request.get("url") or request.get("requestUrl"),
        "user_agent": request.get("userAgent"),
        "referrer": request.get("referrer") or request.get("referer"),
        "status": request.get("responseStatusCode") or request.get("status"),
        "remote_ip": request.get("remoteIp"),
    }
    return {name: value for name, value in found.items() if value}
