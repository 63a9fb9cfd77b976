"""The raw series that policies read, for a recording that tests play again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import promql_parser as pp

from obskit.backtest.sources import Past
from obskit.engine.promql import parse
from obskit.engine.promql.selecting import matchers_of
from obskit.engine.series import Series
from obskit.queries.checks import lookback, walk

__all__ = ["raw_series", "selectors_of"]


def selectors_of(policy: Mapping[str, Any]) -> tuple[list[str], timedelta]:
    """Return the selectors of a policy's PromQL conditions, and how far back they look."""
    found: dict[str, None] = {}
    far = timedelta(minutes=5)
    for condition in policy.get("conditions") or ():
        query = (condition.get("conditionPrometheusQueryLanguage") or {}).get("query")
        if not query:
            continue
        far = max(far, lookback(query))
        for node in walk(parse(query)):
            if isinstance(node, pp.VectorSelector):
                pairs = [f"{each.name}{each.op}{_quoted(each.value)}" for each in matchers_of(node)]
                found["{" + ",".join(pairs) + "}"] = None
    return list(found), far


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def raw_series(selectors: Sequence[str], past: Past, *, start_ms: int, end_ms: int) -> list[Series]:
    """Return the points of some selectors' series, each series once.

    Raises:
        BackendError: the past cannot be read.
    """
    found: dict[str, Series] = {}
    for selector in selectors:
        for series in past.raw(selector, start_ms, end_ms):
            found[repr(sorted(series.labels.items()))] = series
    return list(found.values())
