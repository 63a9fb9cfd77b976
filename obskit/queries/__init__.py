"""Typed PromQL and Monitoring filters over the metrics of the catalog and of Google.

from obskit.catalog import HTTP_SERVER_DURATION
from obskit.queries import matches, rate, ratio

ratio(
    rate(HTTP_SERVER_DURATION, where={"http.response.status_code": matches("5..")}, window="2m"),
    rate(HTTP_SERVER_DURATION, window="2m"),
) > 0.05
"""

from __future__ import annotations

from obskit.queries.context import EnvVar, RenderContext, env
from obskit.queries.google_metrics import GoogleMetric, known_metric
from obskit.queries.measures import Ask, Measure, google, measure
from obskit.queries.metrics import (
    average,
    growth,
    highest,
    increase,
    latest,
    over_time,
    percentile,
    rate,
    ratio,
    seen,
    share,
)
from obskit.queries.promql import Query, differs, matches, mismatches, promql
from obskit.queries.stacks import PerStack, per_stack

__all__ = [
    "Ask",
    "EnvVar",
    "GoogleMetric",
    "Measure",
    "PerStack",
    "Query",
    "RenderContext",
    "average",
    "differs",
    "env",
    "google",
    "growth",
    "highest",
    "increase",
    "known_metric",
    "latest",
    "matches",
    "measure",
    "mismatches",
    "over_time",
    "per_stack",
    "percentile",
    "promql",
    "rate",
    "ratio",
    "seen",
    "share",
]
