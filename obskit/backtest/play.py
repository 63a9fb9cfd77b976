"""Play a policy over the past, with several thresholds at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.backtest.sources import Past
from obskit.backtest.thresholds import Comparison, Varied, varied_of
from obskit.engine.conditions import Condition, PromQL
from obskit.engine.logs import LogMatch
from obskit.engine.policy import Incident, PolicyMachine
from obskit.engine.series import MemorySource, Series
from obskit.errors import Problem, QueryError

__all__ = ["MONTH_MS", "Played", "Values", "play"]

MONTH_MS: Final = 30 * 86_400_000

_AT_ONCE: Final = 2_880  # evaluations that are worked out together
_BUCKETS: Final = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a policy with one threshold would have done.

    Attributes:
        threshold: None for a policy without one.
        incidents: in the order in which they opened; one that was open at the end has no end.
        start_ms: begin of the period.
        end_ms: its end.
    """

    threshold: float | None
    incidents: tuple[Incident, ...]
    start_ms: int
    end_ms: int

    @property
    def pages(self) -> int:
        """How often it would have told somebody that something is open."""
        return len(self.incidents)

    @property
    def pages_a_month(self) -> float:
        """The same for 30 days."""
        return self.pages * MONTH_MS / max(1, self.end_ms - self.start_ms)

    def length_ms(self, incident: Incident) -> int:
        """Return how long an incident was open within the period."""
        return (self.end_ms if incident.ended_at_ms is None else incident.ended_at_ms) - incident.started_at_ms

    @property
    def open_ms(self) -> int:
        """For how long any incident was open."""
        total, until = 0, self.start_ms
        for each in self.incidents:
            end = each.started_at_ms + self.length_ms(each)
            total += max(0, end - max(until, each.started_at_ms))
            until = max(until, end)
        return total

    @property
    def longest_ms(self) -> int:
        """How long the longest incident was open."""
        return max(map(self.length_ms, self.incidents), default=0)


