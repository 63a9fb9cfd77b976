"""What is only doubtful about the queries of a definition: said by `obskit check`, and stopping nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    found = [each for text, is_filter in _texts(document) for each in _findings(text, route, is_filter=is_filter)]
    return tuple(
        Problem(place=place, problem=each.problem, way_out=each.way_out)
        for each in dict.fromkeys(found)
        if each.is_note
    )


def _findings(text: str, route: Route, *, is_filter: bool) -> tuple[Finding, ...]:
    return filter_findings(text) if is_filter else promql_findings(text, route)


def _texts(document: object) -> Iterator[tuple[str, bool]]:
    if isinstance(document, Mapping):
        for key, value in document.items():
            if isinstance(value, str) and key in _FILTERS and "metric.type" in value:
                yield value, True
            elif isinstance(value, str) and key in _QUERIES and _is_promql(document):
                yield value, False
            else:
                yield from _texts(value)
    elif isinstance(document, Sequence) and not isinstance(document, str):
        for item in document:
            yield from _texts(item)


def _is_promql(document: Mapping[Any, Any]) -> bool:
    # Beside "query", a condition on PromQL has "evaluationInterval"; one on MQL or SQL has not.
    return "prometheusQuery" in document or "evaluationInterval" in document
