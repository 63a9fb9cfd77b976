"""A test's timeline as text: what was expected, and what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from obskit.testing.expectations import Expectation, OpenAt, OpenFrom, Silent, SilentAt
from obskit.testing.outcomes import Happened, Outcome, shown_time

__all__ = ["timeline"]

_WIDTH: Final = 60
_MARGIN: Final = 10
_MOST: Final = 8
_OPEN, _NOT, _UNSAID, _PENDING, _BROKEN = "█", "·", " ", "▒", "!"
_RANKS: Final = (_NOT, _PENDING, _OPEN, _BROKEN)


def timeline(expected: Sequence[Expectation], outcome: Outcome) -> str:
    """Return a few lines: an axis, a row for each expectation, the policy's state, a row for each incident."""
    columns = _columns(outcome)
    rows = [_axis(columns)]
    for each in expected:
        marks = _expected(each, columns, outcome)
        if marks:
            rows.append(_row("expected", marks, str(each)))
    rows.append(_row("state", _states(outcome, columns), f"{_PENDING} pending, {_OPEN} firing"))
    for incident in outcome.incidents[:_MOST]:
        marks = _marks(columns, incident.opened_ms, incident.closed_ms, outcome)
        rows.append(_row("incident", marks, _about(incident, outcome)))
    if len(outcome.incidents) > _MOST:
        rows.append(f"{'':{_MARGIN}}… and {len(outcome.incidents) - _MOST} more incidents")
    rows += _values(outcome)
    told = [f"{each.event} {each.channel} at {shown_time(each.at_ms)}" for each in outcome.notifications]
    rows.append(f"{'told':{_MARGIN}}" + (", ".join(told[:_MOST]) or "nobody") + (" …" if len(told) > _MOST else ""))
    return "\n".join(rows)


@dataclass(frozen=True, slots=True)
class _Column:
    """The evaluations that a column stands for: from the first to the last, in ms since the test's beginning."""

    first_ms: int
    last_ms: int

    def has(self, begin_ms: int, end_ms: int) -> bool:
        """Return whether any of them is at or after a begin and before an end."""
        return self.first_ms < end_ms and self.last_ms >= begin_ms


def _columns(outcome: Outcome) -> list[_Column]:
    step = outcome.replay.interval_ms
    count = max(1, outcome.end_ms // step + 1)
    width = min(_WIDTH, count)
    edges = [index * count // width for index in range(width + 1)]
    return [_Column(low * step, (high - 1) * step) for low, high in pairwise(edges)]


def _axis(columns: Sequence[_Column]) -> str:
    marks = [" "] * (len(columns) + 12)
    for place in range(0, len(columns), 12):
        for offset, char in enumerate(shown_time(columns[place].first_ms)):
            if place + offset < len(marks):
                marks[place + offset] = char
    return f"{'':{_MARGIN}}{''.join(marks).rstrip()}"


def _row(name: str, marks: str, told: str) -> str:
    return f"{name:{_MARGIN}}{marks}  {told}"


def _expected(each: Expectation, columns: Sequence[_Column], outcome: Outcome) -> str:
    if isinstance(each, OpenFrom):
        return _marks(columns, each.from_ms, each.until_ms, outcome)
    if isinstance(each, Silent):
        return _NOT * len(columns)
    if isinstance(each, OpenAt | SilentAt):
        marks = [_UNSAID] * len(columns)
        for at in each.at_ms:
            place = next((index for index, column in enumerate(columns) if column.last_ms >= at), len(columns) - 1)
            marks[place] = _OPEN if isinstance(each, OpenAt) else _NOT
        return "".join(marks)
    return ""


def _marks(columns: Sequence[_Column], begin_ms: int, end_ms: int | None, outcome: Outcome) -> str:
    end = outcome.end_ms + 1 if end_ms is None else end_ms
    return "".join(_OPEN if column.has(begin_ms, end) else _NOT for column in columns)


def _states(outcome: Outcome, columns: Sequence[_Column]) -> str:
    """The worst state of each column's evaluations."""
    marks = {"ok": _NOT, "pending": _PENDING, "firing": _OPEN}
    states = [marks.get(moment.state, _BROKEN) for moment in outcome.replay.moments]
    step = outcome.replay.interval_ms
    rows = [states[column.first_ms // step : column.last_ms // step + 1] for column in columns]
    return "".join(max(row, key=_RANKS.index, default=_BROKEN) for row in rows)


def _about(incident: Happened, outcome: Outcome) -> str:
    until = "the end" if incident.closed_ms is None else shown_time(incident.closed_ms)
    labels = "".join(f" {name}={value}" for name, value in incident.labels.items())
    value = "" if incident.value is None else f", value {incident.value:.6g}"
    limit = "" if outcome.replay.threshold is None else f" against {outcome.replay.threshold:g}"
    return f"{shown_time(incident.opened_ms)} to {until}{labels}{value}{limit if value else ''}"


def _values(outcome: Outcome) -> list[str]:
    known = [moment for moment in outcome.replay.moments if moment.value is not None]
    if not known:
        return [f"{'values':{_MARGIN}}no series violated at any time"]
    highest = max(known, key=lambda moment: moment.value or 0.0)
    lowest = min(known, key=lambda moment: moment.value or 0.0)
    first, last = (f"{each.value:.6g} at {shown_time(each.at_ms - outcome.start_ms)}" for each in (lowest, highest))
    return [f"{'values':{_MARGIN}}from {first} to {last}"]
