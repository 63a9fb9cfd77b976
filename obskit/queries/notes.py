"""What is only doubtful about the queries of a definition: said by `obskit check`, and stopping nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from obskit.catalog import Route
from obskit.errors import Problem
from obskit.queries.checks import promql_findings
from obskit.queries.filter_checks import filter_findings
from obskit.queries.series import Finding

__all__ = ["doubts"]

_FILTERS: Final = frozenset({"filter", "denominatorFilter"})
_QUERIES: Final = frozenset({"prometheusQuery", "query"})


def doubts(document: object, *, place: str, route: Route) -> tuple[Problem, ...]:
    """Return the doubts about every filter and PromQL query in a rendered definition.

    Args:
        document: a definition's REST form.
        place: of the definition.
        route: the export route that it was rendered for.
    """
    texts: list[tuple[str, bool]] = []
    _collect(document, texts)
    found = [each for text, is_filter in texts for each in _findings(text, route, is_filter=is_filter)]
    return tuple(
        Problem(place=place, problem=each.problem, way_out=each.way_out)
        for each in dict.fromkeys(found)
        if each.is_note
    )


def _findings(text: str, route: Route, *, is_filter: bool) -> tuple[Finding, ...]:
    return filter_findings(text) if is_filter else promql_findings(text, route)


def _collect(document: object, found: list[tuple[str, bool]]) -> None:
    """Add each filter and PromQL query of a document, and whether it is a filter."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if not isinstance(value, str):
                _collect(value, found)
            elif key in _FILTERS and "metric.type" in value:
                found.append((value, True))
            elif key in _QUERIES and _is_promql(document):
                found.append((value, False))
    elif isinstance(document, list | tuple):
        for item in document:
            _collect(item, found)


def _is_promql(document: Mapping[Any, Any]) -> bool:
    # Beside "query", a condition on PromQL has "evaluationInterval"; one on MQL or SQL has not.
    return "prometheusQuery" in document or "evaluationInterval" in document
