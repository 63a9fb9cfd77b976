"""Backtests as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from obskit.backtest.candidates import Tuned
from obskit.backtest.play import Played, Values
from obskit.engine.policy import Incident

__all__ = ["NOTHING", "Backtest", "as_json", "as_text", "moment", "shown_length", "tuned_json", "tuned_text"]

NOTHING: Final = "no values were found to compare: is the metric there, by this route and under these labels?"
"""What is said of a policy that had nothing to look at."""

_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One policy's backtest.

    Attributes:
        id: of the policy.
        name: that people see.
        place: where the series come from.
        played: with its own threshold.
        others: with other thresholds, ascending.
        values: what was compared.
        is_above: whether large values violate; None where there is no threshold.
        problem: why it could not be played; empty where it could.
    """

    id: str
    name: str
    place: str
    played: Played | None = None
    others: tuple[Played, ...] = ()
    values: Values | None = None
    is_above: bool | None = None
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found that the policy could compare: no metric, no traffic, or another route."""
        if self.values is None or self.played is None or self.is_above is None:
            return False
        return not self.values.sample and not self.played.pages

    @property
    def rows(self) -> list[Played]:
        """All thresholds, ascending, its own among them."""
        own = [self.played] if self.played is not None else []
        return sorted([*own, *self.others], key=lambda each: each.threshold or 0.0)


def moment(at_ms: int) -> str:
    """Return a time in UTC, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def shown_length(length_ms: int) -> str:
    """Return a length as people say it, in its two largest units."""
    words, left = [], round(length_ms / 1000)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def labels_of(incident: Incident) -> str:
    """Return the labels of an incident's series."""
    return ", ".join(f"{name}={value}" for name, value in sorted(incident.labels.items()) if name != "__name__")


def as_text(backtests: Sequence[Backtest]) -> str:
    """Return the backtests as text."""
    return "\n\n".join("\n".join(_lines(each)) for each in backtests) + "\n"


def _lines(each: Backtest) -> Iterator[str]:
    yield f"{each.id}  {each.name}"
    played = each.played
    if played is None:
        yield f"  not played: {each.problem}"
        return
    yield (
        f"  {moment(played.start_ms)} to {moment(played.end_ms)} UTC, {each.place}: "
        f"{_times(played.pages)}, open for {shown_length(played.open_ms)} in all"
    )
    if each.is_empty:  # a table of other thresholds would say nothing
        yield f"  {NOTHING}"
        return
    for incident in played.incidents[:_MOST]:
        end = "still open" if incident.ended_at_ms is None else shown_length(played.length_ms(incident))
        value = "" if incident.value is None else f"  value {incident.value:.4g}"
        yield f"    {moment(incident.started_at_ms)}  {end:12}{value}  {labels_of(incident)}".rstrip()
    if len(played.incidents) > _MOST:
        yield f"    … and {len(played.incidents) - _MOST} more"
    if each.others:
        yield from (f"  {line}" for line in _table(each.rows, own=played))


def _times(pages: int) -> str:
    return {0: "never fired", 1: "fired once", 2: "fired twice"}.get(pages, f"fired {pages} times")


def _table(rows: Sequence[Played], *, own: Played) -> Iterator[str]:
    yield f"{'threshold':>12}  {'fired':>6}  {'a month':>8}  {'open':>12}  {'longest':>12}"
    for each in rows:
        mark = "  ← now" if each.threshold == own.threshold else ""
        threshold = "" if each.threshold is None else f"{each.threshold:g}"
        yield (
            f"{threshold:>12}  {each.pages:>6}  {each.pages_a_month:>8.1f}  "
            f"{shown_length(each.open_ms):>12}  {shown_length(each.longest_ms):>12}{mark}"
        )


def as_json(backtests: Sequence[Backtest]) -> list[dict[str, Any]]:
    """Return the backtests as JSON."""
    return [
        {
            "policy": each.id,
            "name": each.name,
            "place": each.place,
            "problem": each.problem,
            "is_empty": each.is_empty,
            "now": None if each.played is None else _played(each.played, with_incidents=True),
            "others": [_played(other) for other in each.others],
        }
        for each in backtests
    ]


def _played(played: Played, *, with_incidents: bool = False) -> dict[str, Any]:
    row: dict[str, Any] = {
        "threshold": played.threshold,
        "from": _iso(played.start_ms),
        "until": _iso(played.end_ms),
        "fired": played.pages,
        "fired_a_month": round(played.pages_a_month, 2),
        "open_s": played.open_ms / 1000,
        "longest_s": played.longest_ms / 1000,
    }
    if with_incidents:
        row["incidents"] = [
            {
                "opened": _iso(each.started_at_ms),
                "closed": None if each.ended_at_ms is None else _iso(each.ended_at_ms),
                "open_s": played.length_ms(each) / 1000,
                "labels": {name: value for name, value in each.labels.items() if name != "__name__"},
                "value": each.value,
            }
            for each in played.incidents
        ]
    return row


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tuned_text(name: str, tuned: Tuned) -> str:
    """Return a proposal as text."""
    lines = [name, *(f"  {line}" for line in _table(tuned.tried, own=tuned.current))]
    sign = ">" if tuned.varied.is_above else "<"
    if tuned.proposed is None:
        lines.append(f"  no threshold that was tried fires at most {tuned.wanted:g} times a month")
    else:
        lines.append(
            f"  proposed: {sign} {tuned.proposed.threshold:g}, which would have fired "
            f"{tuned.proposed.pages_a_month:.1f} times a month; wanted: at most {tuned.wanted:g}; "
            f"now: {sign} {tuned.varied.threshold:g}, {tuned.current.pages_a_month:.1f} times"
        )
    return "\n".join(lines)


def tuned_json(policy: str, tuned: Tuned) -> dict[str, Any]:
    """Return a proposal as JSON."""
    return {
        "policy": policy,
        "wanted_a_month": tuned.wanted,
        "comparison": ">" if tuned.varied.is_above else "<",
        "now": _played(tuned.current),
        "proposed": None if tuned.proposed is None else _played(tuned.proposed),
        "tried": [_played(each) for each in tuned.tried],
    }
