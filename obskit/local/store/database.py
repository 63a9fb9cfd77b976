"""The SQLite file, or memory, that holds everything but metrics."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["Database", "load", "plain", "text_of"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_span_id TEXT NOT NULL, name TEXT NOT NULL,
    service TEXT NOT NULL, kind TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
    is_error INTEGER NOT NULL, has_ai INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id));
CREATE INDEX IF NOT EXISTS spans_by_start ON spans (start_ns);
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, insert_id TEXT NOT NULL, time_ns INTEGER NOT NULL, severity INTEGER NOT NULL,
    service TEXT NOT NULL, trace_id TEXT NOT NULL, span_id TEXT NOT NULL, log_name TEXT NOT NULL,
    is_access INTEGER NOT NULL, message TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_time ON entries (time_ns);
CREATE INDEX IF NOT EXISTS entries_by_trace ON entries (trace_id) WHERE trace_id <> '';
CREATE UNIQUE INDEX IF NOT EXISTS entries_by_insert ON entries (log_name, time_ns, insert_id) WHERE insert_id <> '';
CREATE TABLE IF NOT EXISTS error_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, group_id TEXT NOT NULL, time_ms INTEGER NOT NULL, service TEXT NOT NULL,
    user TEXT NOT NULL, trace_id TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS error_events_by_group ON error_events (group_id, time_ms);
CREATE TABLE IF NOT EXISTS error_groups (id TEXT PRIMARY KEY, type TEXT NOT NULL, message TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    name TEXT PRIMARY KEY, collection TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_by_collection ON objects (collection, position);
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, started_at_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notifications (
    id TEXT PRIMARY KEY, incident_id TEXT NOT NULL, sent_at_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""


class Database:
    """One connection, shared by all threads under a lock.

    Args:
        path: of the file; None keeps everything in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            ":memory:" if path is None else path, check_same_thread=False, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        with self._lock:
            if path is not None:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection within one transaction."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row, None when there is none."""
        rows = self.rows(sql, values)
        return rows[0][0] if rows else None

    def write(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write many rows in one transaction."""
        with self.writing() as connection:
            connection.executemany(sql, rows)

    def keep(self, table: str, most: int) -> None:
        """Drop the oldest rows of a table beyond `most`, by order of arrival."""
        sql = f"DELETE FROM {table} WHERE rowid <= (SELECT MAX(rowid) FROM {table}) - ?"  # noqa: S608 - our own names
        self.write(sql, [[most]])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def text_of(document: Any) -> str:
    """Return a document as stored."""
    return plain(json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str))


def plain(text: str) -> str:
    """Return a text without halves of surrogate pairs, which JSON can carry and SQLite cannot."""
    return text.encode("utf-8", "replace").decode()


def load(text: str) -> Any:
    """Return a stored document."""
    return json.loads(text)
