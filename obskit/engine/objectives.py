"""The series of SLOs: burn rates, error budgets, compliance, from what the SLO's indicator counts.

Source: "Retrieving SLO data" in Cloud Monitoring's documentation, for the names of the selectors and what they are
about. Calendar periods begin at midnight UTC, weeks on Mondays, fortnights with odd weeks of ISO 8601.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from obskit.engine.conditions import UnsupportedError, seconds_ms
from obskit.engine.indicators import Counts, Fetch, Indicator, indicator_of
from obskit.engine.series import Point, TypedSeries
from obskit.errors import Problem

__all__ = ["SELECTORS", "Budget", "Objective", "burn_rate"]

MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_LONGEST_MS: Final = 32 * _DAY_MS
SELECTORS: Final = frozenset(
    f"select_slo_{name}"
    for name in ("burn_rate", "budget", "budget_fraction", "budget_total", "compliance", "counts", "health")
)
"""The selectors that are worked out."""


def burn_rate(good: float, total: float, goal: float) -> float | None:
    """Return how many times faster than allowed the error budget is spent, None without an event.

    Args:
        good: how many events were good.
        total: how many there were.
        goal: the share that must be good, below 1.
    """
    return (1 - good / total) / (1 - goal) if total > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What has become of an SLO's period so far: how many events were good, how many there were, and the goal."""

    good: float
    total: float
    goal: float

    @property
    def compliance(self) -> float | None:
        """The share that was good, None without an event."""
        return self.good / self.total if self.total > 0 else None

    @property
    def allowed(self) -> float:
        """How many events may be bad."""
        return (1 - self.goal) * self.total

    @property
    def left(self) -> float:
        """How many more may be bad; below 0 where too many were."""
        return self.allowed - (self.total - self.good)

    @property
    def fraction(self) -> float | None:
        """Which share of the budget is left, at most 1, None without an event."""
        rate = burn_rate(self.good, self.total, self.goal)
        return None if rate is None else 1 - rate


