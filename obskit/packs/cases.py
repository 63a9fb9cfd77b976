"""Cases that a pack's alerts are tested by, as data: what an alert is given, and whether it must fire.

`obskit.testing.pack_tests` makes an `AlertTest` of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obskit.catalog import Metric
from obskit.queries.google_metrics import GoogleMetric

__all__ = ["Case", "Entry", "Given", "Objective", "Points", "Sizes", "Values"]

Values = str | Sequence[float | None]
"""In promtool's notation (``0+60x20 _x3 1200``), or numbers with None for a gap, one every `Case.every`."""


@dataclass(frozen=True, slots=True)
class Points:
    """One series of a counter or a gauge.

    Attributes:
        metric: of `obskit.catalog`, or what `obskit.queries.google` returns.
        values: of a gauge its values, of a cumulative counter what it has reached, of a delta metric what each interval
            added.
        labels: of the metric or of its monitored resource; a catalog metric also has ``service``.
        resource_type: where one of Google's metrics has several.
    """

    metric: Metric | GoogleMetric
    values: Values
    labels: Mapping[str, str] = field(default_factory=dict)
    resource_type: str = ""


@dataclass(frozen=True, slots=True)
class Sizes:
    """One series of a histogram, or of a distribution of Google's.

    Attributes:
        metric: as for `Points`.
        counts: size → how often: so far for a cumulative histogram, in each interval for a delta distribution.
        labels: as for `Points`.
        bounds: of the buckets of one of Google's, ascending; a catalog metric has its own.
        resource_type: as for `Points`.
    """

    metric: Metric | GoogleMetric
    counts: Mapping[float, Values]
    labels: Mapping[str, str] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    resource_type: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One log entry, at several times.

    Attributes:
        entry: a LogEntry in the REST API's JSON.
        at: when, e.g. ``("5m", "7m")``.
    """

    entry: Mapping[str, Any]
    at: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Objective:
    """The SLO that a burn-rate alert is of: its goal, and its good and all events so far."""

    goal: float
    good: Values
    total: Values


Given = Points | Sizes | Entry | Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What an alert is given, and what it must do: `opens` and `closes`, or `open_at`, or else nothing at all.

    Attributes:
        alert: the policy's id, as the pack's example settings make it.
        says: what happens, in a few words.
        given: the data.
        opens: when the one incident opens.
        closes: when it closes; open to the end when empty.
        within: how far from these times is still right.
        open_at: times at which an incident is open, whatever is before and after.
        silent_at: times at which none is; with neither `opens` nor `open_at`, it must stay silent throughout.
        labels: that the incident's series has.
        tells: channel → how often it is told of something open.
        every: time between two values.
        lasts: how long it is played; until the last value or expectation when empty.
    """

    alert: str
    says: str
    given: tuple[Given, ...] | Given
    opens: str = ""
    closes: str = ""
    within: str = ""
    open_at: tuple[str, ...] = ()
    silent_at: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    tells: Mapping[str, int] = field(default_factory=dict)
    every: str = "1m"
    lasts: str = ""

    @property
    def fires(self) -> bool:
        """Whether the alert must fire."""
        return bool(self.opens or self.open_at)
