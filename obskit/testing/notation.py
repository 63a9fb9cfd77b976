"""Values as promtool's unit tests write them, and as Python has them.

``1+2x3`` is 1 3 5 7, ``5x2`` is 5 5 5, ``_x3`` is three gaps.
Source: "Unit testing for rules" in Prometheus' documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from obskit.catalog import Metric
from obskit.engine.promql import parse
from obskit.engine.promql.selecting import matchers_of
from obskit.errors import QueryError
from obskit.queries.promql import label_named

__all__ = ["Values", "labels_of", "named_labels", "values_of", "written"]

Values = str | Iterable[float | None]
"""promtool's notation, or numbers; None is a gap."""

MOST_VALUES: Final = 1_000_000

_NUMBER: Final = r"(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|[iI]nf|[nN]a[nN])"
_WORD: Final = re.compile(rf"(?P<first>_|[-+]?{_NUMBER})(?:(?P<sign>[-+])(?P<step>{_NUMBER}))?(?:x(?P<times>\d+))?")


def values_of(given: Values) -> list[float | None]:
    """Return the values, None for a gap.

    Raises:
        ValueError: the notation cannot be read; ``reason | way out``.
        TypeError: there is something else than numbers.
    """
    if not isinstance(given, str):
        return [_number(value) for value in given]
    found: list[float | None] = []
    for word in given.split():
        match = _WORD.fullmatch(word)
        if match is None:
            raise ValueError(_unreadable(word))
        times = int(match["times"] or 0)
        if len(found) + times > MOST_VALUES:
            raise ValueError(f"there are more than {MOST_VALUES:,} values | Make the test shorter or its steps longer")
        if match["first"] == "_":
            found += [None] * (times if match["times"] else 1)
            continue
        step = float(match["step"] or 0) * (-1 if match["sign"] == "-" else 1)
        value = float(match["first"])
        for _ in range(times + 1):  # added up as promtool does, so that the last digits are the same
            found.append(value)
            value += step
    return found


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number | Write numbers, and None for a gap")
    return float(value)


def _unreadable(word: str) -> str:
    if word == "stale":
        return "`stale` cannot be evaluated: Cloud Monitoring has no staleness markers | Write _ for a gap"
    if word.startswith("{{"):
        return "native histograms are not evaluated | Write the series of a classic histogram"
    return f"{word!r} is not promtool's notation | Write for example 0+60x20, 5x3, _x2 or 1 2 3"


def labels_of(selector: str) -> dict[str, str]:
    """Return the labels of a series that is written like ``name{label="value"}``, ``__name__`` among them.

    Raises:
        ValueError: it is no series; ``reason | way out``.
    """
    way_out = 'Write for example requests_total{job="chat"}'
    try:
        node = parse(selector)
        matchers = matchers_of(node)
    except QueryError as error:
        raise ValueError(f"series {selector!r} {error.problems[0].problem} | {way_out}") from error
    except AttributeError:
        raise ValueError(f"{selector!r} is no series | {way_out}") from None
    if any(matcher.op != "=" for matcher in matchers) or node.offset or node.at:
        raise ValueError(f"series {selector!r} has more than a name and labels with values | {way_out}")
    return {matcher.name: matcher.value for matcher in matchers if matcher.value}


def written(values: Sequence[float | None]) -> str:
    """Return values in promtool's notation, the same ones in a row shortened."""
    words: list[str] = []
    position = 0
    while position < len(values):
        value, end = values[position], position
        while end < len(values) and (values[end] is value or values[end] == value):
            end += 1
        end, count = max(end, position + 1), max(1, end - position)
        if value is None:
            words.append(f"_x{count}")
        else:
            words.append(repr(value) if count == 1 else f"{value!r}x{count - 1}")
        position = end
    return " ".join(words)


def named_labels(metric: Metric | str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels by the names that queries have for them; those of Google's metrics are left as they are."""
    if isinstance(metric, str):
        return {name: str(value) for name, value in labels.items()}
    return {label_named(metric, name): str(value) for name, value in labels.items()}
