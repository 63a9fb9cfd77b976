"""Log-based metrics, counted as entries come in."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.engine.conditions import UnsupportedError
from obskit.engine.log_metrics import LogMetric
from obskit.errors import QueryError
from obskit.local.clock import Clock
from obskit.local.store.logs import EntryRow
from obskit.local.store.metrics import Descriptor, MetricStore, SeriesKey
from obskit.local.store.objects import ObjectStore

__all__ = ["LogMetrics"]

_logger = logging.getLogger(__name__)

_MINUTE_MS: Final = 60_000
# Source: "Log-based metrics overview", entries whose time is further away are not counted.
_OLDEST_MS: Final = 24 * 3_600_000
_NEWEST_MS: Final = 600_000
_MOST_SERIES: Final = 30_000  # Source: quotas of Cloud Logging, time series of a log-based metric
_COUNTED: Final = ("filter", "metricDescriptor", "valueExtractor", "labelExtractors", "bucketOptions", "disabled")


@dataclass(slots=True)
class _Known:
    """A metric as it was read, None while it cannot be or is disabled."""

    wording: str
    metric: LogMetric | None = None
    error: str = ""
    is_unsupported: bool = False
    counted: Counter[str] = field(default_factory=Counter)
    series: set[SeriesKey] = field(default_factory=set)


class LogMetrics:
    """Counts entries for the log-based metrics that there are. Safe for threads.

    Args:
        objects: has the metrics.
        metrics: where their points go: one a minute and series, in which something was counted.
        clock: the backend's clock.
        most_series: how many a metric may have; entries that would make more of them are not counted.
    """

    def __init__(
        self, objects: ObjectStore, metrics: MetricStore, clock: Clock, *, most_series: int = _MOST_SERIES
    ) -> None:
        self._most_series = most_series
        self._objects = objects
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.RLock()
        self._known: dict[str, _Known] = {}
        self._is_stale = True

    def objects_changed(self) -> None:
        """Read the metrics anew before the next entry is counted."""
        self._is_stale = True

    def count(self, rows: Iterable[EntryRow]) -> bool:
        """Count entries for every metric that they fit, and return whether there was any."""
        found = False
        with self._lock:
            self._refresh()
            counting = [known for known in self._known.values() if known.metric is not None]
            for row in rows if counting else ():
                for known in counting:
                    found = self._count(known, row) or found
        return found

    def states(self) -> Sequence[dict[str, Any]]:
        """Return each metric with how many entries it has counted since the start, and why not all or none."""
        with self._lock:
            self._refresh()
            return [
                {
                    "name": name,
                    "state": _state(known),
                    "error": known.error,
                    "entries": known.counted.total(),
                }
                for name, known in self._known.items()
            ]

    def _count(self, known: _Known, row: EntryRow) -> bool:
        metric, at_ms = known.metric, row.time_ns // 1_000_000
        now_ms = self._clock.now_ms()
        if metric is None or not now_ms - _OLDEST_MS <= at_ms <= now_ms + _NEWEST_MS:
            return False
        counted = metric.counts(row.entry)
        if counted is None:
            return False
        labels, value = counted
        resource = row.entry.get("resource") or {}
        key = SeriesKey(
            metric.type, _pairs(labels), str(resource.get("type") or "global"), _pairs(resource.get("labels") or {})
        )
        if not self._has_room(known, key):
            return False
        end_ms = -(-(at_ms + 1) // _MINUTE_MS) * _MINUTE_MS
        self._metrics.grow(key, _descriptor(metric), end_ms - _MINUTE_MS, end_ms, value)
        known.counted[metric.type] += 1
        return True

    def _has_room(self, known: _Known, key: SeriesKey) -> bool:
        if key not in known.series:
            if len(known.series) >= self._most_series:
                if not known.error:
                    known.error = (
                        f"it has {self._most_series} series, and counts no entry that would make another: "
                        "extract labels that have few values"
                    )
                    _logger.warning("%s: %s", key.metric_type, known.error)
                return False
            known.series.add(key)
        return True

    def _refresh(self) -> None:
        if not self._is_stale:
            return
        self._is_stale = False
        documents = {str(each["name"]): each for each in self._objects.list("metrics")}
        for name in [name for name in self._known if name not in documents]:
            del self._known[name]
        for name, document in documents.items():
            wording = json.dumps([document.get(key) for key in _COUNTED], sort_keys=True)
            if name not in self._known or self._known[name].wording != wording:
                self._known[name] = self._read(document, wording)

    def _read(self, document: Mapping[str, Any], wording: str) -> _Known:
        try:
            metric = LogMetric.of(document)
        except QueryError as error:
            _logger.warning("%s counts nothing: %s", document["name"], error)
            return _Known(wording, error=str(error), is_unsupported=isinstance(error, UnsupportedError))
        self._metrics.redescribe(_descriptor(metric))
        return _Known(wording, metric=None if document.get("disabled") else metric)


def _state(known: _Known) -> str:
    if known.error and known.metric is not None:
        return "limited"
    if known.error:
        return "unsupported" if known.is_unsupported else "error"
    return "ok" if known.metric is not None else "disabled"


def _pairs(labels: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(value)) for name, value in labels.items()))


def _descriptor(metric: LogMetric) -> Descriptor:
    return Descriptor(
        type=metric.type,
        kind="DELTA",
        value_type="DISTRIBUTION" if metric.is_distribution else "INT64",
        unit=metric.unit,
        description=metric.description,
        labels=tuple(sorted(metric.label_types)),
        label_texts={name: (kind, "") for name, kind in metric.label_types.items()},
    )
