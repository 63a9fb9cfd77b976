"""The figures of a report, made of what was counted; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from obskit.reports.counting import HOUR_S, Counted

__all__ = ["DIMENSIONS", "Budget", "Counts", "Figures", "Line", "Projection", "make_figures"]

DIMENSIONS: Final[Mapping[str, str]] = {
    "model": "gen_ai.request.model",
    "tier": "user.tier",
    "service": "service",
    "route": "http.route",
}
"""What a report can be broken down by → the label."""

_DAY_S: Final = 24 * HOUR_S
_LEARNT_DAYS: Final = 14
_FEWEST_DAYS: Final = 3
_EIGHTY_PERCENT: Final = 1.2816  # of a normal distribution lie within so many standard deviations of its mean
_NOBODY: Final = "(none)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was read, from the month's begin or the earlier period's, up to the end."""

    cost: Sequence[Counted] = ()
    tokens: Sequence[Counted] = ()
    unpriced: Sequence[Counted] = ()
    route_cost: Sequence[Counted] = ()
    route_tokens: Sequence[Counted] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a breakdown.

    Attributes:
        name: the model, tier, service or route.
        cost_usd: in the period.
        tokens: in the period.
        cost_before_usd: in the period before.
        unpriced_calls: whose cost is not in `cost_usd`; a route's are not known.
    """

    name: str
    cost_usd: float = 0.0
    tokens: int = 0
    cost_before_usd: float = 0.0
    unpriced_calls: int = 0

    @property
    def change(self) -> float | None:
        """The change of cost against the period before, 0.5 for half as much again; None where there was none."""
        return self.cost_usd / self.cost_before_usd - 1 if self.cost_before_usd else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What the calendar month (UTC) will have cost.

    Attributes:
        spent_usd: so far.
        expected_usd: at its end, if the days to come are like those of the last two weeks.
        low_usd: with those days' variation, the month ends above this in nine cases of ten; None while too few days
            are known.
        high_usd: and below this in nine cases of ten.
        days: how many days it was learnt from.
    """

    spent_usd: float
    expected_usd: float
    low_usd: float | None
    high_usd: float | None
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A month's budget, and how the month stands to it.

    Attributes:
        limit_usd: of the month.
        used: share of it that is spent, 0 to 1 and beyond.
        expected: share of it that the month will have cost.
    """

    limit_usd: float
    used: float
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All figures of a report.

    Attributes:
        start_s: begin of the period, in seconds since the epoch.
        end_s: its end, which is not in it.
        total: of all calls.
        tokens_before: in the period before.
        kinds: tokens by kind.
        days: the day (UTC) → its cost, in order.
        breakdowns: `DIMENSIONS` → lines, the dearest first.
        routes: the dearest ones.
        projection: of the month.
        savings_usd: what cached tokens would have cost more without the cache; None where no price is known.
        unpriced_cached: cached tokens that are not in it, of models whose price is unknown.
        budget: if one was named.
    """

    start_s: int
    end_s: int
    total: Line
    tokens_before: int
    kinds: Mapping[str, int]
    days: Mapping[str, float]
    breakdowns: Mapping[str, Sequence[Line]]
    routes: Sequence[Line]
    projection: Projection
    savings_usd: float | None = None
    unpriced_cached: int = 0
    budget: Budget | None = None

    @property
    def tokens_change(self) -> float | None:
        """The change of tokens against the period before; None where there were none."""
        return self.total.tokens / self.tokens_before - 1 if self.tokens_before else None

    @property
    def cached_share(self) -> float | None:
        """The share of the input that came from a cache; None where there was no input."""
        whole = sum(self.kinds.get(kind, 0) for kind in ("input", "cached", "cache_write", "tool_use"))
        return self.kinds.get("cached", 0) / whole if whole else None


Saving = Callable[[str, str, int], float | None]
"""Provider, model, cached tokens → what the cache has saved in US dollars; None where no price is known."""


def make_figures(
    counts: Counts,
    *,
    start_s: int,
    end_s: int,
    now_s: float,
    by: Sequence[str],
    saving: Saving,
    budget_usd: float | None = None,
    most_routes: int = 10,
) -> Figures:
    """Return the figures of a period.

    Args:
        counts: what was read.
        start_s: begin of the period, a whole hour.
        end_s: its end, a whole hour.
        now_s: up to when there can be data, at most `end_s`.
        by: of `DIMENSIONS`.
        saving: prices the cache.
        budget_usd: of a calendar month.
        most_routes: how many of the dearest routes are listed.
    """
    period = (start_s, end_s)
    routes = _lines(counts.route_cost, counts.route_tokens, (), "http.route", period)
    breakdowns = {
        name: routes if name == "route" else _lines(counts.cost, counts.tokens, counts.unpriced, label, period)
        for name, label in DIMENSIONS.items()
        if name in by
    }
    kinds = {name: round(value) for name, value in _by(counts.tokens, "obskit.token.kind", period).items() if value}
    projection = _projection(counts.cost, now_s)
    saved, unpriced_cached = _saved(counts.tokens, period, saving)
    (total,) = _lines(counts.cost, counts.tokens, counts.unpriced, "", period) or [Line(name="")]
    before = (2 * start_s - end_s, start_s)
    return Figures(
        start_s=start_s,
        end_s=end_s,
        total=total,
        tokens_before=round(math.fsum(each.total(*before) for each in counts.tokens)),
        kinds=kinds,
        days=_days(counts.cost, start_s, now_s),
        breakdowns=breakdowns,
        routes=[line for line in routes if line.name != _NOBODY][:most_routes],
        projection=projection,
        savings_usd=saved,
        unpriced_cached=unpriced_cached,
        budget=None
        if budget_usd is None
        else Budget(
            limit_usd=budget_usd,
            used=projection.spent_usd / budget_usd,
            expected=projection.expected_usd / budget_usd,
        ),
    )


