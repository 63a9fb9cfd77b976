"""Log entries, searched by Cloud Logging's filter language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from obskit.engine.log_filters import compile_filter
from obskit.local.store.database import Database, load, plain, text_of

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
_ENTRIES_KEPT: Final = 500_000
_SCANNED: Final = 20_000  # entries that a filter looks at for one page
_AT_ONCE: Final = 2_000


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
    """The newest 500,000 log entries."""

    def __init__(self, database: Database, changed: Callable[[str], None]) -> None:
        self._database = database
        self._changed = changed

    def put(self, entries: Iterable[EntryRow]) -> None:
        """Store entries; one of the same log, time and insertId is there already and is passed over."""
        rows = [
            (
                plain(entry.insert_id),
                entry.time_ns,
                severity_number(entry.severity),
                plain(entry.service),
                plain(entry.trace_id),
                plain(entry.span_id),
                plain(entry.log_name),
                "httpRequest" in entry.entry,
                plain(entry.message),
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
            self._database.keep("entries", _ENTRIES_KEPT)
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
            limit: most entries. With a filter that few entries fit a page may have fewer of them, even none, and
                still a ``next``: 20,000 entries are looked at for one page.

        Raises:
            QueryError: the filter does not parse.
        """
        accepts = compile_filter(filter) if filter.strip() else None
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
            (before, "(time_ns, id) < (SELECT time_ns, id FROM entries WHERE id = ?)", 1),
        ):
            if bound is not None:
                where.append(clause)
                values.append(bound * factor)
        most = limit + 1 if accepts is None else max(limit + 1, _SCANNED)
        sql = f"SELECT * FROM entries WHERE {' AND '.join(where)} ORDER BY time_ns DESC, id DESC LIMIT ?"  # noqa: S608
        rows = self._database.rows(sql, [*values, most])
        found = [row for row in rows if accepts is None or accepts(load(row["body"]))]
        page = found[:limit]
        last = page[-1] if len(found) > limit else rows[-1] if len(rows) == most else None
        return {"entries": [_shown(row) for row in page], "next": None if last is None else last["id"]}

    def entries(
        self,
        *,
        filter: str = "",  # noqa: A002
        limit: int = 50,
        newest_first: bool = False,
    ) -> Sequence[dict[str, Any]]:
        """Return the first entries that fit a filter, in the REST API's JSON and the order of time.

        Raises:
            QueryError: the filter does not parse.
        """
        accepts = compile_filter(filter) if filter.strip() else None
        documents = (load(row["body"]) for row in self._in_order(newest_first=newest_first))
        return list(islice((each for each in documents if accepts is None or accepts(each)), limit))

    def between(self, start_ms: int, end_ms: int) -> Sequence[dict[str, Any]]:
        """Return the entries of ``start_ms < time <= end_ms``, in the REST API's JSON and the order of time."""
        sql = "SELECT body FROM entries WHERE time_ns > ? AND time_ns <= ? ORDER BY time_ns, id"
        return [load(row["body"]) for row in self._database.rows(sql, [start_ms * 1_000_000, end_ms * 1_000_000])]

    def _in_order(self, *, newest_first: bool) -> Iterator[Any]:
        order, sign = ("DESC", "<") if newest_first else ("ASC", ">")
        after = (1 << 62, 0) if newest_first else (-1, 0)
        while True:
            rows = self._database.rows(
                f"SELECT id, time_ns, body FROM entries WHERE (time_ns, id) {sign} (?, ?) "  # noqa: S608
                f"ORDER BY time_ns {order}, id {order} LIMIT ?",
                [*after, _AT_ONCE],
            )
            yield from rows
            if len(rows) < _AT_ONCE:
                return
            after = (rows[-1]["time_ns"], rows[-1]["id"])

    def names(self) -> Sequence[str]:
        """Return the names of the logs that have entries."""
        rows = self._database.rows("SELECT DISTINCT log_name FROM entries ORDER BY log_name")
        return [row["log_name"] for row in rows]

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
    payload = entry.get("jsonPayload") or entry.get("protoPayload") or {}
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
