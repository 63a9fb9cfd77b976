"""Made-up but plausible data, in a few numbers a series: what a pack's dashboard is drawn from.

The same scenario always gives the same points, whatever the machine: the noise is a hash of the series and the time.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.catalog import Kind, Metric
from obskit.queries.google_metrics import GoogleMetric
from obskit.queries.promql import role_of

__all__ = ["Bump", "LogLine", "Sample", "Scenario", "Signal", "drawn"]

_DAY_MS: Final = 86_400_000
# Where a value of a lognormal distribution lies, in steps of its spread: twenty values stand for all.
_QUANTILES: Final = tuple(-1.96 + 3.92 * (place + 0.5) / 20 + (0.9 if place == 19 else 0.0) for place in range(20))
_EXPONENTIAL: Final = tuple(float(f"{2.0 ** (power / 4):.4g}") for power in range(-28, 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """Something that happens for a while.

    Attributes:
        at: when it begins: 0 is the scenario's beginning, 1 its end.
        lasts: for which share of the scenario's time.
        level: by what the level is multiplied meanwhile.
        size: by what the size of a distribution's values is multiplied meanwhile.
        is_gradual: whether it grows slowly from its beginning to its end and stays, as a disk that fills up.
    """

    at: float
    lasts: float = 0.1
    level: float = 1.0
    size: float = 1.0
    is_gradual: bool = False

    def weight(self, share: float) -> float:
        """Return how much of it is felt, 0 to 1, at a share of the scenario's time."""
        if share < self.at:
            return 0.0
        passed = (share - self.at) / self.lasts
        if self.is_gradual:
            return min(1.0, passed)
        # It comes and goes within a tenth of its length.
        return max(0.0, min(1.0, passed * 10, (1 - passed) * 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One series.

    Attributes:
        metric: of `obskit.catalog`, or what `obskit.queries.google` returns.
        level: of a gauge its value; of a counter its growth a second; of a distribution how many values a second.
        labels: of the metric or of its monitored resource; a catalog metric also has ``service``.
        swing: by what share the level follows the time of day, 0 to 1.
        noise: by what share it scatters.
        median: of the values of a distribution, in the metric's unit.
        spread: by what factor about a third of a distribution's values is larger than its median; above 1.
        bumps: what happens.
        every_s: of a gauge that tells when something last happened: how often it happens; `level` says nothing then.
        resource_type: where one of Google's metrics has several.
    """

    metric: Metric | GoogleMetric
    level: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    swing: float = 0.0
    noise: float = 0.05
    median: float = 1.0
    spread: float = 1.8
    bumps: tuple[Bump, ...] = ()
    every_s: float = 0.0
    resource_type: str = ""

    @property
    def bounds(self) -> tuple[float, ...]:
        """The bounds of a distribution's buckets."""
        return self.metric.buckets if isinstance(self.metric, Metric) else _EXPONENTIAL

    def at(self, share: float, time_ms: int) -> tuple[float, float]:
        """Return the level and the median at a moment; `share` is the moment's place in the scenario, 0 to 1."""
        daily = 1 + self.swing * math.sin(math.tau * (time_ms / _DAY_MS - 0.375))  # highest in the afternoon
        if self.every_s:
            return time_ms / 1000 - time_ms / 1000 % self.every_s, self.median
        level, median = self.level * daily * (1 + self.noise * _noise(self, time_ms)), self.median
        for bump in self.bumps:
            weight = bump.weight(share)
            level *= 1 + (bump.level - 1) * weight
            median *= 1 + (bump.size - 1) * weight
        return level, median


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A log entry that is written again and again.

    Attributes:
        entry: a LogEntry in the REST API's JSON, without its time.
        at: when it is written: shares of the scenario's time.
    """

    entry: Mapping[str, Any]
    at: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens, for a picture.

    Attributes:
        says: it in a sentence.
        signals: the series.
        logs: log entries.
        hours: how long it lasts.
    """

    says: str
    signals: tuple[Signal, ...]
    logs: tuple[LogLine, ...] = ()
    hours: float = 6.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One point, as a metric of its kind is written.

    Attributes:
        start_ms: of its interval, milliseconds since the epoch.
        end_ms: of its interval.
        value: the number; the mean of a distribution.
        counts: of a distribution, how many values are in each bucket.
    """

    start_ms: int
    end_ms: int
    value: float
    counts: tuple[int, ...] = ()


def drawn(signal: Signal, *, start_ms: int, end_ms: int, step_ms: int = 60_000) -> Iterator[Sample]:
    """Yield the points of a signal over a time.

    Args:
        signal: the series.
        start_ms: the scenario's beginning, milliseconds since the epoch.
        end_ms: its end.
        step_ms: between two points.
    """
    role, is_delta = role_of(signal.metric), isinstance(signal.metric, GoogleMetric) and signal.metric.kind == "delta"
    total, sums, counts = 0.0, 0.0, [0] * (len(signal.bounds) + 1 if role is Kind.HISTOGRAM else 0)
    is_whole, rest = _is_whole(signal.metric), 0.0
    for time_ms in range(start_ms + step_ms, end_ms + 1, step_ms):
        level, median = signal.at((time_ms - start_ms) / (end_ms - start_ms), time_ms)
        begin = time_ms - step_ms if is_delta else start_ms
        if role is Kind.GAUGE:
            yield Sample(time_ms, time_ms, float(round(level)) if is_whole else level)
            continue
        if is_delta:
            total, sums, counts = 0.0, 0.0, [0] * len(counts)
        gain = level * step_ms / 1000
        if is_whole:
            # Nothing happens by halves: what is missing to a whole one is there a few minutes later.
            gain, rest = float(int(gain + rest)), (gain + rest) % 1
        if role is Kind.COUNTER:
            total += gain
            yield Sample(begin, time_ms, total)
            continue
        many = round(gain)
        for place, size in _values(median, signal.spread, many, time_ms):
            counts[_bucket(signal.bounds, size)] += place
            total += place
            sums += place * size
        yield Sample(begin, time_ms, sums / total if total else 0.0, tuple(counts))


def _is_whole(metric: Metric | GoogleMetric) -> bool:
    """Return whether a metric's numbers are whole ones; how many values a distribution has always is."""
    if role_of(metric) is Kind.HISTOGRAM:
        return True
    return metric.is_int if isinstance(metric, Metric) else metric.value in {"int64", "bool"}


def _values(median: float, spread: float, many: int, time_ms: int) -> Iterator[tuple[int, float]]:
    """Yield how many values there are of which size: `many` in all, of a lognormal distribution."""
    share, rest = divmod(many, len(_QUANTILES))
    # Those that cannot be dealt out evenly wander from one minute to the next.
    first = zlib.crc32(str(time_ms).encode()) % len(_QUANTILES)
    for place, quantile in enumerate(_QUANTILES):
        count = share + ((place - first) % len(_QUANTILES) < rest)
        if count:
            yield count, median * spread**quantile


def _bucket(bounds: tuple[float, ...], size: float) -> int:
    return bisect_left(bounds, size)


def _noise(signal: Signal, time_ms: int) -> float:
    """Return a number from -1 to 1 that looks like chance: a slow part and a fast one."""
    name = f"{signal.metric.name} {sorted(signal.labels.items())}"
    slow = math.sin(math.tau * (time_ms / 2_700_000 + _hash(name)))
    return 0.5 * slow + 0.5 * (2 * _hash(f"{name} {time_ms}") - 1)


def _hash(text: str) -> float:
    return zlib.crc32(text.encode()) / 0xFFFFFFFF
