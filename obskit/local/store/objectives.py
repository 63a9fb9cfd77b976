"""The series of SLOs beside those that were written: a source for conditions and charts over filters."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from obskit.engine.objectives import Objective
from obskit.engine.selectors import slo_of_metric
from obskit.engine.series import Matcher, Series, TypedSeries
from obskit.errors import Problem, QueryError
from obskit.local.store.metrics import MetricStore
from obskit.local.store.objects import ObjectStore
from obskit.queries.filters import Filter

__all__ = ["ObjectiveSeries"]

_Found = TypeVar("_Found")

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
        listed = self.read(slo, end_ms, lambda objective: objective.series(name, window_s, start_ms, end_ms))
        return [replace(each, metric_type=types[0]) for each in listed]

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the series of PromQL, which knows no SLOs."""
        return self._metrics.select(matchers, start_ms, end_ms)

    def read(self, name: str, end_ms: int, look: Callable[[Objective], _Found]) -> _Found:
        """Return what is found in an SLO with everything counted up to a moment; nobody counts on meanwhile.

        Args:
            name: of the SLO.
            end_ms: the newest moment that `look` asks for.
            look: is given the SLO, and must not keep it.

        Raises:
            UnsupportedError: it cannot be worked out here.
            QueryError: there is none of that name, or one of its filters does not parse.
        """
        document = self._objects.get(name)
        service = self._objects.get(name.partition("/serviceLevelObjectives/")[0]) or {}
        with self._lock:
            if document is None:
                self._known.pop(name, None)
                self._followed.pop(name, None)
                way_out = "Make the SLO first, or mend the name"
                raise QueryError(Problem(place="filter", problem=f"there is no SLO {name}", way_out=way_out))
            objective = self._of(name, document, service)
            self._follow(name, objective, end_ms)
            return look(objective)

    def _follow(self, name: str, objective: Objective, end_ms: int) -> None:
        at = (end_ms, self._metrics.writes)  # a policy asks for several windows at once
        if self._followed.get(name) == at:
            return
        types = {each for one in objective.indicator.filters for each in one.metric_types()}
        settled_ms, late = self._metrics.settled(types)
        objective.follow(self._metrics.list_with_leads, end_ms, settled_ms, late)
        self._followed[name] = at

    def _of(self, name: str, document: Mapping[str, Any], service: Mapping[str, Any]) -> Objective:
        wording = json.dumps([[document.get(field) for field in _FIELDS], service], sort_keys=True)
        known = self._known.get(name)
        if known is None or known[0] != wording:
            self._followed.pop(name, None)
            known = self._known[name] = (wording, Objective(document, service))
        return known[1]
