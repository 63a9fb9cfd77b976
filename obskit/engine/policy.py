"""The state of one alert policy over time: what is pending, what is open, what has closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from obskit.engine.conditions import Condition, Key, Measurement, PromQL, UnsupportedError, key_of, seconds_ms
from obskit.engine.logs import LogMatch, LogSource
from obskit.engine.series import SeriesSource, TimeSeriesSource
from obskit.engine.threshold import Absence, Threshold
from obskit.errors import Problem, QueryError

__all__ = ["Closed", "Event", "Incident", "Opened", "PolicyMachine", "condition_of"]

_AUTO_CLOSE_MS: Final = 7 * 86_400_000  # Source: AlertStrategy.auto_close; without it, 7 days


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident of a policy.

    Attributes:
        id: the same for the same policy, condition, series and start.
        policy_name: resource name of the policy.
        condition_name: display name of the condition.
        labels: of the series.
        value: that was measured last, None where there is none.
        threshold: that it is compared with, None where there is none.
        started_at_ms: when it opened.
        ended_at_ms: when it closed, None while it is open.
        summary: one sentence for people.
    """

    id: str
    policy_name: str
    condition_name: str
    labels: Mapping[str, str]
    value: float | None
    threshold: float | None
    started_at_ms: int
    ended_at_ms: int | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident began."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class Closed:
    """An incident ended."""

    incident: Incident


Event = Opened | Closed


def condition_of(document: Mapping[str, Any]) -> Condition:
    """Return the condition of its JSON.

    Raises:
        UnsupportedError: its kind is not evaluated here.
        QueryError: its query, filter or a duration cannot be used.
    """
    name = str(document.get("name") or document.get("displayName") or "condition")
    display = str(document.get("displayName") or name)
    if (body := document.get("conditionPrometheusQueryLanguage")) is not None:
        return PromQL.of(name, display, body)
    if (body := document.get("conditionThreshold")) is not None:
        return Threshold.of(name, display, body)
    if (body := document.get("conditionAbsent")) is not None:
        return Absence.of(name, display, body)
    if (body := document.get("conditionMatchedLog")) is not None:
        return LogMatch.of(name, display, body)
    kinds = sorted(key for key in document if key.startswith("condition"))
    problem = f"{', '.join(kinds) or 'an empty condition'} is not evaluated here"
    problem, way_out = _UNSUPPORTED.get(kinds[0] if kinds else "", (problem, "Use another kind of condition"))
    raise UnsupportedError(Problem(place=f'condition "{display}"', problem=problem, way_out=way_out))


_UNSUPPORTED: Final = {
    "conditionSql": (
        "conditionSql is not evaluated here: it is a query over Log Analytics, which only Google runs",
        "Try the query in Log Analytics; to test a policy here, count entries with a log-based metric",
    ),
    "conditionMonitoringQueryLanguage": (
        "conditionMonitoringQueryLanguage is not evaluated here, and Cloud Monitoring takes no new ones",
        "Rewrite it in PromQL",
    ),
}


@dataclass(slots=True)
class _Track:
    """One series of one condition.

    Attributes:
        labels: of the series.
        since_ms: when it began to violate without a break, None while it does not.
        data_ms: when it last had data.
        value: that was measured last.
        has_lasted: whether it has violated for the condition's duration.
        is_met: whether, besides, as many series have as the condition's trigger asks for.
    """

    labels: Mapping[str, str]
    since_ms: int | None = None
    data_ms: int = 0
    value: float | None = None
    has_lasted: bool = False
    is_met: bool = False


