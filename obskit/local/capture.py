"""The output of a process as Cloud Run would log it: lines in, log entries out, in batches.

A line that is a JSON object becomes a structured entry whose special fields move to their place in the
entry; every other line becomes text. Source: "Structured logging" and "Special fields in structured
payloads" in Cloud Logging's documentation.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

__all__ = ["EntrySink", "LineForwarder", "LogSource", "entry_from_line", "split_lines"]

MAX_LINE_BYTES: Final = 256 * 1024
"""Largest log entry of Cloud Logging; a longer line is cut into several."""

_SEVERITIES: Final = {
    "DEFAULT": "DEFAULT",
    "DEBUG": "DEBUG",
    "TRACE": "DEBUG",
    "INFO": "INFO",
    "INFORMATION": "INFO",
    "NOTICE": "NOTICE",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERR": "ERROR",
    "ERROR": "ERROR",
    "FATAL": "CRITICAL",
    "CRITICAL": "CRITICAL",
    "ALERT": "ALERT",
    "EMERGENCY": "EMERGENCY",
}
_PREFIX: Final = "logging.googleapis.com/"
# special field → field of the entry, and the type that it must have to be taken for one
_SPECIAL: Final[Mapping[str, tuple[str, type]]] = {
    "httpRequest": ("httpRequest", dict),
    f"{_PREFIX}insertId": ("insertId", str),
    f"{_PREFIX}labels": ("labels", dict),
    f"{_PREFIX}operation": ("operation", dict),
    f"{_PREFIX}sourceLocation": ("sourceLocation", dict),
    f"{_PREFIX}spanId": ("spanId", str),
    f"{_PREFIX}trace": ("trace", str),
    f"{_PREFIX}trace_sampled": ("traceSampled", bool),
}
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)")


class EntrySink(Protocol):
    """Where entries go: a local backend in this process or in another one."""

    def write_entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Store log entries in the JSON form of ``entries:write``.

        Raises:
            OSError: the backend cannot be reached; the same entries may be written again.
        """


class LogSource:
    """What every entry of one process has in common.

    Args:
        project: project id of the log's name.
        service_name: label of the resource `cloud_run_revision`.
        revision: label of the same resource; by default the service's name with ``-local``.
    """

    def __init__(self, *, project: str, service_name: str, revision: str = "") -> None:
        self._project = project
        self._resource = {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": project,
                "service_name": service_name,
                "revision_name": revision or f"{service_name}-local",
                "configuration_name": service_name,
                "location": "local",
            },
        }

    def frame(self, stream: str) -> dict[str, Any]:
        """Return the fields of an entry that came out of ``stdout`` or ``stderr``."""
        return {
            "logName": f"projects/{self._project}/logs/run.googleapis.com%2F{stream}",
            "resource": self._resource,
        }


def entry_from_line(line: bytes, *, frame: Mapping[str, Any], time_ns: int) -> dict[str, Any] | None:
    """Return the log entry of one line, or None for a blank one.

    Args:
        line: the line's bytes, with or without its end.
        frame: what the entries of this stream have in common, see `LogSource.frame`.
        time_ns: when the line was read; used where the line names no time of its own.
    """
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    if not text.strip():
        return None
    entry: dict[str, Any] = {**frame, "timestamp": _rfc3339(time_ns)}
    payload = _json_object(text)
    if payload is None:
        entry["textPayload"] = text
        return entry
    _lift_special_fields(payload, entry)
    if set(payload) == {"message"} and isinstance(payload["message"], str):
        entry["textPayload"] = payload["message"]
    else:
        entry["jsonPayload"] = payload
    return entry


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _lift_special_fields(payload: dict[str, Any], entry: dict[str, Any]) -> None:
    severity = payload.get("severity")
    if isinstance(severity, str):
        del payload["severity"]
        entry["severity"] = _SEVERITIES.get(severity.strip().upper(), "DEFAULT")
    moment = payload.get("time")
    if isinstance(moment, str) and _RFC3339.fullmatch(moment):
        del payload["time"]
        entry["timestamp"] = moment
    for field, (target, kind) in _SPECIAL.items():
        if isinstance(payload.get(field), kind):
            entry[target] = payload.pop(field)


def _rfc3339(time_ns: int) -> str:
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def split_lines(read: Callable[[int], bytes], *, tee: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
    """Yield lines of a byte stream until its end, in memory that a line without an end cannot fill.

    Args:
        read: returns up to that many bytes, as soon as there are some, and none at the end.
        tee: is handed every piece unchanged, before it is split.
    """
    rest = b""
    while chunk := read(65536):
        if tee is not None:
            tee(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        while len(rest) > MAX_LINE_BYTES:
            yield rest[:MAX_LINE_BYTES]
            rest = rest[MAX_LINE_BYTES:]
    if rest:
        yield rest


class LineForwarder:
    """Sends entries to a backend in batches, on its own thread, so that the process never waits for it.

    Attributes:
        sent: entries that the backend has accepted.
        lost: entries that found the queue full, or whose batch was refused or could not be delivered.
        problem: why entries were lost, the last reason; empty when none were.
    """

    BATCH: Final = 500
    LINGER_S: Final = 0.1
    ATTEMPTS: Final = 4

    def __init__(self, sink: EntrySink, *, capacity: int = 20_000) -> None:
        self.sent = 0
        self.lost = 0
        self.problem = ""
        self._sink = sink
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(capacity)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="obskit-forward", daemon=True)
        self._thread.start()

    def submit(self, entry: dict[str, Any]) -> None:
        """Queue one entry; when the queue is full it is dropped and counted."""
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._count_lost(1, "more lines than the backend could take")

    def close(self, timeout_s: float = 5.0) -> bool:
        """Send what is queued and stop; return whether that was done in time and without loss."""
        deadline = time.monotonic() + timeout_s
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            self._count_lost(self._queue.qsize(), "the backend did not take them in time")
            return False
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive() and self.lost == 0

    def _count_lost(self, count: int, why: str) -> None:
        with self._lock:
            self.lost += count
            self.problem = why

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                self._send(batch)

    def _next_batch(self) -> tuple[list[dict[str, Any]], bool]:
        batch: list[dict[str, Any]] = []
        first = self._queue.get()
        if first is None:
            return batch, False
        batch.append(first)
        deadline = time.monotonic() + self.LINGER_S
        while len(batch) < self.BATCH:
            try:
                entry = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if entry is None:
                return batch, False
            batch.append(entry)
        return batch, True

    def _send(self, batch: Sequence[Mapping[str, Any]]) -> None:
        for attempt in range(self.ATTEMPTS):
            try:
                self._sink.write_entries(batch)
            except OSError as error:
                why = str(error)
                time.sleep(0.1 * 2**attempt)
            except Exception as error:  # noqa: BLE001 - whatever the backend finds, the process must go on
                self._count_lost(len(batch), f"{type(error).__name__}: {error}")
                return
            else:
                self.sent += len(batch)
                return
        self._count_lost(len(batch), why)
