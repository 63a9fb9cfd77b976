"""The filter of a condition: Monitoring's filters, and the selectors of SLOs, whose series are the platform's own.

The series of an SLO are found under the selector's own text, as if that were a metric type: a source works them out, or
a test gives them.
"""

from __future__ import annotations

import re
from typing import Final

from obskit.errors import Problem, QueryError
from obskit.queries import filters
from obskit.queries.backtracking import EXPLOSIVE, EXPLOSIVE_WAY_OUT, is_explosive
from obskit.queries.filters import Filter

__all__ = ["parsed_filter", "slo_metric", "slo_of_metric", "slo_selector"]

# Source: "Retrieving SLO data" in Cloud Monitoring's documentation: select_slo_burn_rate("NAME", "60m") and others.
_SELECTOR: Final = re.compile(
    r'\s*(?P<name>select_slo_\w+)\s*\(\s*"(?P<slo>[^"]+)"\s*(?:,\s*"(?P<window>[^"]+)"\s*)?\)\s*'
)
_METRIC: Final = re.compile(r"(?P<name>select_slo_\w+)\((?P<slo>[^,()]+),(?P<window>\d+)s\)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def slo_selector(text: str) -> tuple[str, str, int] | None:
    """Return function, SLO and window in seconds (0 where there is none) of a selector, None for another filter."""
    match = _SELECTOR.fullmatch(text)
    if match is None:
        return None
    window = match["window"] or "0s"
    number, unit = window[:-1], window[-1]
    seconds = float(number) * _UNITS[unit] if unit in _UNITS and number.replace(".", "", 1).isdigit() else 0.0
    return match["name"], match["slo"], round(seconds)


def slo_metric(name: str, slo: str, window_s: int) -> str:
    """Return the metric type under which the series of a selector are looked for."""
    return f"{name}({slo},{window_s}s)"


def slo_of_metric(metric_type: str) -> tuple[str, str, int] | None:
    """Return function, SLO and window of what `slo_metric` made, None for another metric type."""
    match = _METRIC.fullmatch(metric_type)
    return None if match is None else (match["name"], match["slo"], int(match["window"]))


def parsed_filter(text: str) -> Filter:
    """Return a condition's filter.

    Raises:
        QueryError: it does not parse, or has a regular expression that may take for ever here.
    """
    selector = slo_selector(text)
    if selector is None:
        found = filters.parse(text)
        for leaf in found.comparisons():
            if leaf.op == "monitoring.regex.full_match" and is_explosive(leaf.values[0]):
                problem = f"{EXPLOSIVE}: {leaf.values[0]!r}"
                raise QueryError(Problem(place=f"filter on {leaf.field}", problem=problem, way_out=EXPLOSIVE_WAY_OUT))
        return found
    return filters.parse(f'metric.type="{slo_metric(*selector)}"')
