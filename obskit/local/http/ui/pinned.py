"""Filters that a dashboard's reader has pinned: they narrow whatever has their label and does not compare it itself.

Source: "Create and manage variables and pinned filters" in the documentation of Cloud Monitoring.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.engine.series import Matcher, Series, TypedSeries
from obskit.local.http.replies import ApiError
from obskit.queries.filters import Filter

__all__ = ["Narrowed", "Pinned", "pinned_of"]

_SCOPES: Final[Mapping[str, str]] = {
    "RESOURCE_LABEL": "resource",
    "METRIC_LABEL": "metric",
    "USER_METADATA_LABEL": "metadata",
    "SYSTEM_METADATA_LABEL": "metadata",
}


@dataclass(frozen=True, slots=True)
class Pinned:
    """A label and the values that are shown.

    Attributes:
        scope: ``resource``, ``metric`` or ``metadata``; the local backend keeps no metadata, so nothing has the last.
        label: the label's key.
        values: at least one.
    """

    scope: str
    label: str
    values: tuple[str, ...]

    def keeps(self, series: TypedSeries) -> bool:
        """Return whether a series is shown: it has one of the values, or no such label."""
        labels = {"resource": series.resource_labels, "metric": series.metric_labels}.get(self.scope, {})
        return labels.get(self.label, self.values[0]) in self.values

    def matcher(self) -> Matcher:
        """Return the same for PromQL, where a label that is absent counts as empty."""
        return Matcher(name=self.name, op="=~", value="|".join((*map(re.escape, self.values), "")))

    @property
    def name(self) -> str:
        """The label's name in PromQL."""
        return re.sub(r"[^a-zA-Z0-9_]", "_", self.label)


def pinned_of(body: Mapping[str, Any]) -> tuple[Pinned, ...]:
    """Return the pinned filters in the body of a request.

    Raises:
        ApiError: they are not of the form ``[{"filterType": …, "labelKey": …, "values": […]}]``.
    """
    found = body.get("pinned") or []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise ApiError(400, "pinned must be a list of filters")
    return tuple(_pinned(each) for each in found)


def _pinned(document: Mapping[str, Any]) -> Pinned:
    scope, label = (str(document.get(key) or "") for key in ("filterType", "labelKey"))
    values = document.get("values")
    if scope not in _SCOPES or not label or not isinstance(values, list) or not values:
        raise ApiError(400, f"a pinned filter needs labelKey, values, and a filterType of {', '.join(_SCOPES)}")
    return Pinned(_SCOPES[scope], label, tuple(str(value) for value in values))


class Narrowed:
    """A metric store of which only what the pinned filters keep is seen.

    Args:
        source: the metric store.
        pinned: the filters.
    """

    def __init__(self, source: Any, pinned: Sequence[Pinned]) -> None:
        self._source = source
        self._pinned = pinned

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the series that fit, as the store does."""
        compared = {each.name for each in matchers}
        more = [each.matcher() for each in self._pinned if each.scope != "metadata" and each.name not in compared]
        found: Sequence[Series] = self._source.select([*matchers, *more], start_ms, end_ms)
        return found

    def list_series(self, asked: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:
        """Return the series that fit a filter, as the store does."""
        compared = {each.field for each in asked.comparisons()}
        own = [each for each in self._pinned if f"{each.scope}.labels.{each.label}" not in compared]
        found: Sequence[TypedSeries] = self._source.list_series(asked, start_ms, end_ms)
        return [series for series in found if all(each.keeps(series) for each in own)]
