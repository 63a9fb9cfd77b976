"""What a policy did in a test: its incidents, and whom it told when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.catalog import Route, prometheus_label
from obskit.engine.conditions import seconds_ms
from obskit.engine.policy import Incident
from obskit.engine.replay import Replay
from obskit.queries.promql import RESOURCE_LABELS

__all__ = ["Happened", "Notification", "Outcome", "notifications_of", "shown_time"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one channel.

    Attributes:
        channel: the channel's id.
        event: ``opened``, ``reminded`` or ``closed``.
        at_ms: since the test's beginning.
    """

    channel: str
    event: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Happened:
    """One incident, in milliseconds since the test's beginning; None ends one that was open at the end."""

    opened_ms: int
    closed_ms: int | None
    labels: Mapping[str, str]
    value: float | None
    condition: str = ""

    def is_open(self, at_ms: int) -> bool:
        """Return whether it was open at a moment."""
        return self.opened_ms <= at_ms and (self.closed_ms is None or at_ms < self.closed_ms)

    def has(self, labels: Mapping[str, str], route: Route) -> bool:
        """Return whether the series' labels are among those of the incident, spelled in any of the known ways."""
        return all(_label(self.labels, name, route) == value for name, value in labels.items())


def _label(labels: Mapping[str, str], name: str, route: Route) -> str:
    plain = RESOURCE_LABELS[name][route] if name in RESOURCE_LABELS else prometheus_label(name)
    spelled = (name, plain, *(f"{scope}.labels.{each}" for scope in ("metric", "resource") for each in (name, plain)))
    return next((labels[each] for each in spelled if each in labels), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened in a test.

    Attributes:
        incidents: in the order in which they opened.
        notifications: in the order in which they were sent.
        replay: every evaluation.
        start_ms: the test's beginning, in milliseconds since the epoch.
        end_ms: when the test ended, since its beginning.
        route: the export route that series and queries were spelled for.
    """

    incidents: tuple[Happened, ...]
    notifications: tuple[Notification, ...]
    replay: Replay
    start_ms: int
    end_ms: int
    route: Route

    @classmethod
    def of(cls, replay: Replay, policy: Mapping[str, Any], *, start_ms: int, end_ms: int, route: Route) -> Outcome:
        """Return the outcome of a policy's replay; `start_ms` and `end_ms` since the epoch."""
        incidents = [_since(incident, start_ms) for incident in replay.incidents]
        return cls(
            incidents=tuple(incidents),
            notifications=tuple(notifications_of(policy, incidents, end_ms - start_ms)),
            replay=replay,
            start_ms=start_ms,
            end_ms=end_ms - start_ms,
            route=route,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, times in seconds since the test's beginning."""
        return {
            "end_s": self.end_ms / 1000,
            "incidents": [
                {
                    "opened_s": each.opened_ms / 1000,
                    "closed_s": None if each.closed_ms is None else each.closed_ms / 1000,
                    "labels": dict(each.labels),
                    "value": each.value,
                }
                for each in self.incidents
            ],
            "notifications": [
                {"channel": each.channel, "event": each.event, "at_s": each.at_ms / 1000} for each in self.notifications
            ],
        }


def _since(incident: Incident, start_ms: int) -> Happened:
    ended = incident.ended_at_ms
    labels = {name: value for name, value in incident.labels.items() if name != "__name__"}
    return Happened(
        incident.started_at_ms - start_ms,
        None if ended is None else ended - start_ms,
        labels,
        incident.value,
        incident.condition_name,
    )


_DAY_MS: Final = 86_400_000


def notifications_of(policy: Mapping[str, Any], incidents: Sequence[Happened], end_ms: int) -> list[Notification]:
    """Return what the platform sends for some incidents, in the order of time.

    Args:
        policy: in the REST API's JSON.
        incidents: times since the same moment as `end_ms`.
        end_ms: no reminder is later.
    """
    strategy = policy.get("alertStrategy") or {}
    prompts = strategy.get("notificationPrompts") or ["OPENED", "CLOSED"]
    is_on_logs = any("conditionMatchedLog" in each for each in policy.get("conditions") or ())
    limit_ms = seconds_ms((strategy.get("notificationRateLimit") or {}).get("period"))
    found: list[Notification] = []
    for channel in policy.get("notificationChannels") or ():
        name = str(channel).rpartition("/")[2].removeprefix("obskit:")
        sent_ms = -limit_ms
        for each in incidents:
            if each.opened_ms - sent_ms < limit_ms:
                continue
            sent_ms = each.opened_ms
            if "OPENED" in prompts:
                found.append(Notification(name, "opened", each.opened_ms))
            found += _reminders(strategy, str(channel), name, each, end_ms)
            # Source: AlertStrategy.notification_prompts: policies on logs may have OPENED only.
            if each.closed_ms is not None and "CLOSED" in prompts and not is_on_logs:
                found.append(Notification(name, "closed", each.closed_ms))
    return sorted(found, key=lambda each: (each.at_ms, each.channel))


def _reminders(
    strategy: Mapping[str, Any], channel: str, name: str, incident: Happened, end_ms: int
) -> Iterator[Notification]:
    for each in strategy.get("notificationChannelStrategy") or ():
        every_ms = seconds_ms(each.get("renotifyInterval"))
        if every_ms <= 0 or channel not in (each.get("notificationChannelNames") or ()):
            continue
        until = end_ms + 1 if incident.closed_ms is None else incident.closed_ms
        for at_ms in range(incident.opened_ms + every_ms, until, every_ms):
            yield Notification(name, "reminded", at_ms)


def shown_time(at_ms: float) -> str:
    """Return a time since the test's beginning as people say it: ``1m30s``, ``1d12h``."""
    left, words = round(abs(at_ms)), ""
    for unit, length in (("d", _DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, length)
        words += f"{count}{unit}" if count else ""
    return ("-" if at_ms < 0 else "") + (words or "0m")
