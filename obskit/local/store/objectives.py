"""The series of SLOs beside those that were written: a source for conditions and charts over filters."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from obskit.engine.objectives import Objective
from obskit.engine.selectors import slo_of_metric
from obskit.engine.series import Matcher, Series, TypedSeries
from obskit.errors import Problem, QueryError
from obskit.local.store.metrics import MetricStore
from obskit.local.store.objects import ObjectStore
from obskit.queries.filters import Filter

__all__ = ["ObjectiveSeries"]

_FIELDS: Final = ("serviceLevelIndicator", "goal", "rollingPeriod", "calendarPeriod", "displayName")


class ObjectiveSeries:
    """Series of filters, those of SLOs among them, worked out from what was written. Safe for threads.

    Args:
        metrics: what was written.
        objects: has the SLOs and their services.
    """

    def __init__(self, metrics: MetricStore, objects: ObjectStore) -> None:
        self._metrics = metrics
        self._objects = objects
        self._lock = threading.RLock()
        self._known: dict[str, tuple[str, Objective]] = {}
        self._followed: dict[str, tuple[int, int]] = {}

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the series that fit a filter, or those of an SLO's selector, with their points of the window.

        Raises:
            UnsupportedError: the SLO cannot be worked out here; the message has the reason.
            QueryError: there is no such SLO.
        """
        types = filter.metric_types()
        selector = slo_of_metric(types[0]) if len(types) == 1 else None
        found = self._metrics.list_series(filter, start_ms, end_ms)
        if selector is None or found:
            return found
        name, slo, window_s = selector
        with self._lock:
            objective = self.objective(slo, end_ms)
            return [replace(each, metric_type=types[0]) for each in objective.series(name, window_s, start_ms, end_ms)]

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the series of PromQL, which knows no SLOs."""
        return self._metrics.select(matchers, start_ms, end_ms)

    def objective(self, name: str, end_ms: int) -> Objective:
        """Return an SLO with everything counted up to a moment.

        Raises:
            UnsupportedError: it cannot be worked out here.
            QueryError: there is none of that name, or one of its filters does not parse.
        """
        document = self._objects.get(name)
        if document is None:
            way_out = "Make the SLO first, or mend the name"
            raise QueryError(Problem(place="filter", problem=f"there is no SLO {name}", way_out=way_out))
        service = self._objects.get(name.partition("/serviceLevelObjectives/")[0]) or {}
        with self._lock:
            objective = self._of(name, document, service)
            at = (end_ms, self._metrics.writes)  # a policy asks for several windows at once
            if self._followed.get(name) == at:
                return objective
            types = {each for one in objective.indicator.filters for each in one.metric_types()}
            settled_ms, late = self._metrics.settled(types)
            objective.follow(self._metrics.list_with_leads, end_ms, settled_ms, late)
            self._followed[name] = at
            return objective

    def _of(self, name: str, document: Mapping[str, Any], service: Mapping[str, Any]) -> Objective:
        wording = json.dumps([[document.get(field) for field in _FIELDS], service], sort_keys=True)
        known = self._known.get(name)
        if known is None or known[0] != wording:
            self._followed.pop(name, None)
            known = self._known[name] = (wording, Objective(document, service))
        return known[1]
