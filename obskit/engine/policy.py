"""The state of one alert policy over time: what is pending, what is open, what has closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from obskit.engine.conditions import Condition, Measurement, condition_of, seconds_ms
from obskit.engine.series import SeriesSource, TimeSeriesSource
from obskit.errors import QueryError

__all__ = ["Closed", "Event", "Incident", "Opened", "PolicyMachine"]

_AUTO_CLOSE_MS: Final = 7 * 86_400_000  # Source: AlertStrategy.auto_close, "the default is 7 days"
Key = tuple[tuple[str, str], ...]


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


@dataclass(slots=True)
class _Track:
    """One series of one condition."""

    labels: Mapping[str, str]
    since_ms: int | None = None
    value: float | None = None
    seen_ms: int = 0
    is_met: bool = False


@dataclass(slots=True)
class _Watch:
    """A condition and what is known of its series."""

    condition: Condition
    tracks: dict[Key, _Track] = field(default_factory=dict)
    due_ms: int = 0


class PolicyMachine:
    """Evaluates one policy, moment by moment.

    Args:
        policy: in the REST API's JSON.
    """

    def __init__(self, policy: Mapping[str, Any]) -> None:
        self._policy = policy
        self._name = str(policy.get("name") or policy.get("displayName") or "policy")
        self._combiner = str(policy.get("combiner") or "OR")
        self._open: dict[Key, Incident] = {}
        self._state = "ok"
        self._error = ""
        self._watches: list[_Watch] = []
        strategy = policy.get("alertStrategy") or {}
        self._auto_close_ms = seconds_ms(strategy.get("autoClose"), _AUTO_CLOSE_MS)
        try:
            self._watches = [_Watch(condition_of(item)) for item in policy.get("conditions") or ()]
        except QueryError as error:
            self._error = str(error)
            self._state = "unsupported" if "not evaluated here" in self._error else "error"
        if policy.get("validity"):
            self._state, self._error = "error", f"the platform holds it for invalid: {policy['validity']}"
        self.interval_ms = min((watch.condition.interval_ms for watch in self._watches), default=60_000)

    def evaluate(self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource) -> list[Event]:
        """Return what happened at `now_ms`. Moments must ascend.

        Raises:
            QueryError: a query cannot be evaluated; nothing has changed then.
        """
        if self._state == "unsupported" or self._policy.get("validity") or not self._watches:
            return []
        if self._policy.get("enabled") is False:
            return self._all_closed(now_ms)
        for watch in self._watches:
            if now_ms >= watch.due_ms:
                measured = watch.condition.measure(now_ms, series, typed)
                watch.due_ms = now_ms + watch.condition.interval_ms
                self._follow(watch, measured, now_ms)
        events = list(self._events(now_ms))
        pending = any(track.since_ms is not None for watch in self._watches for track in watch.tracks.values())
        self._state, self._error = "firing" if self._open else "pending" if pending else "ok", ""
        return events

    def status(self) -> dict[str, Any]:
        """Return state, newest value, threshold and error."""
        tracks = [track for watch in self._watches for track in watch.tracks.values() if track.value is not None]
        newest = max(tracks, key=lambda track: (track.since_ms is not None, track.seen_ms), default=None)
        threshold = next((w.condition.threshold for w in self._watches if w.condition.threshold is not None), None)
        return {
            "state": self._state,
            "value": newest.value if newest else None,
            "threshold": threshold,
            "error": self._error,
            "open": len(self._open),
        }

    # ------------------------------------------------------------------ one condition

    def _follow(self, watch: _Watch, measured: list[Measurement], now_ms: int) -> None:
        present = {tuple(sorted(item.labels.items())): item for item in measured}
        enough = watch.condition.is_met(sum(item.is_violating for item in measured), len(measured))
        for key, item in present.items():
            track = watch.tracks.setdefault(key, _Track(item.labels))
            track.seen_ms, track.value = now_ms, item.value
            if item.is_violating and enough:
                track.since_ms = now_ms if track.since_ms is None else track.since_ms
                track.is_met = now_ms - track.since_ms >= watch.condition.duration_ms
            else:  # any measurement that does not violate resets the duration
                track.since_ms, track.is_met = None, False
        self._forget_absent(watch, set(present), now_ms)

    def _forget_absent(self, watch: _Watch, present: set[Key], now_ms: int) -> None:
        is_query = type(watch.condition).__name__ == "PromQL"
        for key in [key for key in watch.tracks if key not in present]:
            track = watch.tracks[key]
            # A query that no longer returns a series says that it does not hold; a filter without data says nothing,
            # and the incident waits for its automatic end.
            if is_query or track.since_ms is None or now_ms - track.seen_ms >= self._auto_close_ms:
                del watch.tracks[key]

    # ------------------------------------------------------------------ the policy

    def _events(self, now_ms: int) -> Iterator[Event]:
        met = [{key: track for key, track in watch.tracks.items() if track.is_met} for watch in self._watches]
        holding: dict[Key, tuple[Condition, _Track]] = {}
        if self._combiner == "OR" or all(met):
            for watch, tracks in zip(self._watches, met, strict=True):
                for key, track in tracks.items():
                    if self._combiner != "AND_WITH_MATCHING_RESOURCE" or all(
                        any(_resource(other) == _resource(key) for other in others) for others in met
                    ):
                        holding[(("condition", watch.condition.display_name), *key)] = (watch.condition, track)
        for key in [key for key in self._open if key not in holding]:
            yield Closed(replace(self._open.pop(key), ended_at_ms=now_ms))
        for key, (condition, track) in holding.items():
            if key in self._open:
                self._open[key] = replace(self._open[key], value=track.value)
                continue
            self._open[key] = self._incident(key, condition, track, now_ms)
            yield Opened(self._open[key])

    def _all_closed(self, now_ms: int) -> list[Event]:
        closed: list[Event] = [Closed(replace(item, ended_at_ms=now_ms)) for item in self._open.values()]
        self._open.clear()
        for watch in self._watches:
            watch.tracks.clear()
        self._state = "ok"
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


def _resource(key: Key) -> Key:
    return tuple(pair for pair in key if pair[0].startswith("resource.")) or key