class _Ledger:
    """What was counted, slot by slot, as sums since the first slot. Slots that have settled are counted once."""

    def __init__(self, indicator: Indicator) -> None:
        self._indicator = indicator
        self._late = -1
        self._settled = 0
        self._ends: array[int] = array("q")
        self._good: array[float] = array("d")
        self._total: array[float] = array("d")

    def follow(self, fetch: Fetch, end_ms: int, settled_ms: int, late: int) -> None:
        """Count what is new up to `end_ms`.

        Args:
            fetch: where series come from.
            end_ms: the newest moment that will be asked for.
            settled_ms: no more points come with an end up to here, but late ones.
            late: how many of those there were; when it changes, all is counted anew.
        """
        width = self._indicator.slot_ms
        if late != self._late:
            self._late, self._settled = late, max(0, (end_ms - _LONGEST_MS) // width)
            for column in (self._ends, self._good, self._total):
                del column[:]
        if end_ms // width <= self._settled:
            return
        keep = bisect_right(self._ends, self._settled * width)
        for column in (self._ends, self._good, self._total):
            del column[keep:]
        self._extend(self._indicator.count(fetch, self._settled * width, end_ms // width * width))
        self._settled = max(self._settled, min(settled_ms, end_ms) // width)

    def _extend(self, counts: Counts) -> None:
        good, total = (self._good[-1], self._total[-1]) if self._ends else (0.0, 0.0)
        for slot in sorted(counts):
            good, total = good + counts[slot][0], total + counts[slot][1]
            self._ends.append(slot * self._indicator.slot_ms)
            self._good.append(good)
            self._total.append(total)

    @property
    def first_ms(self) -> int | None:
        """End of the first slot that has an event."""
        return self._ends[0] if self._ends else None

    def between(self, begin_ms: int, end_ms: int) -> tuple[float, float]:
        """Return how many events were good and how many there were, in slots with ``begin < end <= end``."""
        low, high = bisect_right(self._ends, begin_ms) - 1, bisect_right(self._ends, end_ms) - 1
        if high < 0 or high == low:
            return 0.0, 0.0
        before = (self._good[low], self._total[low]) if low >= 0 else (0.0, 0.0)
        return self._good[high] - before[0], self._total[high] - before[1]


class Objective:
    """One SLO, with what was counted for it.

    Args:
        document: in the REST API's JSON.
        service: its service, which a basic indicator needs.

    Raises:
        UnsupportedError: its indicator cannot be worked out.
        QueryError: a filter does not parse.
    """

    def __init__(self, document: Mapping[str, Any], service: Mapping[str, Any] | None = None) -> None:
        self.name = str(document.get("name") or "")
        self.goal = float(document.get("goal") or 0.0)
        self.indicator = indicator_of(document, service)
        self._rolling_ms = seconds_ms(document.get("rollingPeriod"))
        self._calendar = str(document.get("calendarPeriod") or "MONTH")
        self._ledger = _Ledger(self.indicator)

    def follow(self, fetch: Fetch, end_ms: int, settled_ms: int, late: int) -> None:
        """Count what is new up to `end_ms`; see `series`."""
        self._ledger.follow(fetch, end_ms, settled_ms, late)

    def budget(self, at_ms: int) -> Budget:
        """Return what has become of the period so far."""
        good, total = self._ledger.between(self.period_start(at_ms), at_ms)
        return Budget(good=good, total=total, goal=self.goal)

    def burn_rate(self, at_ms: int, window_ms: int) -> float | None:
        """Return how fast the budget was spent within a window, None without an event in it."""
        good, total = self._ledger.between(at_ms - window_ms, at_ms)
        return burn_rate(good, total, self.goal)

    def period_start(self, at_ms: int) -> int:
        """Return when the period began that a moment is in: so long ago, or by the calendar."""
        if self._rolling_ms:
            return at_ms - self._rolling_ms
        # What ends at midnight belongs to the day that ends there.
        day = datetime.fromtimestamp((at_ms - 1) / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self._calendar == "MONTH":
            day = day.replace(day=1)
        elif self._calendar in {"WEEK", "FORTNIGHT"}:
            is_second = self._calendar == "FORTNIGHT" and day.isocalendar().week % 2 == 0
            day -= timedelta(days=day.weekday() + (7 if is_second else 0))
        return round(day.timestamp() * 1000)

    def series(self, selector: str, window_s: int, start_ms: int, end_ms: int) -> list[TypedSeries]:
        """Return the series of a selector, one point a minute; none without events.

        Args:
            selector: one of `SELECTORS`.
            window_s: how far a burn rate looks back.
            start_ms: no point is at this time or before.
            end_ms: no point is later.

        Raises:
            UnsupportedError: the selector is none of those, or needs a window.
        """
        self._refuse(selector, window_s)
        first = self._ledger.first_ms
        if first is None:
            return []
        start = max(start_ms // MINUTE_MS, first // MINUTE_MS - 1, (end_ms - _LONGEST_MS) // MINUTE_MS)
        moments = range((start + 1) * MINUTE_MS, end_ms + 1, MINUTE_MS)
        if selector == "select_slo_counts":
            events = {at: self._ledger.between(at - MINUTE_MS, at) for at in moments}
            return [
                self._series(moments, lambda at: events[at][0], kind="DELTA", event_type="good"),
                self._series(moments, lambda at: events[at][1] - events[at][0], kind="DELTA", event_type="bad"),
            ]
        values: Mapping[str, Callable[[int], float | None]] = {
            "select_slo_burn_rate": lambda at: self.burn_rate(at, window_s * 1000),
            "select_slo_budget": lambda at: self.budget(at).left,
            "select_slo_budget_fraction": lambda at: self.budget(at).fraction,
            "select_slo_budget_total": lambda at: self.budget(at).allowed,
            "select_slo_compliance": lambda at: self.budget(at).compliance,
            "select_slo_health": self._health,
        }
        return [self._series(moments, values[selector])]

    def _refuse(self, selector: str, window_s: int) -> None:
        problem = way_out = ""
        if selector not in SELECTORS:
            problem, way_out = f"{selector} is not worked out here", f"Use one of {', '.join(sorted(SELECTORS))}"
        elif selector == "select_slo_burn_rate" and window_s <= 0:
            problem, way_out = f"{selector} has no window", 'Give it as the second argument, for example "3600s"'
        if problem:
            raise UnsupportedError(Problem(place=f"SLO {self.name}", problem=problem, way_out=way_out))

    def _health(self, at_ms: int) -> float | None:
        good, total = self._ledger.between(at_ms - max(MINUTE_MS, self.indicator.slot_ms), at_ms)
        return good / total if total > 0 else None

    def _series(
        self, moments: Sequence[int], value: Callable[[int], float | None], kind: str = "GAUGE", **labels: str
    ) -> TypedSeries:
        back = MINUTE_MS if kind == "DELTA" else 0
        return TypedSeries(
            metric_type="",
            metric_labels=labels,
            resource_type="global",
            resource_labels={"project_id": self.name.split("/")[1] if self.name.count("/") else ""},
            kind=kind,
            value_type="INT64" if kind == "DELTA" else "DOUBLE",
            points=[Point(at - back, at, found) for at in moments if (found := value(at)) is not None],
        )
