"""Variables of a dashboard in its queries: what stands in for them when a query is checked."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["filter_without_variables", "promql_without_variables"]

_VARIABLE: Final = re.compile(r"\$\{[^}\s]*\}")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE: Final = re.compile(r"\[\s*\$\{[^}\s]*\}")


def filter_without_variables(filter_text: str) -> str:
    """Return a filter with a comparison for each variable, as the dashboard puts one there."""
    parts = _QUOTED.split(filter_text)
    quoted = _QUOTED.findall(filter_text)
    plain = [_VARIABLE.sub(' metadata.user_labels.any="any" ', piece) for piece in parts]
    return "".join(piece for pair in zip(plain, [*quoted, ""], strict=True) for piece in pair)


def promql_without_variables(query: str) -> str:
    """Return a query with a matcher or a value for each variable, as the dashboard puts one there."""
    pieces = _QUOTED.split(_RANGE.sub("[5m", query))
    quoted = _QUOTED.findall(_RANGE.sub("[5m", query))
    found = plain = ""
    for piece, literal in zip(pieces, [*quoted, ""], strict=True):
        begin = len(plain)
        rest = piece
        while match := _VARIABLE.search(rest):
            plain += rest[: match.start()]
            plain += _standing_in(plain.rstrip())
            rest = rest[match.end() :]
        plain += rest
        found += plain[begin:] + literal
    return found


def _standing_in(before: str) -> str:
    is_matcher = before.rfind("{") > before.rfind("}") and before[-1:] in {"{", ","}
    return 'any="any"' if is_matcher else "1"
