"""Spans, and the traces that they make up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.local.store.database import Database, load, text_of

__all__ = ["SpanRow", "TraceStore"]

_SPANS_KEPT: Final = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRow:
    """One finished span; times in nanoseconds since the epoch on the backend's clock.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_span_id: 16 hex digits, empty for a root.
        kind: ``SERVER``, ``CLIENT``, ``INTERNAL``, ``PRODUCER`` or ``CONSUMER``.
        status_code: ``OK``, ``ERROR`` or ``UNSET``.
        events: each with time_ms, name and attributes.
    """

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str
    service: str = ""
    kind: str = "INTERNAL"
    start_ns: int
    end_ns: int
    status_code: str = "UNSET"
    status_message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()


class TraceStore:
    """The newest 250,000 spans."""

    def __init__(self, database: Database, changed: Callable[[str], None]) -> None:
        self._database = database
        self._changed = changed

    def put(self, spans: Iterable[SpanRow]) -> None:
        """Store spans; one that is there already is replaced."""
        rows = [_row(span) for span in spans]
        if rows:
            self._database.write("INSERT OR REPLACE INTO spans VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)
            self._database.keep("spans", _SPANS_KEPT)
            self._changed("traces")

    def list(
        self,
        *,
        service: str = "",
        query: str = "",
        min_ms: float = 0.0,
        errors_only: bool = False,
        start_ms: int | None = None,
        end_ms: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """Return traces, newest first, and where the next page begins.

        Args:
            service: of any span of the trace.
            query: a trace id, or a part of any span's name.
            min_ms: shortest duration.
            errors_only: only traces with a failed span.
            start_ms: earliest start.
            end_ms: latest start.
            before: what the page before gave as ``next``, in microseconds since the epoch.
            limit: most traces.
        """
        having = ["(MAX(end_ns) - MIN(start_ns)) >= ?"]
        values: list[Any] = [round(min_ms * 1e6)]
        if errors_only:
            having.append("SUM(is_error) > 0")
        if service:
            having.append("SUM(service = ?) > 0")
            values.append(service)
        if query:
            having.append("(trace_id = ? OR SUM(instr(lower(name), ?) > 0) > 0)")
            values += [query.lower(), query.lower()]
        for bound, sign, factor in ((start_ms, ">=", 1_000_000), (end_ms, "<=", 1_000_000), (before, "<", 1000)):
            if bound is not None:
                having.append(f"MIN(start_ns) {sign} ?")
                values.append(bound * factor)
        sql = (
            "SELECT trace_id, MIN(start_ns) AS start_ns, MAX(end_ns) AS end_ns, COUNT(*) AS spans, "  # noqa: S608
            "SUM(is_error) AS errors, MAX(has_ai) AS has_ai, GROUP_CONCAT(DISTINCT service) AS services FROM spans "
            f"GROUP BY trace_id HAVING {' AND '.join(having)} ORDER BY start_ns DESC LIMIT ?"
        )
        rows = self._database.rows(sql, [*values, limit + 1])
        # The next page begins in the microsecond after the first trace that this one leaves out.
        following = rows[limit]["start_ns"] // 1000 + 1 if len(rows) > limit else None
        return {"traces": [self._summary(row) for row in rows[:limit]], "next": following}

    def _summary(self, row: Any) -> dict[str, Any]:
        root = self._database.one(
            "SELECT name FROM spans WHERE trace_id = ? ORDER BY parent_span_id <> '', start_ns LIMIT 1",
            [row["trace_id"]],
        )
        return {
            "trace_id": row["trace_id"],
            "root_name": root,
            "services": sorted(name for name in str(row["services"] or "").split(",") if name),
            "spans": row["spans"],
            "errors": row["errors"],
            "start_ms": row["start_ns"] // 1_000_000,
            "duration_ms": (row["end_ns"] - row["start_ns"]) / 1e6,
            "has_ai": bool(row["has_ai"]),
        }

    def get(self, trace_id: str) -> Sequence[dict[str, Any]]:
        """Return the spans of a trace, oldest first."""
        rows = self._database.rows("SELECT body FROM spans WHERE trace_id = ? ORDER BY start_ns", [trace_id])
        return [load(row["body"]) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return how many spans, server spans, traces, and traces of several services there are."""
        (row,) = self._database.rows(
            "SELECT COUNT(*) AS spans, TOTAL(kind = 'SERVER') AS servers, COUNT(DISTINCT trace_id) AS traces FROM spans"
        )
        crossing = self._database.one(
            "SELECT COUNT(*) FROM (SELECT trace_id FROM spans WHERE service <> '' GROUP BY trace_id "
            "HAVING COUNT(DISTINCT service) > 1)"
        )
        return {
            "spans": row["spans"],
            "server_spans": int(row["servers"]),
            "traces": row["traces"],
            "cross_service_traces": crossing,
        }

    def server_spans_by_service(self) -> dict[str, int]:
        """Return the number of server spans of each service."""
        rows = self._database.rows("SELECT service, COUNT(*) AS n FROM spans WHERE kind = 'SERVER' GROUP BY service")
        return {row["service"]: row["n"] for row in rows}

    def newest(self, service: str) -> dict[str, Any] | None:
        """Return the span of a service that started last, None when it has none."""
        sql = "SELECT body FROM spans WHERE service = ? ORDER BY start_ns DESC LIMIT 1"
        body = self._database.one(sql, [service])
        return None if body is None else dict(load(body))

    def services(self) -> Sequence[str]:
        """Return the services that have spans."""
        rows = self._database.rows("SELECT DISTINCT service FROM spans WHERE service <> '' ORDER BY service")
        return [row["service"] for row in rows]


def _row(span: SpanRow) -> tuple[Any, ...]:
    body = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "name": span.name,
        "service": span.service,
        "kind": span.kind,
        "start_ms": span.start_ns / 1e6,
        "duration_ms": (span.end_ns - span.start_ns) / 1e6,
        "status": {"code": span.status_code, "message": span.status_message},
        "attributes": dict(span.attributes),
        "events": list(span.events),
    }
    has_ai = any(str(name).startswith("gen_ai.") for name in span.attributes)
    return (
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.name,
        span.service,
        span.kind,
        span.start_ns,
        span.end_ns,
        span.status_code == "ERROR",
        has_ai,
        text_of(body),
    )
