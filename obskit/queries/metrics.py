"""The questions one asks of metrics, of the catalog's and of Google's: rate, increase, percentile, ratio, average."""

from __future__ import annotations

from collections.abc import Sequence

from obskit.catalog import Kind, Metric
from obskit.errors import Problem, QueryError, report
from obskit.queries.definitions import caller
from obskit.queries.durations import DurationLike
from obskit.queries.google_metrics import GoogleMetric
from obskit.queries.promql import LabelList, Labels, Query, Selector, labels_of, query, role_of, select
from obskit.queries.stacks import varying

__all__ = [
    "average",
    "growth",
    "highest",
    "increase",
    "latest",
    "over_time",
    "percentile",
    "rate",
    "ratio",
    "seen",
    "share",
]


@varying
def rate(
    metric: Metric | GoogleMetric, *, where: Labels | None = None, by: Sequence[str] | str = (), window: DurationLike
) -> Query:
    """Return how fast a counter, or the count of a histogram, grows, per second.

    Args:
        metric: a counter or histogram: of the catalog, or what `google` returns.
        where: labels that the series must have.
        by: labels to keep; all series add up where none is given.
        window: averaging window; at least two exports must fall into it.
    """
    _needs(metric, Kind.COUNTER, Kind.HISTOGRAM, asked="rate")
    return _sum(metric, by, "rate(", select(metric, where=where, window=window), ")")


@varying
def increase(
    metric: Metric | GoogleMetric,
    *,
    where: Labels | None = None,
    by: Sequence[str] | str = (),
    window: DurationLike,
    offset: DurationLike | None = None,
) -> Query:
    """Return by how much a counter, or the count of a histogram, grew in a window that ended `offset` ago.

    What a series held at its first export is not counted; see `growth` for when that matters.
    """
    _needs(metric, Kind.COUNTER, Kind.HISTOGRAM, asked="increase")
    return _sum(metric, by, "increase(", select(metric, where=where, window=window, offset=offset), ")")


@varying
def growth(
    metric: Metric | GoogleMetric, *, where: Labels | None = None, by: Sequence[str] | str = (), window: DurationLike
) -> Query:
    """Return by how much a counter grew in a window, counting series that were born in it from zero.

    A counter's series begins at its first increment, so Prometheus' ``increase`` never sees that increment:
    the first 429s of a storm, or all that a process of one minute spent. Here, a series that was not seen in the
    hour before the window counts with all that it holds. The price: after a gap in the telemetry of more than an
    hour, a process that lived through it counts once with its whole life.
    """
    _needs(metric, Kind.COUNTER, Kind.HISTOGRAM, asked="growth")
    inside = select(metric, where=where, window=window)
    before = select(metric, where=where, window="1h", offset=window)
    return _sum(
        metric, by, "(max_over_time(", inside, ") unless present_over_time(", before, ")) or increase(", inside, ")"
    )


@varying
def percentile(
    percent: float,
    metric: Metric | GoogleMetric,
    *,
    where: Labels | None = None,
    by: Sequence[str] | str = (),
    window: DurationLike,
) -> Query:
    """Return a percentile of a histogram, in the metric's unit.

    Args:
        percent: above 0, below 100, e.g. 95.
        metric: a histogram: of the catalog, or what `google` returns.
        where: labels that the series must have.
        by: labels to keep.
        window: averaging window; at least two exports must fall into it.
    """
    _needs(metric, Kind.HISTOGRAM, asked="percentile")
    if not 0 < percent < 100:
        _report(f"percentile {percent} is not above 0 and below 100", "Write for example percentile(95, …)")
    labels = LabelList(("le", *labels_of(metric, by)), isinstance(metric, GoogleMetric))
    bucket = select(metric, where=where, window=window, suffix="_bucket")
    return query(f"histogram_quantile({percent / 100:g}, sum by (", labels, ") (rate(", bucket, ")))")


@varying
def average(
    metric: Metric | GoogleMetric, *, where: Labels | None = None, by: Sequence[str] | str = (), window: DurationLike
) -> Query:
    """Return the mean value of a histogram over a window, in the metric's unit."""
    _needs(metric, Kind.HISTOGRAM, asked="average")
    total = _sum(metric, by, "rate(", select(metric, where=where, window=window, suffix="_sum"), ")")
    return total / _sum(metric, by, "rate(", select(metric, where=where, window=window), ")")


def ratio(part: Query, whole: Query) -> Query:
    """Return `part` over `whole`; no series where there is no `part`, NaN (never above anything) where `whole` is 0."""
    return part / whole


@varying
def latest(metric: Metric | GoogleMetric, *, where: Labels | None = None, by: Sequence[str] | str = ()) -> Query:
    """Return the sum of a metric's latest values."""
    return _sum(metric, by, select(metric, where=where))


@varying
def over_time(
    metric: Metric | GoogleMetric,
    how: str,
    *,
    where: Labels | None = None,
    by: Sequence[str] | str = (),
    window: DurationLike,
) -> Query:
    """Return the mean, the highest or the lowest value of a gauge over a window.

    Args:
        metric: a gauge: of the catalog, or what `google` returns.
        how: ``avg``, ``max`` or ``min``, over the window and then over the series.
        where: labels that the series must have.
        by: labels to keep.
        window: over how long.
    """
    _needs(metric, Kind.GAUGE, asked="over_time")
    if how not in {"avg", "max", "min"}:
        _report(f'"{how}" is not among avg, max, min', 'Write for example over_time(metric, "max", window="5m")')
        how = "avg"
    inner = (f"{how}_over_time(", select(metric, where=where, window=window), ")")
    return _reduced(how, metric, by, *inner)


def share(part: Query, whole: Query) -> Query:
    """Return `part` over `whole`, 0 where there is a whole but no such part; for charts, where a gap would mislead."""
    return query("(", part.otherwise(whole * 0), ")") / whole


def highest(of: Query) -> Query:
    """Return the highest of a query's values, as one series."""
    return query("max(", of, ")")


@varying
def seen(
    metric: Metric | GoogleMetric,
    *,
    where: Labels | None = None,
    window: DurationLike,
    offset: DurationLike | None = None,
) -> Query:
    """Return 1 if any series of a metric had a point in a window that ended `offset` ago, else nothing."""
    return query("max(present_over_time(", select(metric, where=where, window=window, offset=offset), "))")


def _sum(metric: Metric | GoogleMetric, by: Sequence[str] | str, *inner: str | Selector) -> Query:
    return _reduced("sum", metric, by, *inner)


def _reduced(how: str, metric: Metric | GoogleMetric, by: Sequence[str] | str, *inner: str | Selector) -> Query:
    kept = LabelList(labels_of(metric, by), isinstance(metric, GoogleMetric))
    head: tuple[str | LabelList, ...] = (f"{how} by (", kept, ") (") if kept.labels else (f"{how}(",)
    return query(*head, *inner, ")")


def _needs(metric: Metric | GoogleMetric, *kinds: Kind, asked: str) -> None:
    role = role_of(metric)
    if role not in kinds:
        _report(
            f"{asked} needs a {' or '.join(kinds)}, {metric.name} is a {role}",
            "Ask another question of it, e.g. latest(…)"
            if role is Kind.GAUGE
            else "Use rate(…), increase(…) or growth(…)",
        )


def _report(problem: str, way_out: str) -> None:
    report(Problem(place=f"{caller()}: query", problem=problem, way_out=way_out), error=QueryError)
