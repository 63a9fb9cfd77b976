"""Everything that the local backend holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from obskit.local.clock import Clock
from obskit.local.faults import Faults
from obskit.local.store.database import Database, load, text_of
from obskit.local.store.deltas import Deltas
from obskit.local.store.errors import ErrorEvent, ErrorStore
from obskit.local.store.incidents import IncidentStore, NotificationStore
from obskit.local.store.log_metrics import LogMetrics
from obskit.local.store.logs import EntryRow, LogStore
from obskit.local.store.metrics import Descriptor, MetricStore, SeriesKey
from obskit.local.store.objectives import ObjectiveSeries
from obskit.local.store.objects import ObjectStore
from obskit.local.store.traces import SpanRow, TraceStore

__all__ = ["Descriptor", "EntryRow", "ErrorEvent", "SeriesKey", "SpanRow", "Store"]

_log = logging.getLogger(__name__)


class Store:
    """Telemetry and objects; metrics in memory, everything else in SQLite. Safe for threads.

    Args:
        clock: the backend's clock.
        path: folder in which everything survives a restart; None keeps it in memory.
        project: the project that series belong to.
        is_saved: whether the metrics are written to the folder when it is closed; not by who only reads them.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        path: Path | str | None = None,
        project: str = "local-project",
        *,
        is_saved: bool = True,
    ) -> None:
        self.clock = clock or Clock()
        self.project = project
        self._database = Database(None if path is None else Path(path) / "obskit.sqlite")
        self._is_kept = path is not None and is_saved
        self._listeners: list[Callable[[set[str]], None]] = []
        self._lock = threading.Lock()
        self.metrics = MetricStore(project, now_ms=self.clock.now_ms)
        self.deltas = Deltas()
        self.faults = Faults()
        self.traces = TraceStore(self._database, self.changed)
        self.logs = LogStore(self._database, self.changed)
        self.errors = ErrorStore(self._database, self.changed)
        self.objects = ObjectStore(self._database, self.changed)
        self.series = ObjectiveSeries(self.metrics, self.objects)
        self.log_metrics = LogMetrics(self.objects, self.metrics, self.clock)
        self.incidents = IncidentStore(self._database, self.changed)
        self.notifications = NotificationStore(self._database, self.changed)
        for row in self._database.rows("SELECT body FROM series"):
            self.metrics.restore(load(row["body"]))
        self.log_metrics.count(())  # so that they are described before the first entry

    def subscribe(self, listener: Callable[[set[str]], None]) -> None:
        """Tell `listener` of changes: some of traces, logs, metrics, errors, incidents, notifications, objects."""
        with self._lock:
            self._listeners.append(listener)

    def changed(self, kind: str) -> None:
        """Tell everybody that something of a kind has changed."""
        if kind == "objects":
            self.log_metrics.objects_changed()
        for listener in tuple(self._listeners):
            try:
                listener({kind})
            except Exception:  # noqa: BLE001 - one listener's bug must not lose another's telemetry
                _log.exception("a listener failed")

    def close(self) -> None:
        """Save the metrics where a folder was given, and close the database."""
        if self._is_kept:
            with self._database.writing() as connection:
                connection.execute("DELETE FROM series")
                rows = ((text_of(row),) for row in self.metrics.dump())
                connection.executemany("INSERT INTO series (body) VALUES (?)", rows)
        self._database.close()
