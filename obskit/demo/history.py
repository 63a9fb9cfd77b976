"""A made-up week of AI usage, so that a day can be compared with the days before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from obskit.catalog import AI_COST, AI_TOKENS, Metric, Route
from obskit.llm.prices import price
from obskit.llm.usage import Usage
from obskit.local.store import Descriptor, SeriesKey, Store

__all__ = ["DAILY_TOKENS", "JOB", "STATEMENT", "Counter", "load", "made_up_week"]

JOB: Final = "demo-history"
DAILY_TOKENS: Final = 1_200_000
STATEMENT: Final = f"a week of {DAILY_TOKENS:,} tokens a day is made up, as the past to compare with (job {JOB})"

_DAYS: Final = 8.5  # the alert compares the last day with the seven before it, and wants a point on either side
_STEP_MS: Final = 15 * 60_000
_DAY_MS: Final = 86_400_000
_SHARES: Final = {"input": 0.40, "cached": 0.20, "output": 0.27, "thinking": 0.13}
_LABELS: Final = {
    "gen_ai.operation.name": "generate_content",
    "gen_ai.provider.name": "gcp.gemini",
    "user.tier": "free",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One cumulative series.

    Attributes:
        metric: from the catalog.
        attributes: its labels, by their OpenTelemetry names.
        start_ms: when it was zero, milliseconds since the epoch.
        points: time in milliseconds and value, oldest first.
    """

    metric: Metric
    attributes: Mapping[str, str]
    start_ms: int
    points: tuple[tuple[int, float], ...]


def made_up_week(model: str, *, end_ms: int) -> Iterator[Counter]:
    """Yield the series of tokens by kind, and of their cost, up to a moment.

    Args:
        model: whose tokens they are.
        end_ms: time of the last points, in milliseconds since the epoch.
    """
    start_ms = end_ms - int(_DAYS * _DAY_MS)
    times = range(start_ms + _STEP_MS, end_ms + 1, _STEP_MS)
    labels = {**_LABELS, "gen_ai.request.model": model}
    for kind, share in _SHARES.items():
        points = tuple((time, float(round(_tokens_until(time, start_ms) * share))) for time in times)
        yield Counter(
            metric=AI_TOKENS, attributes={**labels, "obskit.token.kind": kind}, start_ms=start_ms, points=points
        )
    input_, cached, output, thinking = (round(DAILY_TOKENS * share) for share in _SHARES.values())
    day = Usage(input=input_, cached=cached, output=output, thinking=thinking)
    daily_usd = price("gcp.gemini", [model], day)
    if daily_usd is not None:
        costs = tuple((time, daily_usd * _tokens_until(time, start_ms) / DAILY_TOKENS) for time in times)
        yield Counter(metric=AI_COST, attributes=labels, start_ms=start_ms, points=costs)


def load(store: Store, model: str, *, end_ms: int) -> None:
    """Put the made-up week into a store, as Google's exporter would have written it.

    Straight into the store, because no API takes points of last week.
    """
    for counter in made_up_week(model, end_ms=end_ms):
        metric = counter.metric
        labels = {metric.label_key(name, Route.GCP): value for name, value in counter.attributes.items()}
        key = SeriesKey(
            metric.metric_type(Route.GCP),
            tuple(sorted(labels.items())),
            metric.resource_type(Route.GCP),
            (("job", JOB), ("location", "global"), ("namespace", ""), ("task_id", "made-up")),
        )
        descriptor = Descriptor(
            type=metric.metric_type(Route.GCP),
            kind="CUMULATIVE",
            value_type="INT64" if metric.is_int else "DOUBLE",
            unit=metric.unit,
            description=metric.help,
            labels=tuple(labels),
        )
        store.metrics.put(key, descriptor, ((counter.start_ms, time_ms, value) for time_ms, value in counter.points))
    store.changed("metrics")


def _tokens_until(time_ms: int, start_ms: int) -> float:
    """Return the tokens since the start: more by day than by night, the same every day."""
    days = (time_ms - start_ms) / _DAY_MS
    return DAILY_TOKENS * (days + 0.6 / math.tau * (1 - math.cos(math.tau * days)))