@dataclass(slots=True)
class _Watch:
    """A condition and what is known of its series."""

    condition: Condition
    tracks: dict[Key, _Track] = field(default_factory=dict)
    due_ms: int = 0

    def follow(self, measured: Sequence[Measurement], now_ms: int, auto_close_ms: int) -> None:
        """Take the measurements of a moment."""
        present = {key_of(item.labels): item for item in measured}
        for key, item in present.items():
            track = self.tracks.setdefault(key, _Track(item.labels, data_ms=now_ms))
            if item.value is not None or not item.is_violating:
                track.data_ms = now_ms
            track.value = item.value
            if item.is_violating:
                track.since_ms = now_ms if track.since_ms is None else track.since_ms
                track.has_lasted = now_ms - track.since_ms >= self.condition.duration_ms
            else:  # any measurement that does not violate resets the duration
                track.since_ms, track.has_lasted = None, False
        self._forget(set(present), now_ms, auto_close_ms)
        lasting = sum(track.has_lasted for track in self.tracks.values())
        is_met = self.condition.is_met(lasting, len(self.tracks))
        for track in self.tracks.values():
            track.is_met = is_met and track.has_lasted

    def _forget(self, present: set[Key], now_ms: int, auto_close_ms: int) -> None:
        for key, track in list(self.tracks.items()):
            # A query that no longer returns a series says that it does not hold; a filter without data says nothing,
            # and an incident waits for its automatic end.
            if key not in present and (self.condition.closes_without_data or track.since_ms is None):
                del self.tracks[key]
            elif now_ms - track.data_ms >= auto_close_ms:
                track.since_ms, track.has_lasted, track.value = None, False, None
                if key not in present:
                    del self.tracks[key]


