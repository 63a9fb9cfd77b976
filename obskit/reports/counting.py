"""What counters have counted, hour by hour and exactly.

Prometheus' ``increase`` estimates: it extrapolates to a window's edges, and never sees what a series holds at its first
point. A report to finance is to be exact, so the counters themselves are read, and their growth is added up here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.catalog import Metric, Route, promql_label, promql_name
from obskit.reports.sources import Monitoring

__all__ = ["HOUR_S", "Counted", "count"]

HOUR_S: Final = 3600
_BEFORE_S: Final = 24 * HOUR_S
"""How far back a counter is looked for that has reported before the first hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one kind of calls has added to a counter.

    Attributes:
        labels: the metric's, and ``service``.
        by_hour: the hour's begin, in seconds since the epoch → the growth in it; hours without any are left out.
    """

    labels: Mapping[str, str]
    by_hour: Mapping[int, float]

    def total(self, start_s: int, end_s: int) -> float:
        """Return the growth from one hour up to another, which is not in it."""
        return sum(value for hour, value in self.by_hour.items() if start_s <= hour < end_s)


def count(
    monitoring: Monitoring, metric: Metric, *, start_s: int, end_s: int, route: Route, service: str = ""
) -> Sequence[Counted]:
    """Return the growth of a counter of the catalog.

    Args:
        monitoring: where to read it.
        metric: the counter.
        start_s: a whole hour, in seconds since the epoch.
        end_s: likewise.
        route: how the metric came there.
        service: only this service's; those of all when empty.

    Raises:
        BackendError: the metrics cannot be read.
    """
    name = promql_name(metric.metric_type(route))
    quoted = service.replace("\\", "\\\\").replace('"', '\\"')
    chosen = f'{{job="{quoted}"}}' if service else ""
    series = monitoring.query_range(
        f"max_over_time({name}{chosen}[1h])", start_s=start_s - _BEFORE_S, end_s=end_s, step_s=HOUR_S
    )
    names = {promql_label(label): label for label in metric.label_names} | {"job": "service"}
    found: dict[tuple[tuple[str, str], ...], dict[int, float]] = {}
    for each in series:
        labels = {names[key]: str(value) for key, value in each["metric"].items() if key in names}
        by_hour = found.setdefault(tuple(sorted(labels.items())), {})
        for hour, grown in _growth(each["values"], first_s=start_s - _BEFORE_S):
            if hour >= start_s:
                by_hour[hour] = by_hour.get(hour, 0.0) + grown
    return [Counted(labels=dict(labels), by_hour=by_hour) for labels, by_hour in found.items()]


def _growth(values: Iterable[Sequence[Any]], *, first_s: int) -> Iterable[tuple[int, float]]:
    before: float | None = None
    for at_s, text in values:
        value = float(text)
        if value != value:  # noqa: PLR0124 - not a number
            continue
        hour = int(float(at_s)) - HOUR_S
        if before is None:
            grown = 0.0 if hour + HOUR_S <= first_s else value  # a counter is born at its first increment
        else:
            grown = value - before if value >= before else value  # it began anew
        before = value
        if grown:
            yield hour, grown