@dataclass(slots=True)
class Values:
    """What was compared with the threshold: the extremes in each share of the period, and a sample for quantiles.

    Attributes:
        start_ms: begin of the period.
        end_ms: its end.
        lowest: of each share, None where there was no value.
        highest: likewise.
        sample: values, evenly thinned out.
    """

    start_ms: int
    end_ms: int
    lowest: list[float | None] = field(default_factory=lambda: [None] * _BUCKETS)
    highest: list[float | None] = field(default_factory=lambda: [None] * _BUCKETS)
    sample: list[float] = field(default_factory=list)

    def take(self, series: Sequence[Series]) -> None:
        """Take the values of a piece of the period."""
        span = max(1, self.end_ms - self.start_ms + 1)
        for item in series:
            thin = max(1, len(item.values) // 500)
            for place, (at_ms, value) in enumerate(zip(item.times_ms, item.values, strict=True)):
                if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN
                    continue
                share = min(_BUCKETS - 1, (at_ms - self.start_ms) * _BUCKETS // span)
                low, high = self.lowest[share], self.highest[share]
                self.lowest[share] = value if low is None else min(low, value)
                self.highest[share] = value if high is None else max(high, value)
                if place % thin == 0:
                    self.sample.append(value)

    def quantile(self, share: float) -> float | None:
        """Return a quantile of the values, None where there is none."""
        ordered = sorted(self.sample)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


@dataclass(slots=True)
class _Run:
    """One threshold's machine and the incidents so far."""

    threshold: float | None
    machine: PolicyMachine
    incidents: dict[str, Incident] = field(default_factory=dict)

    def advance(self, moments: Sequence[int], past: Past) -> None:
        """Evaluate at each moment; where nothing is going on and no query finds anything, nothing can happen."""
        queries = [each for each in self.machine.conditions if isinstance(each, PromQL)]
        is_skipping = len(queries) == len(self.machine.conditions)
        nothing = MemorySource()
        for at_ms in moments:
            if is_skipping and self.machine.is_idle and not any(each.finds(at_ms) for each in queries):
                continue
            for event in self.machine.evaluate(at_ms, nothing, past, past.logs):
                self.incidents[event.incident.id] = event.incident


def play(
    policy: Mapping[str, Any], past: Past, *, start_ms: int, end_ms: int, thresholds: Sequence[float] = ()
) -> tuple[list[Played], Values]:
    """Return what a policy would have done: as it is, then with each of the thresholds; and the values compared.

    Args:
        policy: in the REST API's JSON.
        past: where series come from.
        start_ms: begin of the period, in milliseconds since the epoch.
        end_ms: its end.
        thresholds: other numbers for its first condition that compares with one.

    Raises:
        QueryError: the policy cannot be evaluated on this past.
        BackendError: the past cannot be read.
    """
    varied = varied_of(policy)
    runs = [_Run(None if varied is None else varied.threshold, _machine(policy, past))]
    if varied is not None:
        runs += [_Run(each, _machine(varied.document(each), past)) for each in thresholds if each != varied.threshold]
    step = runs[0].machine.interval_ms
    # On the interval's grid, as the platform's evaluations are for all that anybody can tell.
    first = -(-start_ms // step) * step
    values = Values(start_ms, end_ms)
    for begin in range(first, end_ms + 1, _AT_ONCE * step):
        last = min(end_ms, begin + (_AT_ONCE - 1) * step)
        _look_ahead(runs, varied, past, values, begin, last)
        for run in runs:
            run.advance(range(begin, last + 1, step), past)
    found = [
        Played(
            threshold=run.threshold,
            incidents=tuple(sorted(run.incidents.values(), key=lambda each: each.started_at_ms)),
            start_ms=start_ms,
            end_ms=end_ms,
        )
        for run in runs
    ]
    return found, values


def _machine(policy: Mapping[str, Any], past: Past) -> PolicyMachine:
    machine = PolicyMachine({**policy, "enabled": True})
    place = f'policy "{policy.get("displayName", "")}"'
    status = machine.status()
    if status["state"] in {"error", "unsupported"}:
        raise QueryError(Problem(place=place, problem=status["error"], way_out="It cannot be played"))
    for condition in machine.conditions:
        if isinstance(condition, PromQL) and condition.is_pinned:
            problem = "its query has @ start() or @ end(), which mean something else over a range"
            raise QueryError(Problem(place=place, problem=problem, way_out="Leave them out to try the rest"))
        if isinstance(condition, LogMatch) and past.logs is None:
            problem = f"it matches log entries, and {past.place} gives none"
            raise QueryError(Problem(place=place, problem=problem, way_out="Use --data with a folder of obskit local"))
    return machine


def _look_ahead(runs: Sequence[_Run], varied: Varied | None, past: Past, values: Values, begin: int, last: int) -> None:
    """Fetch what all machines will need of PromQL, each query once."""
    fetched: dict[tuple[str, int], Sequence[Series]] = {}

    def found(query: str, step: int) -> Sequence[Series]:
        if (query, step) not in fetched:
            fetched[query, step] = past.range(query, begin, last, step)
        return fetched[query, step]

    compared = varied.comparison if varied is not None else None
    for run in runs:
        for index, condition in enumerate(run.machine.conditions):
            if not isinstance(condition, PromQL):
                continue
            is_varied = varied is not None and index == varied.index and compared is not None
            if is_varied and compared is not None and compared.values and run.threshold is not None:
                series = found(compared.values, condition.interval_ms)
                condition.provide(list(_violating(series, compared, run.threshold)), begin, last)
            else:
                series = found(condition.query, condition.interval_ms)
                condition.provide(series, begin, last)
            if run is runs[0] and (is_varied or varied is None):
                values.take(series)
    if varied is not None and compared is None:
        # Of a machine of its own: a condition remembers which series it has seen.
        values.take(_measured(_machine(varied.policy, past).conditions[varied.index], past, begin, last))


def _violating(series: Sequence[Series], compared: Comparison, threshold: float) -> Iterator[Series]:
    for item in series:
        kept = [
            (at, value)
            for at, value in zip(item.times_ms, item.values, strict=True)
            if compared.holds(value, threshold)
        ]
        if kept:
            yield Series(item.labels, [at for at, _ in kept], [value for _, value in kept])


def _measured(condition: Condition, past: Past, begin: int, last: int) -> list[Series]:
    """The values of a condition on a filter, at a few hundred moments."""
    step = max(condition.interval_ms, (last - begin) // _BUCKETS // 60_000 * 60_000)
    found: dict[str, Series] = {}
    for at_ms in range(begin, last + 1, step):
        for each in condition.measure(at_ms, MemorySource(), past):
            if each.value is not None:
                series: Any = found.setdefault(repr(sorted(each.labels.items())), Series(each.labels, [], []))
                series.times_ms.append(at_ms)
                series.values.append(each.value)
    return list(found.values())
