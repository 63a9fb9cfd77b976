"""Log entries, searched by Cloud Logging's filter language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.local.store import entry_filters
from obskit.local.store.database import Database, load, text_of

__all__ = ["SEVERITIES", "EntryRow", "LogStore", "severity_number"]

SEVERITIES: Final = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
_SCANNED: Final = 20_000  # entries that a filter looks at for one page


def severity_number(name: str) -> int:
    """Return the number of a severity's name; an unknown one is DEFAULT."""
    return SEVERITIES.get(name.upper(), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One log entry.

    Attributes:
        time_ns: nanoseconds since the epoch on the backend's clock.
        severity: one of `SEVERITIES`.
        service: that wrote it.
        trace_id: 32 hex digits, empty outside a trace.
        entry: the LogEntry in the REST API's JSON.
    """

    time_ns: int
    severity: str = "DEFAULT"
    service: str = ""
    message: str = ""
    trace_id: str = ""
    span_id: str = ""
    log_name: str = ""
    insert_id: str = ""
    entry: Mapping[str, Any] = field(default_factory=dict)


class LogStore:
    """All log entries."""

    def __init__(self, database: Database, changed: Callable[[str], None]) -> None:
        self._database = database
        self._changed = changed

    def put(self, entries: Iterable[EntryRow]) -> None:
        """Store entries; one of the same log, time and insertId is there already and is passed over."""
        rows = [
            (
                entry.insert_id,
                entry.time_ns,
                severity_number(entry.severity),
                entry.service,
                entry.trace_id,
                entry.span_id,
                entry.log_name,
                "httpRequest" in entry.entry,
                entry.message,
                text_of(entry.entry),
            )
            for entry in entries
        ]
        if rows:
            self._database.write(
                "INSERT OR IGNORE INTO entries (insert_id, time_ns, severity, service, trace_id, span_id, log_name, "
                "is_access, message, body) VALUES (?,?,?,?,?,?,?,?,?,?)",
                rows,
            )
            self._changed("logs")

    def list(
        self,
        *,
        query: str = "",
        filter: str = "",  # noqa: A002
        severity: str = "",
        service: str = "",
        trace_id: str = "",
        start_ms: int | None = None,
        end_ms: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Return entries in the UI's form, newest first, and where the next page begins.

        Args:
            query: text that the entry must hold, in any case.
            filter: in Cloud Logging's language.
            severity: least severity.
            service: that wrote it.
            trace_id: of the trace.
            start_ms: earliest time.
            end_ms: latest time.
            before: what the page before gave as ``next``.
            limit: most entries.

        Raises:
            QueryError: the filter does not parse.
        """
        accepts = entry_filters.compile_filter(filter) if filter.strip() else None
        where: Any = ["1"]
        values: Any = []
        if severity:
            where.append("severity >= ?")
            values.append(severity_number(severity))
        for column, wanted in (("service", service), ("trace_id", trace_id)):
            if wanted:
                where.append(f"{column} = ?")
                values.append(wanted)
        if query:
            where.append("instr(lower(message || body), ?) > 0")
            values.append(query.lower())
        for bound, clause, factor in (
            (start_ms, "time_ns >= ?", 1_000_000),
            (end_ms, "time_ns <= ?", 1_000_000),
            (before, "id < ?", 1),
        ):
            if bound is not None:
                where.append(clause)
                values.append(bound * factor)
        order = "id DESC" if before is not None else "time_ns DESC, id DESC"
        sql = f"SELECT * FROM entries WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"  # noqa: S608
        rows = self._database.rows(sql, [*values, limit + 1 if accepts is None else _SCANNED])
        found = [row for row in rows if accepts is None or accepts(load(row["body"]))]
        page = found[:limit]
        return {"entries": [_shown(row) for row in page], "next": page[-1]["id"] if len(found) > limit else None}

    def entries(self, *, filter: str = "", limit: int = 50, newest_first: bool = False) -> Sequence[dict[str, Any]]:  # noqa: A002
        """Return entries in the REST API's JSON."""
        accepts = entry_filters.compile_filter(filter) if filter.strip() else None
        order = "DESC" if newest_first else "ASC"
        rows = self._database.rows(f"SELECT body FROM entries ORDER BY time_ns {order}, id {order} LIMIT ?", [_SCANNED])  # noqa: S608
        documents = (load(row["body"]) for row in rows)
        found = [document for document in documents if accepts is None or accepts(document)]
        return found[:limit]

    def counts(self) -> dict[str, int]:
        """Return how many entries, and entries of requests, there are."""
        (row,) = self._database.rows("SELECT COUNT(*) AS n, TOTAL(is_access) AS access FROM entries")
        return {"log_entries": row["n"], "access_entries": int(row["access"])}

    def access_by_service(self) -> dict[str, int]:
        """Return the number of request entries of each service."""
        rows = self._database.rows("SELECT service, COUNT(*) AS n FROM entries WHERE is_access GROUP BY service")
        return {row["service"]: row["n"] for row in rows}


_NAMES: Final = {number: name for name, number in SEVERITIES.items()}
_HIDDEN: Final = frozenset({"message", "severity", "timestamp", "time"})


def _shown(row: Any) -> dict[str, Any]:
    entry = load(row["body"])
    payload = entry.get("jsonPayload") or {}
    return {
        "id": row["id"],
        "time_ms": row["time_ns"] / 1e6,
        "severity": _NAMES.get(row["severity"], "DEFAULT"),
        "service": row["service"],
        "message": row["message"],
        "trace_id": row["trace_id"],
        "span_id": row["span_id"],
        "http": _http(entry.get("httpRequest")),
        "fields": {name: value for name, value in payload.items() if name not in _HIDDEN},
        "log_name": row["log_name"],
    }


def _http(request: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not request:
        return None
    try:
        latency = float(str(request.get("latency") or "0").removesuffix("s")) * 1000
    except ValueError:
        latency = 0.0
    return {
        "method": request.get("requestMethod", ""),
        "url": request.get("requestUrl", ""),
        "status": int(request.get("status") or 0),
        "latency_ms": latency,
    }