class PolicyMachine:
    """Evaluates one policy, moment by moment. Nothing but the moments that it is given moves its time.

    Args:
        policy: in the REST API's JSON.
    """

    def __init__(self, policy: Mapping[str, Any]) -> None:
        self._policy = policy
        self._name = str(policy.get("name") or policy.get("displayName") or "policy")
        self._combiner = str(policy.get("combiner") or "OR")
        self._open: dict[Key, Incident] = {}
        self._state, self._error = "ok", ""
        self._watches: list[_Watch] = []
        self._auto_close_ms = _AUTO_CLOSE_MS
        self._is_broken = True
        try:
            self._auto_close_ms = seconds_ms((policy.get("alertStrategy") or {}).get("autoClose"), _AUTO_CLOSE_MS)
            self._watches = [_Watch(condition_of(item)) for item in policy.get("conditions") or ()]
            self._is_broken = False
        except UnsupportedError as error:
            self._state, self._error = "unsupported", str(error)
        except QueryError as error:
            self._state, self._error = "error", str(error)
        if policy.get("validity"):
            self._is_broken = True
            self._state, self._error = "error", f"the platform holds it for invalid: {policy['validity']}"
        self.interval_ms = min((watch.condition.interval_ms for watch in self._watches), default=60_000)

    def look_ahead(self, series: SeriesSource, start_ms: int, end_ms: int) -> None:
        """Work out in one go what the evaluations from `start_ms` to `end_ms` will need of PromQL.

        Only for series that do not change any more; it changes no result.
        """
        for watch in self._watches:
            if isinstance(watch.condition, PromQL):
                watch.condition.look_ahead(series, start_ms, end_ms)

    @property
    def is_idle(self) -> bool:
        """Whether no incident is open and no series is watched."""
        return not self._open and not any(watch.tracks for watch in self._watches)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it watches, in the policy's order; empty for one that cannot be read."""
        return tuple(watch.condition for watch in self._watches)

    def evaluate(
        self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource, logs: LogSource | None = None
    ) -> list[Event]:
        """Return what happened at `now_ms`.

        Args:
            now_ms: the moment, in milliseconds since the epoch; moments must ascend.
            series: where PromQL conditions find their series.
            typed: where conditions with filters find theirs.
            logs: where conditions on log entries find those; without it they find none.

        Raises:
            QueryError: a query cannot be evaluated; no incident has changed then.
        """
        if self._is_broken or not self._watches:
            return []
        if self._policy.get("enabled") is False:
            return self._all_closed(now_ms)
        try:
            for watch in self._watches:
                if now_ms >= watch.due_ms:
                    measured = watch.condition.measure(now_ms, series, typed, logs)
                    watch.due_ms = now_ms + watch.condition.interval_ms
                    watch.follow(measured, now_ms, self._auto_close_ms)
        except QueryError as error:
            self._state = "unsupported" if isinstance(error, UnsupportedError) else "error"
            self._error = str(error)
            raise
        events = list(self._events(now_ms))
        is_pending = any(track.since_ms is not None for watch in self._watches for track in watch.tracks.values())
        self._state, self._error = "firing" if self._open else "pending" if is_pending else "ok", ""
        return events

    def status(self) -> dict[str, Any]:
        """Return ``state``, newest ``value``, ``threshold``, ``error``, and how many incidents are ``open``.

        The state is ``ok``, ``pending`` (violating, but not yet for long enough), ``firing``, ``error`` or
        ``unsupported``.
        """
        tracks = [track for watch in self._watches for track in watch.tracks.values() if track.value is not None]
        worst = max(tracks, key=lambda track: (track.is_met, track.since_ms is not None, track.data_ms), default=None)
        threshold = next((w.condition.threshold for w in self._watches if w.condition.threshold is not None), None)
        return {
            "state": self._state,
            "value": worst.value if worst else None,
            "threshold": threshold,
            "error": self._error,
            "open": len(self._open),
        }

    def _events(self, now_ms: int) -> Iterator[Event]:
        holding = self._holding()
        for key in [key for key in self._open if key not in holding]:
            yield Closed(replace(self._open.pop(key), ended_at_ms=now_ms))
        for key, (condition, track) in holding.items():
            if key in self._open:
                if self._open[key].value != track.value:
                    self._open[key] = replace(self._open[key], value=track.value)
                continue
            self._open[key] = self._incident(key, condition, track, now_ms)
            yield Opened(self._open[key])

    def _holding(self) -> dict[Key, tuple[Condition, _Track]]:
        """The series that an incident is or must be open for, as the combiner says."""
        met = [{key: track for key, track in watch.tracks.items() if track.is_met} for watch in self._watches]
        if self._combiner in {"AND", "AND_WITH_MATCHING_RESOURCE"} and not all(met):
            return {}
        if self._combiner == "AND_WITH_MATCHING_RESOURCE":
            shared = set.intersection(*({_resource(key) for key in tracks} for tracks in met))
            met = [{key: track for key, track in tracks.items() if _resource(key) in shared} for tracks in met]
        return {
            (("condition", f"{place} {watch.condition.display_name}"), *key): (watch.condition, track)
            for place, (watch, tracks) in enumerate(zip(self._watches, met, strict=True))
            for key, track in tracks.items()
        }

    def _all_closed(self, now_ms: int) -> list[Event]:
        closed: list[Event] = [Closed(replace(item, ended_at_ms=now_ms)) for item in self._open.values()]
        self._open.clear()
        for watch in self._watches:
            watch.tracks.clear()
        self._state, self._error = "ok", ""
        return closed

    def _incident(self, key: Key, condition: Condition, track: _Track, now_ms: int) -> Incident:
        digest = hashlib.sha256(repr((self._name, key, now_ms)).encode()).hexdigest()[:16]
        value = "no data" if track.value is None else f"a value of {track.value:.6g}"
        limit = "" if condition.threshold is None else f", against a threshold of {condition.threshold:g}"
        where = ", ".join(f"{name}={text}" for name, text in sorted(track.labels.items()) if name != "__name__")
        display = str(self._policy.get("displayName") or self._name)
        return Incident(
            id=digest,
            policy_name=self._name,
            condition_name=condition.display_name,
            labels=dict(track.labels),
            value=track.value,
            threshold=condition.threshold,
            started_at_ms=now_ms,
            summary=f"{display}: {condition.display_name} has {value}{limit}" + (f" for {where}." if where else "."),
        )


_RESOURCE_LABELS: Final = frozenset(
    {"project_id", "monitored_resource", "location", "namespace", "cluster", "job", "task_id", "instance"}
)


def _resource(key: Key) -> Key:
    """The labels of a series that name its resource; PromQL's are those of obskit's two export routes."""
    return tuple(pair for pair in key if pair[0].startswith("resource.labels.") or pair[0] in _RESOURCE_LABELS)
