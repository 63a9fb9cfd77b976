"""Typed PromQL and Monitoring filters over catalog metrics.

from obskit.catalog import HTTP_SERVER_DURATION
from obskit.queries import matches, rate, ratio

ratio(
    rate(HTTP_SERVER_DURATION, where={"http.response.status_code": matches("5..")}, window="2m"),
    rate(HTTP_SERVER_DURATION, window="2m"),
) > 0.05
"""

from __future__ import annotations

from obskit.queries.context import EnvVar, RenderContext, env
from obskit.queries.metrics import average, growth, highest, increase, latest, percentile, rate, ratio, seen, share
from obskit.queries.promql import Query, differs, matches, mismatches, promql
from obskit.queries.stacks import PerStack, per_stack

__all__ = [
    "EnvVar",
    "PerStack",
    "Query",
    "RenderContext",
    "average",
    "differs",
    "env",
    "growth",
    "highest",
    "increase",
    "latest",
    "matches",
    "mismatches",
    "per_stack",
    "percentile",
    "promql",
    "rate",
    "ratio",
    "seen",
    "share",
]
