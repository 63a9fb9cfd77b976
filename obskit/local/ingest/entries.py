"""Log entries in the JSON of ``entries:write``, as Cloud Logging takes them in."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obskit.errors import Problem, QueryError
from obskit.local.ingest.special_fields import lift, time_ns_of
from obskit.local.store import EntryRow, ErrorEvent, Store
from obskit.local.store.database import plain, text_of
from obskit.local.store.errors import has_stack

__all__ = ["MOST_BYTES", "EntryRefused", "http_of", "location_of", "write_entries"]

MOST_BYTES: Final = 256 * 1024
"""An entry's most bytes. Source: quotas of Cloud Logging."""

_REPORTED: Final = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"


class EntryRefused(QueryError):
    """Entries break a rule of Cloud Logging.

    Attributes:
        indices: places of the refused entries in the request.
    """

    def __init__(self, problems: Sequence[Problem], indices: Sequence[int]) -> None:
        super().__init__(problems)
        self.indices = tuple(indices)


def write_entries(
    store: Store,
    entries: Sequence[Mapping[str, Any]],
    *,
    log_name: str = "",
    resource: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    is_partial: bool = False,
) -> None:
    """Store entries.

    Args:
        store: where they go.
        entries: in the JSON of the REST API.
        log_name: of entries that have none of their own.
        resource: of entries that have none of their own.
        labels: that every entry gains, unless it has one of the same name.
        is_partial: store the good entries of a request also when others are refused.

    Raises:
        EntryRefused: an entry is too large, has no log name, or is not an entry at all.
    """
    rows, errors, problems, indices = [], [], [], []
    for index, given in enumerate(entries):
        found = list(_problems(given, f"entries[{index}]", log_name))
        if found:
            problems += found
            indices.append(index)
            continue
        entry = {**given, "labels": {**(labels or {}), **(given.get("labels") or {})}}
        entry["logName"] = str(given.get("logName") or log_name)
        entry["resource"] = _resource(given.get("resource") or resource or {})
        if "textPayload" in given:
            entry["textPayload"] = str(given["textPayload"])
        row, error = _row(store, lift(entry))
        rows.append(row)
        errors += [error] if error is not None else []
    if problems and not is_partial:
        raise EntryRefused(problems, indices)
    store.logs.put(rows)
    if store.log_metrics.count(rows):
        store.changed("metrics")
    for error in errors:
        store.errors.put(error)
    if problems:
        raise EntryRefused(problems, indices)


def _problems(entry: Mapping[str, Any], place: str, log_name: str) -> Iterator[Problem]:
    if not (entry.get("logName") or log_name):
        yield Problem(place=place, problem="has no logName", way_out="Set logName here or in the request")
    if len({"textPayload", "jsonPayload", "protoPayload"} & entry.keys()) > 1:
        yield Problem(place=place, problem="has more than one payload", way_out="Set textPayload or jsonPayload")
    proto = entry.get("protoPayload")
    if isinstance(proto, Mapping) and not proto.get("@type"):
        way_out = "Set @type, or use jsonPayload"
        yield Problem(place=f"{place}.protoPayload", problem="does not say of which type it is", way_out=way_out)
    for name in ("jsonPayload", "protoPayload", "labels", "resource"):
        if not isinstance(entry.get(name) or {}, Mapping):
            yield Problem(place=f"{place}.{name}", problem="is not an object", way_out="Send a JSON object")
    size = _size_bytes(entry)
    if size > MOST_BYTES:
        yield Problem(
            place=place, problem=f"has {size} bytes, more than {MOST_BYTES}", way_out="Send less in one entry"
        )


def _resource(given: Mapping[str, Any]) -> dict[str, Any]:
    labels = {str(name): str(value) for name, value in _table(given.get("labels")).items()}
    return {"type": str(given.get("type") or "global"), "labels": labels}


def _size_bytes(entry: Mapping[str, Any]) -> int:
    """Return the size of what the sender has to say; the frame that every entry of a log shares is not counted."""
    text = str(entry.get("textPayload") or "")
    rest = {name: entry[name] for name in ("jsonPayload", "protoPayload", "httpRequest", "labels") if entry.get(name)}
    return len(plain(text).encode()) + (len(text_of(rest).encode()) if rest else 0)


def _row(store: Store, entry: dict[str, Any]) -> tuple[EntryRow, ErrorEvent | None]:
    trace_id = str(entry.get("trace") or "").rpartition("/")[2]
    real_ns = time_ns_of(entry.get("timestamp")) or time.time_ns()  # no time, or none that can be: when it came
    shift = store.clock.trace_shift_ns(trace_id, real_ns) if trace_id else store.clock.to_backend_ns(real_ns) - real_ns
    time_ns = real_ns + shift
    payload: Mapping[str, Any] = entry.get("jsonPayload") or {}
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
    resource = _table(entry["resource"].get("labels"))
    context = _table(payload.get("serviceContext"))
    return str(
        payload.get("service") or context.get("service") or resource.get("service_name") or resource.get("job") or ""
    )


def _message(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    if entry.get("textPayload") is not None:
        return str(entry["textPayload"])
    message = payload.get("message")
    if message is not None:
        return str(message)
    if proto := _table(entry.get("protoPayload")):  # an audit log's entry: what was done to what, and how it ended
        told = (proto.get("methodName"), proto.get("resourceName"), _table(proto.get("status")).get("message"))
        return " ".join(str(each) for each in told if each)
    request = _table(entry.get("httpRequest"))
    return f"{request.get('requestMethod', '')} {request.get('requestUrl', '')} {request.get('status', '')}".strip()


def _error(row: EntryRow, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> ErrorEvent | None:
    """Error Reporting makes an event of an entry that is marked as one, or holds a stack trace.

    Source: "Format errors in logs" in Error Reporting's documentation: stack_trace, exception, message, in this order.
    """
    texts = [str(payload.get(name) or "") for name in ("stack_trace", "exception", "message")]
    texts.append(str(entry.get("textPayload") or ""))
    stack = next((text for text in texts if has_stack(text)), "")
    is_marked = payload.get("@type") == _REPORTED
    if not is_marked and not stack:
        return None
    context = _table(payload.get("context"))
    service = _table(payload.get("serviceContext"))
    return ErrorEvent(
        time_ms=row.time_ns // 1_000_000,
        stack=stack or next((text for text in texts if text), row.message),
        service=str(service.get("service") or row.service),
        version=str(service.get("version") or ""),
        user=str(context.get("user") or payload.get("user_id") or ""),
        trace_id=row.trace_id,
        http=http_of(_table(context.get("httpRequest")) or _table(entry.get("httpRequest"))),
        location=location_of(_table(context.get("reportLocation"))),
    )


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def location_of(location: Mapping[str, Any]) -> dict[str, Any]:
    """Return file, line and function of a ``reportLocation``."""
    names = {"file": "filePath", "line": "lineNumber", "function": "functionName"}
    return {name: location[key] for name, key in names.items() if location.get(key)}


def http_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as error events show it, in the spelling of Error Reporting or of Cloud Logging."""
    found = {
        "method": request.get("method") or request.get("requestMethod"),
        "url": request.get("url") or request.get("requestUrl"),
        "user_agent": request.get("userAgent"),
        "referrer": request.get("referrer") or request.get("referer"),
        "status": request.get("responseStatusCode") or request.get("status"),
        "remote_ip": request.get("remoteIp"),
    }
    return {name: value for name, value in found.items() if value}
