"""Expressions that take a value out of a log entry: for log-based metrics, and for alerts on log entries.

Source: LogMetric.value_extractor in google.cloud.logging_v2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from obskit.queries.re2 import compiled

__all__ = ["extractor_rules", "label_extractor_rules", "log_filter_rules"]

_EXTRACT: Final = re.compile(r"\s*EXTRACT\(\s*(?P<field>[^,()\s]+)\s*\)\s*")
_REGEXP: Final = re.compile(
    r"""\s*REGEXP_EXTRACT\(\s*(?P<field>[^,()\s]+)\s*,\s*(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\)\s*""",
    re.DOTALL,
)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")
_LONGEST_FILTER: Final = 20_000  # Source: LogMetric.filter
_WAY_OUT: Final = 'Write EXTRACT(jsonPayload.field) or REGEXP_EXTRACT(field, "one (group)")'


def extractor_rules(expression: str) -> Iterator[tuple[str, str]]:
    """Return what is wrong with an extractor expression."""
    if _EXTRACT.fullmatch(expression):
        return
    match = _REGEXP.fullmatch(expression)
    if match is None:
        yield f"{expression!r} is no extractor", _WAY_OUT
        return
    pattern = re.sub(r'\\(["\\\'])', r"\1", match["quoted"][1:-1])
    try:
        groups = compiled(pattern).groups
    except re.error as error:
        yield f"the pattern {pattern!r} does not compile: {error}", "Mend the regular expression (RE2)"
        return
    if groups != 1:
        yield (
            f"the pattern {pattern!r} has {groups} groups, must have one",
            "Put what to take into ( ), any other group into (?: )",
        )


def label_extractor_rules(extractors: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return what is wrong with the extractors of labels."""
    for label, expression in extractors.items():
        if not _LABEL.fullmatch(label):
            yield f'label "{label}" must be letters, digits and _, at most 100', "Give it another name"
        for problem, way_out in extractor_rules(expression):
            yield f"label {label}: {problem}", way_out


def log_filter_rules(text: str) -> Iterator[tuple[str, str]]:
    """Return what is surely wrong with a filter of log entries; Cloud Logging's language is not parsed here."""
    if not text.strip():
        yield (
            "the filter is empty, so every log entry fits",
            'Write for example severity>=ERROR AND resource.type="cloud_run_revision"',
        )
    if len(text) > _LONGEST_FILTER:
        yield f"the filter has {len(text)} characters, at most {_LONGEST_FILTER} are allowed", "Shorten it"
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|--[^\n]*', "", text, flags=re.DOTALL)
    if '"' in bare:
        yield "the filter has a quote that is not closed", "Close the text with a double quote"
    elif bare.count("(") != bare.count(")"):
        yield "the filter has more of one kind of parenthesis than of the other", "Close each one that is opened"
