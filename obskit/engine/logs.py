"""The condition on log entries: each one that fits a filter is a violation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from obskit.engine.conditions import Measurement, UnsupportedError, key_of
from obskit.engine.log_filters import compile_filter, values_at
from obskit.engine.series import SeriesSource, TimeSeriesSource
from obskit.errors import Problem, QueryError
from obskit.queries.backtracking import EXPLOSIVE, EXPLOSIVE_WAY_OUT, is_explosive
from obskit.queries.re2 import compiled

__all__ = ["Entry", "LogMatch", "LogSource", "MemoryLogs", "extractor_of"]

Entry = Mapping[str, Any]

_INTERVAL_MS: Final = 30_000  # the platform looks at each entry as it comes
_EXTRACTOR: Final = re.compile(r"\s*(REGEXP_EXTRACT|EXTRACT)\s*\((.*)\)\s*", re.DOTALL | re.IGNORECASE)
_QUOTED: Final = re.compile(r"""\\(["'\\])""")
_WITH_PATTERN: Final = re.compile(
    r'\s*(?P<field>.+?)\s*,\s*r?(?P<quoted>"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')\s*', re.DOTALL
)


class LogSource(Protocol):
    """Where log conditions find their entries."""

    def between(self, start_ms: int, end_ms: int) -> Sequence[Entry]:
        """Return the entries of ``start_ms < time <= end_ms`` as LogEntry in the REST API's JSON."""


class MemoryLogs:
    """Entries held in memory: milliseconds since the epoch, and the entry."""

    def __init__(self, entries: Sequence[tuple[int, Entry]] = ()) -> None:
        self._entries = sorted(entries, key=lambda pair: pair[0])

    def between(self, start_ms: int, end_ms: int) -> Sequence[Entry]:
        """Return the entries of the window."""
        return [entry for at_ms, entry in self._entries if start_ms < at_ms <= end_ms]


@dataclass(slots=True)
class LogMatch:
    """Entries that fit a filter. What labels are extracted from them tells one incident from another."""

    name: str
    display_name: str
    accepts: Callable[[Entry], bool]
    extractors: Mapping[str, Callable[[Entry], str]]
    duration_ms: int = 0
    interval_ms: int = _INTERVAL_MS
    threshold: float | None = None
    closes_without_data: bool = False  # an incident stays until nothing has fitted for as long as autoClose says
    _seen_ms: int | None = field(default=None)

    @classmethod
    def of(cls, name: str, display: str, body: Mapping[str, Any]) -> LogMatch:
        """Return the condition of a ``LogMatch``.

        Raises:
            QueryError: the filter or a label's extractor does not parse.
        """
        text = str(body.get("filter") or "")
        if not text.strip():
            way_out = "Write for example severity>=ERROR"
            raise QueryError(Problem(place=f'condition "{display}"', problem="it has no filter", way_out=way_out))
        extractors = {
            str(label): extractor_of(f'label "{label}"', str(expression), f'condition "{display}"')
            for label, expression in (body.get("labelExtractors") or {}).items()
        }
        return cls(name, display, compile_filter(text), extractors)

    def measure(
        self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource, logs: LogSource | None = None
    ) -> Sequence[Measurement]:
        """Return how many entries fitted since the last time, for each combination of extracted labels."""
        del series, typed
        since_ms = now_ms - self.interval_ms if self._seen_ms is None else self._seen_ms
        self._seen_ms = now_ms
        found: dict[tuple[tuple[str, str], ...], list[Any]] = {}
        for entry in () if logs is None else logs.between(since_ms, now_ms):
            if self.accepts(entry):
                labels = {label: extract(entry) for label, extract in self.extractors.items()}
                found.setdefault(key_of(labels), [labels, 0])[1] += 1
        return [Measurement(labels=labels, value=float(count), is_violating=True) for labels, count in found.values()]

    def is_met(self, violating: int, known: int) -> bool:
        """Return whether any entry fitted."""
        del known
        return violating > 0


def extractor_of(subject: str, expression: str, place: str) -> Callable[[Entry], str]:
    """Return what takes a text from an entry, an empty one where there is none.

    Args:
        subject: what the text is for, for messages.
        expression: ``EXTRACT(field)`` or ``REGEXP_EXTRACT(field, "(group)")``.
        place: of the expression, for messages.

    Raises:
        UnsupportedError: its pattern may take for ever.
        QueryError: it is neither.

    Source: "Labels extracted from log entries", and LogMetric.value_extractor.
    """
    whole = _EXTRACTOR.fullmatch(expression)
    with_pattern = _WITH_PATTERN.fullmatch(whole[2]) if whole else None
    try:
        if whole and whole[1].upper() == "EXTRACT":
            return _field(whole[2].strip(), None)
        if with_pattern:
            pattern = _QUOTED.sub(r"\1", with_pattern["quoted"][1:-1])
            if is_explosive(pattern):
                problem = f"{subject}: {EXPLOSIVE}"
                raise UnsupportedError(Problem(place=place, problem=problem, way_out=EXPLOSIVE_WAY_OUT))
            return _field(with_pattern["field"], compiled(pattern))
    except re.error as error:
        problem = f"{subject}: the regular expression does not compile: {error}"
    else:
        problem = f"{subject}: {expression!r} is no extractor"
    way_out = 'Write EXTRACT(jsonPayload.user) or REGEXP_EXTRACT(textPayload, "code=(\\\\d+)")'
    raise QueryError(Problem(place=place, problem=problem, way_out=way_out))


def _field(path: str, pattern: re.Pattern[str] | None) -> Callable[[Entry], str]:
    def extract(entry: Entry) -> str:
        text = next((_text(value) for value in values_at(entry, path)), "")
        if pattern is None:
            return text
        match = pattern.search(text)
        return "" if match is None else match[1] if pattern.groups else match[0]

    return extract


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
