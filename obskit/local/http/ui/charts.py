"""Series for charts: of a Monitoring filter as the Dashboard JSON has it, and of PromQL under pinned filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from obskit.engine.align import aggregate, period_ms
from obskit.engine.conditions import ratio
from obskit.engine.promql import evaluate_range
from obskit.engine.selectors import parsed_filter
from obskit.engine.series import Distribution, Point, Series, TypedSeries
from obskit.local.http.context import backend_of
from obskit.local.http.replies import ApiError, JsonReply, body_of
from obskit.local.http.ui.pinned import Narrowed, pinned_of

__all__ = ["promql", "timeseries"]

MAX_POINTS: Final = 11_000
_REACH_MS: Final = 600_000  # a counter's growth needs the point before the window


async def timeseries(request: Request) -> Response:
    """Answer ``POST /api/timeseries``."""
    body = await body_of(request)
    source = Narrowed(backend_of(request).store.series, pinned_of(body))
    series = await run_in_threadpool(_answer, source, body)
    rows = [row for each in series for row in (_buckets(each) if body.get("has_buckets") else [_shown(each)])]
    return JsonReply({"series": rows})


async def promql(request: Request) -> Response:
    """Answer ``POST /api/promql``: a range query, its series narrowed by pinned filters."""
    body = await body_of(request)
    source = Narrowed(backend_of(request).store.metrics, pinned_of(body))
    found = await run_in_threadpool(evaluate_range, str(body.get("query", "")), source, *_window(body))
    return JsonReply({"series": [_row(each) for each in found if len(each.times_ms)]})


def _row(series: Series) -> dict[str, Any]:
    values = [value if math.isfinite(value) else None for value in series.values]
    return {"labels": dict(series.labels), "points": list(zip(series.times_ms, values, strict=True))}


def _window(body: Mapping[str, Any]) -> tuple[int, int, int]:
    start_ms, end_ms, step_ms = (_whole(body, name) for name in ("start_ms", "end_ms", "step_ms"))
    if start_ms > end_ms or step_ms <= 0 or (end_ms - start_ms) / step_ms > MAX_POINTS:
        raise ApiError(400, f"the window must not be empty, nor hold more than {MAX_POINTS} steps")
    return start_ms, end_ms, step_ms


def _answer(source: Any, body: Mapping[str, Any]) -> Sequence[TypedSeries]:
    window = start_ms, end_ms, step_ms = _window(body)
    if start_ms == end_ms:
        raise ApiError(400, "the window must not be empty")
    if isinstance(query := body.get("timeSeriesFilter"), Mapping):
        found = _filtered(source, query, *window)
    elif isinstance(query := body.get("timeSeriesFilterRatio"), Mapping):
        above, below = (_filtered(source, query.get(side) or {}, *window) for side in ("numerator", "denominator"))
        found = ratio(above, below)
        found = aggregate(found, _widened(query.get("secondaryAggregation"), step_ms), start_ms, end_ms)
    else:
        raise ApiError(400, "the body must have a timeSeriesFilter or a timeSeriesFilterRatio")
    return _picked(found, query.get("pickTimeSeriesFilter") or {})


def _whole(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**53:
        raise ApiError(400, f"{name} must be a number of milliseconds")
    return round(value)


def _filtered(source: Any, query: Mapping[str, Any], start_ms: int, end_ms: int, step_ms: int) -> Sequence[TypedSeries]:
    aggregation = _widened(query.get("aggregation"), step_ms)
    reach_ms = max(_REACH_MS, 2 * period_ms(aggregation))
    found: Sequence[TypedSeries] = source.list_series(
        parsed_filter(str(query.get("filter", ""))), start_ms - reach_ms, end_ms
    )
    found = aggregate(found, aggregation, start_ms, end_ms)
    return aggregate(found, _widened(query.get("secondaryAggregation"), step_ms), start_ms, end_ms)


def _widened(aggregation: Any, step_ms: int) -> dict[str, Any]:
    """A chart never draws more points than it has steps: the period grows to the step."""
    known: dict[str, Any] = dict(aggregation) if isinstance(aggregation, Mapping) else {}
    return {**known, "alignmentPeriod": f"{max(period_ms(known), step_ms) / 1000:g}s"}


_RANKS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "METHOD_MEAN": lambda values: sum(values) / len(values),
    "METHOD_MAX": max,
    "METHOD_MIN": min,
    "METHOD_SUM": sum,
    "METHOD_LATEST": lambda values: values[-1],
}


def _picked(series: Sequence[TypedSeries], pick: Mapping[str, Any]) -> Sequence[TypedSeries]:
    rank = _RANKS.get(str(pick.get("rankingMethod", "")))
    if rank is None or not pick.get("numTimeSeries"):
        return series
    ranked = sorted(
        (each for each in series if each.points),
        key=lambda each: rank([_number(point.value) for point in each.points]),
        reverse=pick.get("direction") != "BOTTOM",
    )
    return ranked[: int(pick["numTimeSeries"])]


def _number(value: float | Distribution) -> float:
    if isinstance(value, Distribution):
        raise ApiError(400, "the filter's values are distributions: align them, for example with ALIGN_PERCENTILE_95")
    return float(value)


def _buckets(series: TypedSeries) -> list[dict[str, Any]]:
    """A distribution as series of cumulative buckets, as PromQL has them."""
    points = [(point, point.value) for point in series.points if isinstance(point.value, Distribution)]
    if len(points) < len(series.points):
        raise ApiError(400, "the filter's values are numbers, not distributions: a heatmap needs distributions")
    rows: dict[float, list[Point]] = {}
    for point, value in points:
        counts = value.bucket_counts or (value.count,)
        for bound, count in zip((*value.bounds, math.inf), accumulate(counts), strict=True):
            rows.setdefault(bound, []).append(replace(point, value=float(count)))
    plain = [(bound, replace(series, points=tuple(rows[bound]))) for bound in sorted(rows)]
    shown = [(bound, _shown(each)) for bound, each in plain]
    return [{**row, "labels": {**row["labels"], "le": _bound(bound)}} for bound, row in shown]


def _bound(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else f"{bound:.6g}"


def _shown(series: TypedSeries) -> dict[str, Any]:
    resource = {name: value for name, value in series.resource_labels.items() if name != "project_id"}
    labels = {**resource, **series.metric_labels}
    return {
        "name": ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) or series.metric_type,
        "labels": labels,
        "unit": series.unit,
        "points": [[point.end_ms, _number(point.value)] for point in series.points],
    }