def _by(counted: Iterable[Counted], label: str, period: tuple[int, int]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for each in counted:
        name = each.labels.get(label) or _NOBODY if label else ""
        found.setdefault(name, []).append(each.total(*period))
    return {name: math.fsum(values) for name, values in found.items()}


def _lines(
    cost: Sequence[Counted],
    tokens: Sequence[Counted],
    unpriced: Sequence[Counted],
    label: str,
    period: tuple[int, int],
) -> list[Line]:
    before = (2 * period[0] - period[1], period[0])
    costs, earlier = _by(cost, label, period), _by(cost, label, before)
    counts, calls = _by(tokens, label, period), _by(unpriced, label, period)
    lines = [
        Line(
            name=name,
            cost_usd=costs.get(name, 0.0),
            tokens=round(counts.get(name, 0)),
            cost_before_usd=earlier.get(name, 0.0),
            unpriced_calls=round(calls.get(name, 0)),
        )
        for name in {**costs, **counts, **calls}
    ]
    kept = [line for line in lines if line.cost_usd or line.tokens or line.cost_before_usd or line.unpriced_calls]
    return sorted(kept, key=lambda line: (-line.cost_usd, -line.tokens, line.name))


def _days(cost: Sequence[Counted], start_s: int, end_s: float) -> dict[str, float]:
    begin = start_s - start_s % _DAY_S
    found = {}
    for day in range(begin, math.ceil(end_s), _DAY_S):
        name = datetime.fromtimestamp(day, UTC).date().isoformat()
        found[name] = math.fsum(each.total(max(day, start_s), day + _DAY_S) for each in cost)
    return found


def _projection(cost: Sequence[Counted], now_s: float) -> Projection:
    month, end_of_month = _month(now_s)
    spent = math.fsum(each.total(month, math.ceil(now_s)) for each in cost)
    today = int(now_s) - int(now_s) % _DAY_S
    first = min((hour for each in cost for hour in each.by_hour), default=today)
    days = [
        math.fsum(each.total(day, day + _DAY_S) for each in cost)
        for day in range(max(today - _LEARNT_DAYS * _DAY_S, -(-first // _DAY_S) * _DAY_S), today, _DAY_S)
    ]
    if not days:  # not one whole day yet: the hours there are stand for it
        known_days = (now_s - first) / _DAY_S
        days = (
            [math.fsum(each.total(first, math.ceil(now_s)) for each in cost) / known_days] if known_days > 0 else [0.0]
        )
    left = (end_of_month - now_s) / _DAY_S
    mean = math.fsum(days) / len(days)
    expected = spent + mean * left
    if len(days) < _FEWEST_DAYS:
        return Projection(spent_usd=spent, expected_usd=expected, low_usd=None, high_usd=None, days=len(days))
    variance = math.fsum((day - mean) ** 2 for day in days) / (len(days) - 1)
    # The days to come vary, and so does the mean that was learnt from so few.
    spread = _EIGHTY_PERCENT * math.sqrt(variance * (left + left * left / len(days)))
    return Projection(
        spent_usd=spent,
        expected_usd=expected,
        low_usd=max(spent, expected - spread),
        high_usd=expected + spread,
        days=len(days),
    )


def _month(now_s: float) -> tuple[int, int]:
    now = datetime.fromtimestamp(now_s, UTC)
    begin = datetime(now.year, now.month, 1, tzinfo=UTC)
    end = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return int(begin.timestamp()), int(end.timestamp())


def _saved(tokens: Sequence[Counted], period: tuple[int, int], saving: Saving) -> tuple[float | None, int]:
    found: list[float] = []
    unpriced = 0
    for each in tokens:
        count = round(each.total(*period)) if each.labels.get("obskit.token.kind") == "cached" else 0
        if not count:
            continue
        saved = saving(each.labels.get("gen_ai.provider.name", ""), each.labels.get("gen_ai.request.model", ""), count)
        if saved is None:
            unpriced += count
        else:
            found.append(saved)
    return (math.fsum(found) if found or not unpriced else None), unpriced
